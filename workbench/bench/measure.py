"""Ask a desk for explanations of each specimen by each method, for as long as a share of the given time, and sum up how long each took."""

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import numpy as np

from workbench import __version__, explain
from workbench.bench.specimens import FULL, QUICK, Specimen, write_bundle
from workbench.bundles import load_bundle
from workbench.desk import Desk
from workbench.schema import Explanation, Floats, StrategyBundle

# A sampled answer is held against one of another seed that had so many times the budget.
REFERENCE = 6
FEWEST, MOST = 5, 200


@dataclass(frozen=True)
class Scope:
    """What is measured: the models, the budget of an explanation, and the seconds that all calls together may take."""

    specimens: tuple[Specimen, ...]
    budget_ms: float
    seconds: float
    seed: int = 0


def scope(*, quick: bool, budget_ms: float | None, seed: int) -> Scope:
    """The usual scope: under a minute, or `quick`, under a quarter of one."""
    if quick:
        return Scope(QUICK, budget_ms or 100.0, 3.0, seed)
    return Scope(FULL, budget_ms or 200.0, 20.0, seed)


@dataclass(frozen=True)
class Timing:
    """How long explanations of one specimen by one method took, as the caller waits, loading apart; ms.

    `error` is the mean absolute difference from a longer run over that run's spread; 0 where the values are exact, None where no
    explanation came.
    """

    model: str
    size: str
    features: int
    method: str
    exact: bool
    calls: int
    load_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    within_budget: float
    samples: int | None
    error: float | None


@dataclass(frozen=True)
class _Pair:
    specimen: Specimen
    bundle: StrategyBundle
    method: str
    load_ms: float


def measure(asked: Scope, desk: Desk, step: Callable[[str, int, int], None] = lambda *_: None) -> list[Timing]:
    """All timings; `step` is told what comes next, how many steps are done and how many there are."""
    with tempfile.TemporaryDirectory() as folder:
        pairs = []
        for i, specimen in enumerate(asked.specimens):
            step(specimen.size, i, len(asked.specimens))
            pairs += list(_pairs(desk, specimen, Path(folder) / str(i), asked))
        timings = []
        for i, pair in enumerate(pairs):
            step(f"{pair.specimen.size}, {pair.method}", i, len(pairs))
            timings.append(_timing(desk, pair, asked, asked.seconds / len(pairs)))
        return timings


def _pairs(desk: Desk, specimen: Specimen, folder: Path, asked: Scope) -> Iterator[_Pair]:
    """The specimen with each method that applies to it; the model is loaded and each method warm afterwards."""
    bundle = load_bundle(write_bundle(specimen, folder, asked.seed), trust_code=True)
    load_ms = 0.0
    for method in explain.methods():
        answer = _ask(desk, bundle, method, asked)
        load_ms = max(load_ms, answer.stages_ms.get("load", 0.0))
        if answer.reason is None or answer.reason.key != "desk.not_applicable":
            yield _Pair(specimen, bundle, method, load_ms)


def _ask(
    desk: Desk, bundle: StrategyBundle, method: str, asked: Scope, *, row: int = -1, times: int = 1
) -> Explanation:
    """One explanation; a reference has another seed and `times` the budget."""
    seed, at = asked.seed + (times > 1), bundle.panel.times[row]
    return desk.explain(bundle, at, method=method, budget_ms=asked.budget_ms * times, seed=seed, record=False)


def _timing(desk: Desk, pair: _Pair, asked: Scope, seconds: float) -> Timing:
    """Explain rows from the last one back until the time is up."""
    waited: list[float] = []
    answers: list[Explanation] = []
    end, rows = perf_counter() + seconds, len(pair.bundle.panel.times)
    while len(waited) < FEWEST or (len(waited) < MOST and perf_counter() < end):
        before = perf_counter()
        answers.append(_ask(desk, pair.bundle, pair.method, asked, row=-1 - len(waited) % (rows // 2)))
        waited.append((perf_counter() - before) * 1000 - answers[-1].stages_ms.get("load", 0.0))
    came = [answer for answer in answers if len(answer.values)]
    exact = bool(came) and all(answer.exact for answer in came)
    in_time = [ms <= asked.budget_ms and len(a.values) > 0 for ms, a in zip(waited, answers, strict=True)]
    p50, p95, p99, most = (float(q) for q in np.quantile(waited, [0.5, 0.95, 0.99, 1]))
    samples = [answer.samples for answer in answers if answer.samples is not None]
    return Timing(
        model="trees" if pair.specimen.trees else "network",
        size=pair.specimen.size,
        features=pair.specimen.features,
        method=pair.method,
        exact=exact,
        calls=len(waited),
        load_ms=pair.load_ms,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=most,
        within_budget=float(np.mean(in_time)),
        samples=int(np.median(samples)) if samples else None,
        error=0.0 if exact else _error(desk, pair, asked, answers[0]),
    )


def _error(desk: Desk, pair: _Pair, asked: Scope, answer: Explanation) -> float | None:
    """A sampled answer's distance from a longer run; None where one of them did not come."""
    longer: Floats = _ask(desk, pair.bundle, pair.method, asked, times=REFERENCE).values
    if not len(answer.values) or not len(longer) or not longer.std():
        return None
    return float(np.mean(np.abs(answer.values - longer)) / longer.std())


def machine() -> dict[str, str | int | float]:
    """What the times hold for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    facts: dict[str, str | int | float] = {"cpu": _processor(), "cores": cores, "load": round(os.getloadavg()[0], 1)}
    facts |= {"system": platform.system(), "python": platform.python_version(), "workbench": __version__}
    return facts | {library: version(library) for library in ("lightgbm", "numpy")}


def _processor() -> str:
    """The processor's own name, where the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text("utf-8", "replace").splitlines() if told.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
