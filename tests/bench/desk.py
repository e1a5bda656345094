"""How quick the desk is on this machine: `python tests/bench/desk.py` writes tests/bench/desk.md.

One process, one desk, the shipped bundle us_rates_plus_tilt (16 LightGBM models, 26 features), and models that misbehave.
"""

import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from desk_bundles import python_bundle

from workbench.bundles import load_bundle
from workbench.desk import Desk

CALLS, ROUNDS, BUDGET = 1000, 30, 800.0


def quantiles(name: str, times: list[float]) -> str:
    p50, p95, p99, worst = np.quantile(times, [0.5, 0.95, 0.99, 1])
    return f"| {name} | {len(times)} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {worst:.1f} |"


def wall(call) -> float:
    before = time.perf_counter()
    call()
    return (time.perf_counter() - before) * 1000


def exact(desk: Desk) -> list[str]:
    bundle = load_bundle("us_rates_plus_tilt")
    times = bundle.panel.times[-CALLS:]
    first = desk.explain(bundle).stages_ms["load"]
    for time_of_refit in {m.since for m in bundle.models if m.since is not None and m.since >= times[0]}:
        desk.explain(bundle, at=times[times >= time_of_refit][0])
    called = [wall(lambda at=at: desk.explain(bundle, at=at)) for at in times]
    loads = []
    for _ in range(ROUNDS):
        desk._posts._held[bundle.bundle_sha256, "live"].worker.kill()
        loads.append(desk.explain(bundle, at=times[-1]).stages_ms["load"])
    return [
        quantiles("exact explanation, warm, as the caller waits (ms)", called),
        quantiles("worker killed: a new one with its model loaded (ms)", loads),
        f"\nFirst load on a new desk, libraries included: {first:.0f} ms.",
    ]


def misbehaving(desk: Desk, folder: Path) -> list[str]:
    lines = []
    for function in ("sleeps", "crashes", "eats"):
        bundle = python_bundle(folder, function)
        late = []
        for _ in range(ROUNDS):
            answer = []
            waited = wall(lambda bundle=bundle, answer=answer: answer.append(desk.explain(bundle, budget_ms=BUDGET)))
            late.append(waited - answer[0].stages_ms["load"])
            assert len(answer[0].values) == 0
        lines.append(quantiles(f"a model that {function}, budget {BUDGET:g}: the caller is free after (ms)", late))
    return lines


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Desk() as desk:
        rows = [*exact(desk), *misbehaving(desk, Path(folder))]
    table, notes = [r for r in rows if r.startswith("|")], [r for r in rows if not r.startswith("|")]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    head = [
        "# The desk, measured",
        "",
        f"`python tests/bench/desk.py`, {machine}; load average {os.getloadavg()[0]:.1f}.",
        "",
    ]
    head += ["| | calls | p50 | p95 | p99 | worst |", "|---|---|---|---|---|---|"]
    Path(__file__).with_suffix(".md").write_text("\n".join([*head, *table, *notes]) + "\n", "utf-8")
    print("\n".join([*table, *notes]))


if __name__ == "__main__":
    main()
