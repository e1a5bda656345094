"""Does every format's every model answer in time? `python tests/bench/formats.py` writes tests/bench/formats.md.

Sixty fitted models (tests/bench/fitted.py), one desk with a ledger, several bundles asked at once while another process burns a core.
The caller's wall clock counts, without loading a model the first time. `--calls 20` is a short form that writes nothing.
"""

import argparse
import gc
import json
import os
import platform
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from workbench import __version__
from workbench.bundles import load_bundle
from workbench.desk import Desk
from workbench.ledger import Ledger
from workbench.schema import StrategyBundle
from workbench.text import say

CALLS, THREADS, BUDGET, LATE = 500, 3, 800.0, 850.0
# So many calls to one model, then the next: the desk has fewer posts than there are models, so each is let go and loaded again.
TURN, SEED, TRAIN_END = 20, 0, "2014-12-31"
LIBRARIES = ("lightgbm", "xgboost", "catboost", "sklearn", "skops", "onnxruntime", "skl2onnx", "numpy", "pandas")
BURN = [sys.executable, "-c", "while True: pass"]


@dataclass(frozen=True)
class Fitted:
    """One model that was made."""

    folder: str
    format: str
    says: str
    d: int


@dataclass(frozen=True)
class Call:
    """One answer as its caller saw it, milliseconds."""

    model: Fitted
    wall: float
    load: float
    starved: float
    stages: dict[str, float]
    values: bool
    complete: bool
    exact: bool
    method: str
    reason: str


def starved() -> float:
    """For how long this thread was ready and no core was free, since it began, milliseconds; the system's account (Linux)."""
    told = Path("/proc/thread-self/schedstat")
    return int(told.read_text().split()[1]) / 1e6 if told.exists() else 0.0


def asked(desk: Desk, model: Fitted, bundle: StrategyBundle, positions: np.ndarray, first: int) -> list[Call]:
    """One call a position, one after the other; the seeds count from `first`."""
    calls = []
    for seed, at in enumerate(bundle.panel.times[positions], start=first):
        before, waited = time.perf_counter(), starved()
        answer = desk.explain(bundle, at=at, budget_ms=BUDGET, seed=seed)
        took = (time.perf_counter() - before) * 1000
        load = answer.stages_ms.get("load", 0.0)
        stages = {name: ms for name, ms in answer.stages_ms.items() if name != "load"}
        reason = "" if answer.reason is None else say(answer.reason, "en")
        facts = {"complete": answer.complete, "exact": answer.exact, "method": answer.method, "reason": reason}
        if took - load > LATE:
            print(
                f"late: {model.format}, {model.says}: {took - load:.0f} ms, {stages}, load {load:.0f}, without a core {starved() - waited:.0f}",
                flush=True,
            )
        calls.append(Call(model, took - load, load, starved() - waited, stages, values=len(answer.values) > 0, **facts))
    return calls


def run(desk: Desk, made: list[tuple[Fitted, StrategyBundle]], count: int, threads: int, minutes: float) -> list[Call]:
    """All models' calls, so many models at once; no turn begins later than `minutes`."""
    turns: queue.SimpleQueue = queue.SimpleQueue()
    for first in range(0, count, TURN):
        for model, bundle in made:
            turns.put((model, bundle, first))
    calls, started = [], time.monotonic()

    def spent() -> float:
        return (time.monotonic() - started) / 60

    def serve() -> None:
        while spent() < minutes:
            try:
                model, bundle, first = turns.get_nowait()
            except queue.Empty:
                return
            later = np.flatnonzero(bundle.panel.times > TRAIN_END)
            positions = np.random.default_rng(SEED).choice(later, count, replace=False)[first : first + TURN]
            own = asked(desk, model, bundle, positions, first)
            calls.extend(own)
            worst, missing = max(call.wall for call in own), Counter(call.reason for call in own if not call.values)
            print(
                f"{spent():5.1f} min, {len(calls):6d} calls: {model.format}, {model.says}, {model.d} features:"
                f" {own[-1].method}, worst {worst:.0f} ms, load {own[0].load:.0f} ms {missing or ''}",
                flush=True,
            )

    crew = [threading.Thread(target=serve) for _ in range(threads)]
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    return calls


def share(found: list[bool]) -> str:
    """A percentage that says 100 only of all."""
    part = 100 * sum(found) / len(found)
    return "100 %" if all(found) else f"{min(part, 99.99):.2f} %"


def times(calls: list[Call]) -> str:
    wall = np.array([call.wall for call in calls])
    p50, p99, p999, worst = np.quantile(wall, [0.5, 0.99, 0.999, 1])
    parts = [
        share([c.values and c.wall <= BUDGET for c in calls]),
        share([c.values and c.wall <= LATE for c in calls]),
        *(f"{ms:.1f}" for ms in (p50, p99, p999, worst)),
        share([c.values for c in calls]),
        share([c.complete for c in calls]),
        ", ".join(f"{name} {n}" for name, n in Counter(c.method for c in calls).most_common()),
    ]
    return " | ".join(parts)


COLUMNS = "by 800 ms | by 850 ms | p50 | p99 | p99.9 | worst | with values | complete | methods chosen"


def tables(calls: list[Call], made: list[tuple[Fitted, StrategyBundle]]) -> list[str]:
    formats = dict.fromkeys(model.format for model, _ in made)
    lines = [f"| format | models | calls | {COLUMNS} |", "|---" * 12 + "|"]
    for name in formats:
        own = [call for call in calls if call.model.format == name]
        lines.append(f"| {name} | {sum(m.format == name for m, _ in made)} | {len(own)} | {times(own)} |")
    lines += [f"| all | {len(made)} | {len(calls)} | {times(calls)} |", "", "## Model by model", ""]
    lines += [f"| format | model | features | first load (ms) | {COLUMNS} |", "|---" * 13 + "|"]
    for model, _ in sorted(made, key=lambda pair: list(formats).index(pair[0].format)):
        own = [call for call in calls if call.model is model]
        loaded, figures = (f"{own[0].load:.0f}", times(own)) if own else ("–", "no call in the time given")
        lines.append(f"| {model.format} | {model.says} | {model.d} | {loaded} | {figures} |")
    lines += ["", f"## Later than {LATE:g} ms, or without values", ""]
    bad = [call for call in calls if call.wall > LATE or not call.values]
    for call in sorted(bad, key=lambda c: -c.wall)[:30]:
        stages = ", ".join(f"{name} {ms:.0f}" for name, ms in call.stages.items())
        lines.append(
            f"- {call.model.format}, {call.model.says}, {call.model.d} features: {call.wall:.0f} ms ({stages}; the caller"
            f" {call.wall - sum(call.stages.values()):.0f} more; without a core {call.starved:.0f}, loading {call.load:.0f}). {call.reason}"
        )
    return lines if bad else [*lines, "None."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="a model; fewer than 500 writes no results")
    parser.add_argument("--threads", type=int, default=THREADS, help="bundles asked at once")
    parser.add_argument(
        "--only", default="lightgbm,xgboost,catboost,sklearn,onnx,python", help="formats, separated by commas"
    )
    parser.add_argument("--models", type=Path, help="where made bundles stay, to be used again")
    parser.add_argument(
        "--minutes",
        type=float,
        default=60,
        help="begin nothing new after so long; all models had their like share by then",
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = given.models or Path(folder) / "models"
        subprocess.run([sys.executable, Path(__file__).with_name("fitted.py"), home], check=True)
        listed = [Fitted(**each) for each in json.loads((home / "models.json").read_text("utf-8"))]
        made = [
            (model, load_bundle(home / model.folder, trust_code=True))
            for model in listed
            if model.format in given.only.split(",")
        ]
        lines = measured(made, given, Path(folder))
    print("\n".join(lines))
    if given.calls >= CALLS:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", "utf-8")


def measured(made: list[tuple[Fitted, StrategyBundle]], given: argparse.Namespace, folder: Path) -> list[str]:
    """The whole page."""
    pauses, began = [], [0.0]
    # How long the app's own garbage collection stops everything.
    gc.callbacks.append(
        lambda phase, _: (
            began.__setitem__(0, time.perf_counter())
            if phase == "start"
            else pauses.append((time.perf_counter() - began[0]) * 1000)
        )
    )
    ledger, loads, started = Ledger(folder / "ledger.sqlite"), [os.getloadavg()], time.monotonic()
    burner = subprocess.Popen(
        BURN, start_new_session=True
    )  # a program of its own, not a part of the app's share of the cores
    try:
        with Desk(ledger) as desk:
            calls = run(desk, made, given.calls, given.threads, given.minutes)
    finally:
        burner.kill()
        burner.wait()
    loads.append(os.getloadavg())
    minutes, chain = (time.monotonic() - started) / 60, ledger.verify()
    versions = ", ".join(f"{name} {version(packages_distributions()[name][0])}" for name in LIBRARIES)
    return [
        "# Every format in time",
        "",
        (
            f"`python tests/bench/formats.py --calls {given.calls} --threads {given.threads} --minutes {given.minutes:g}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, "
            f"{os.cpu_count()} cores, Python {platform.python_version()}; workbench {__version__}, {versions}."
        ),
        (
            f"{given.threads} bundles asked at once while another process burns a core; load average {loads[0][0]:.1f} before, {loads[1][0]:.1f} after, "
            f"{loads[1][2]:.1f} over the last quarter of an hour. Run time {minutes:.1f} minutes. Seeds: {SEED} (data, models, rows), the number of the call (explanations)."
        ),
        "",
        (
            f"Budget {BUDGET:g} ms; milliseconds of the caller's wall clock without loading a model. An answer counts as given by then only if it has "
            "values. Complete: exact, or every standard error below 0.5 % of the largest contribution."
        ),
        (
            f"Ledger: {chain.count} records for {len(calls)} answers, the chain {'holds' if chain.holds() else 'is broken'}. "
            f"The app's longest garbage collection: {max(pauses, default=0):.0f} ms."
        ),
        "",
        *tables(calls, made),
    ]


if __name__ == "__main__":
    main()
