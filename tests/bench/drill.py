"""What a fault of a worker costs: `python tests/bench/drill.py` writes tests/bench/drill.md.

Two hundred faults at random moments (tests/drills.py) against one desk with a ledger and nine bundles, while four threads ask without end.
"""

import argparse
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from drills import ASKERS, BUDGET, DRAWS, ERRORS, FAULTS, LATE, Drill

from workbench import __version__

ROUNDS, SEED, COUNT_EVERY = 200, 0, 25
LIBRARIES = ("lightgbm", "numpy", "pandas")


def drilled(folder: Path, rounds: int, seed: int) -> Drill:
    """The whole drill; every fault about equally often, in random order."""
    dice = random.Random(seed)
    kinds = [list(FAULTS)[i % len(FAULTS)] for i in range(rounds)]
    dice.shuffle(kinds)
    with Drill(folder, seed) as drill:
        drill.count()
        for number, kind in enumerate(kinds, start=1):
            drill.play(kind)
            if number % COUNT_EVERY == 0:
                drill.count()
                print(
                    f"{number} rounds, {drill.given} answers, {len(drill.wrong)} faults, open {drill.open[-1]}",
                    flush=True,
                )
    return drill


def page(drill: Drill, rounds: int, seed: int, head: str) -> list[str]:
    total = sum((kind.outcomes for kind in drill.kinds.values()), Counter())
    names = [name for name, _ in total.most_common()]
    lines = ["# A drill for the desk", "", head, ""]
    lines += [
        (
            f"One desk with a ledger, {ASKERS} threads that ask without end, {rounds} faults at random moments (seed {seed}). Budget {BUDGET:g} ms. The answers are those that "
            "ended while the fault was at work, whichever bundle they were of; lateness is the caller's wall clock beyond the deadline, without loading."
        ),
        "",
        f"| fault | rounds | {' | '.join(names)} | worst lateness (ms) |",
        "|---" * (len(names) + 3) + "|",
    ]
    for name in ("before", *FAULTS):
        if kind := drill.kinds.get(name):
            counts = " | ".join(str(kind.outcomes[n]) for n in names)
            lines.append(f"| {name} | {kind.rounds} | {counts} | {kind.latest:+.1f} |")
    worst = max(kind.latest for kind in drill.kinds.values())
    lines.append(f"| all | {rounds} | {' | '.join(str(total[n]) for n in names)} | {worst:+.1f} |")
    lines += [
        "",
        (
            f"Held against each of {drill.given} answers: exact values equal the reference of their row to 1e-9, sampled ones lie within {ERRORS} standard errors of it "
            f"(from {DRAWS} draws on; {drill.few} answers had fewer), base and values add up to the prediction; none later than {LATE:g} ms after its deadline. After the end: as many records as answers, an "
            "unbroken chain, no worker, zygote or child of a model left."
        ),
        "",
        "Open files of the app that no worker or zygote accounts for, and its threads, "
        f"every {COUNT_EVERY} rounds: " + ", ".join(f"{files} and {threads}" for files, threads in drill.open) + ".",
        "",
        f"## What should not be: {len(drill.wrong) or 'nothing'}",
        "",
        *(f"- {fault}" for fault in drill.wrong[:50]),
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="fewer than 200 write no results")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    broken: list[str] = []
    threading.excepthook = lambda said: broken.append(f"a thread ended: {said.exc_type.__name__}: {said.exc_value}")
    began, before = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder  # the workers' too, by which they are known
        drill = drilled(Path(folder), given.rounds, given.seed)
    drill.wrong += broken
    versions = ", ".join(f"{name} {import_module(name).__version__}" for name in LIBRARIES)
    head = (
        f"`python tests/bench/drill.py --rounds {given.rounds} --seed {given.seed}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; workbench {__version__}, {versions}; load average {before:.1f} before, {os.getloadavg()[0]:.1f} after; "
        f"{(time.monotonic() - began) / 60:.1f} minutes."
    )
    lines = page(drill, given.rounds, given.seed, head)
    print("\n".join(lines))
    if given.rounds >= ROUNDS:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines).rstrip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
