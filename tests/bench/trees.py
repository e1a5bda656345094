"""Exact Shapley values of trees beside everybody else's: `python tests/bench/trees.py [--quick] [--models FOLDER]`, writes trees.md.

The newest peers need Python 3.12, an environment for this table alone:

    uv venv --python 3.12 peers
    uv pip install --python peers/bin/python lightgbm numba numpy pandas pyarrow pydantic fasttreeshap-fixed \\
        'shap>=0.52' 'shapiq>=1.8' woodelf-explainer 'xgboost>=3.4'
    peers/bin/python tests/bench/trees.py

Peers that are not installed are left out, and the table says which. All run in one process on the same model files, one thread each
(held by how much processor time other threads had), in turn; a figure is the median of their turns, in processor time. A peer gets as
many rows as fit its share of the budget, and the time a row is taken from these. Models that are in FOLDER already are not fitted again.
"""

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ |= dict.fromkeys(ONE_THREAD, "1")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from workbench.shipped import kernels

os.environ.setdefault("NUMBA_CACHE_DIR", str(kernels()))

import lightgbm
import numpy as np
import tree_peers as peers
import tree_tables as tables
from tree_peers import OURS, PRED_CONTRIB, SINGLES, WOODELF, Contender, Rows, Subject

from workbench.models.lightgbm import checked
from workbench.trees import warm, xgboost_ensemble
from workbench.trees.kernel import TreeKernel
from workbench.trees.lightgbm_ensemble import ensemble
from workbench.trees.xgboost_json import read_document

SEED, FEATURES, FITTED, EXPLAINED = 0, 50, 10_000, 10_000
TURNS, BURST = 3, 5
PREDICT = "LightGBM predict"


@dataclass(frozen=True)
class Scope:
    """What is measured; `seconds` of processor time is what a contender gets a case, more where all rows take more."""

    sizes: tuple[tuple[int, int], ...]
    xgboost: tuple[tuple[int, int], ...]
    background: tuple[tuple[int, int], ...]
    many: tuple[int, ...]
    pairs: int
    seconds: float


FULL = Scope(
    sizes=tuple((trees, leaves) for leaves in (31, 127) for trees in (100, 500, 1000)),
    xgboost=((100, 31), (500, 31), (1000, 31), (500, 127)),
    background=((100, 31), (500, 127)),
    many=(100_000, 1_000_000),
    pairs=1000,
    seconds=2.5,
)
QUICK = Scope(((100, 31), (100, 127)), ((100, 31),), ((100, 31),), (100_000,), 100, 0.5)


@dataclass
class Timed:
    """A contender's turns at one case, `once`: what a call of one row costs, where most of that is preparation; seconds and rows of each, and what the last gave."""

    contender: Contender
    rows: int = 1
    once: float = 0.0
    seconds: list[float] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)

    @property
    def us(self) -> float:
        """A row; of a contender that prepares something in each call, as if for EXPLAINED rows."""
        seconds = float(np.median(self.seconds))
        a_row = (
            (seconds - self.once) / max(self.rows - 1, 1) + self.once / EXPLAINED if self.once else seconds / self.rows
        )
        return a_row / self.contender.share * 1e6

    def values(self) -> tuple[Rows, Any]:
        read = [self.contender.read(found) for found in self.found]
        tables, bases = zip(*read, strict=True)
        return np.concatenate(tables), None if bases[0] is None else np.concatenate([np.atleast_1d(b) for b in bases])


class Clock:
    """Processor time of everything a call does, and how much of it another thread than the caller's did."""

    def __init__(self) -> None:
        self.all = self.elsewhere = 0.0

    def time(self, call: Callable[[], Any]) -> tuple[Any, float]:
        own, whole = time.thread_time(), time.process_time()
        found = call()
        whole = time.process_time() - whole
        self.elsewhere += whole - (time.thread_time() - own)
        self.all += whole
        return found, whole


@dataclass
class Case:
    """One table: contenders by name, and how far their values are from the reference's and from the outputs."""

    title: str
    size: str
    timed: dict[str, Timed]
    lines: list[str]

    def ratio(self, name: str) -> float:
        return self.timed[name].us / self.timed[OURS].us

    def others(self) -> dict[str, float]:
        """How many times as long the libraries other than the model's own take."""
        return {name: self.ratio(name) for name in self.timed if name not in {OURS, SINGLES, PRED_CONTRIB}}


class Bench:
    """Runs the cases in one process."""

    def __init__(self, scope: Scope, folder: Path) -> None:
        self.scope, self.folder, self.clock = scope, folder, Clock()
        self.rows = np.random.default_rng(SEED + 1).normal(size=(EXPLAINED, FEATURES))
        self.cases: list[Case] = []

    def race(self, contenders: list[Contender], rows: Rows) -> dict[str, Timed]:
        """In turns, until each has had TURNS or its budget."""
        self._compile(contenders, rows[:64])
        timed = {c.name: Timed(c, *((len(rows), 0.0) if c.whole else self._fitting(c, rows))) for c in contenders}
        for _ in range(TURNS):
            for each in timed.values():
                if sum(each.seconds) < self.scope.seconds:
                    each.found.clear()
                    self._turn(each, rows[: each.rows])
        return timed

    @staticmethod
    def _compile(contenders: list[Contender], rows: Rows) -> None:
        """Kernels that are not kept on disk yet are no part of a call's time."""
        for contender in contenders:
            if contender.name.startswith(OURS):
                contender.call(rows)

    def _fitting(self, contender: Contender, rows: Rows) -> tuple[int, float]:
        """How many rows a contender can explain in its share of the time; and the seconds of one row, where a call prepares something."""
        contender.call(rows[:1])  # what is made lazily
        n, once = 1, self.clock.time(lambda: contender.call(rows[:1]))[1] if contender.prepares else 0.0
        share = max(self.scope.seconds / TURNS, 2 * once)
        while True:
            _, seconds = self.clock.time(lambda: contender.call(rows[:n]))  # noqa: B023 - called at once
            if (seconds - once) * 4 > share - once or n == len(rows):
                return int(np.clip(n * (share - once) / (seconds - once), 1, len(rows))), once
            n = min(4 * n, len(rows))

    def alone(self, contenders: list[Contender], most: int = 100) -> dict[str, Timed]:
        """One row a call, BURST calls a turn."""
        self._compile(contenders, self.rows[:1])
        timed = {c.name: Timed(c) for c in contenders}
        for first in range(0, most, BURST):
            for each in timed.values():
                for i in range(first, first + BURST):
                    if sum(each.seconds) < self.scope.seconds / 2:
                        self._turn(each, self.rows[i : i + 1])
        return timed

    def _turn(self, timed: Timed, rows: Rows) -> None:
        found, seconds = self.clock.time(lambda: timed.contender.call(rows))
        timed.found.append(found)
        timed.seconds.append(seconds)

    def add(self, title: str, size: str, timed: dict[str, Timed], outputs: Rows, reference: str) -> Case:
        """Hold the values against the reference's and the outputs (n,), forget them, and keep the lines of the table."""
        known, _ = timed[reference].values()
        lines = []
        for name, each in timed.items():
            values, base = each.values()
            n = min(len(values), len(known))
            gap = np.nanmax(np.abs(values[:n] - known[:n])) / np.ptp(known) if each.contender.share == 1 else None
            sums = values.reshape(len(values), -1).sum(axis=1)
            off = None if base is None else np.abs(sums + base - outputs[: len(sums)]).max() / np.ptp(outputs)
            rows = f"{each.rows:,}" if each.rows > 1 else f"1, {len(each.seconds)} times"
            part = "" if each.contender.share == 1 else f", {each.contender.share:.1%} of the trees, scaled"
            part += f", and {each.once:.2f} s a call" if each.once else ""
            ratio = f"**{each.us / timed[OURS].us:,.1f}**"
            shown = "–" if name == reference else tiny(gap)
            lines.append(f"| {size} | {name} | {rows}{part} | {each.us:,.1f} | {ratio} | {shown} | {tiny(off)} |")
            print(lines[-1], flush=True)
        for each in timed.values():
            each.found.clear()
        self.cases.append(Case(title, size, timed, lines))
        return self.cases[-1]

    def case(self, title: str, size: str = "") -> list[Case]:
        return [case for case in self.cases if case.title == title and size in {"", case.size}]

    def run(self) -> None:
        for trees, leaves in self.scope.sizes:
            self.of_lightgbm(Subject(self.folder / f"lightgbm_{trees}_{leaves}.txt", trees, leaves))
        if peers.has("xgboost"):
            for trees, leaves in self.scope.xgboost:
                self.of_xgboost(trees, leaves)

    def of_lightgbm(self, subject: Subject) -> None:
        size, outputs, contenders = subject.size, subject.predict(self.rows), peers.values(subject)
        self.add("values", size, self.race(contenders, self.rows), outputs, PRED_CONTRIB)
        self.add("one row", size, self.alone([c for c in contenders if c.name != SINGLES]), outputs, PRED_CONTRIB)
        kernel = TreeKernel(subject.ensemble)
        own = Contender(OURS, kernel.predict, whole=True)
        self.add(
            "outputs",
            size,
            self.race([own, Contender(PREDICT, subject.predict, whole=True)], self.rows),
            outputs,
            PREDICT,
        )
        if (subject.trees, subject.leaves) in self.scope.background:
            self.with_background(subject, outputs)
            rows = self.rows[: self.scope.pairs]
            self.add("interactions", size, self.race(peers.interactions(subject), rows), outputs, OURS)
        if subject.path.stem == "lightgbm_100_31":
            keeps = [c for c in contenders if c.name in {OURS, SINGLES, WOODELF}]
            for n in self.scope.many:
                rows = np.random.default_rng(SEED + n).normal(size=(n, FEATURES))
                self.add(f"{n:,} rows", size, self.race(keeps, rows), subject.predict(rows), OURS)

    def with_background(self, subject: Subject, outputs: Rows) -> None:
        background = np.random.default_rng(SEED + 2).normal(size=(10_000, FEATURES))
        thousand = peers.interventional(subject, background[:1000])
        self.add("interventional", subject.size, self.race(thousand, self.rows[:1000]), outputs, OURS)
        for m in (100, 10_000):
            timed = self.alone(peers.interventional(subject, background[:m]), 10)
            self.add(f"interventional, one row × {m:,}", subject.size, timed, outputs, OURS)

    def of_xgboost(self, trees: int, leaves: int) -> None:
        xgboost = import_module("xgboost")

        path, size = self.folder / f"xgboost_{trees}_{leaves}.ubj", f"{trees} × {leaves}"
        booster = xgboost.Booster({"nthread": 1}, model_file=str(path))
        forest = xgboost_ensemble.ensemble(read_document(path))
        outputs, contenders = peers.xgboost_predict(booster, self.rows), peers.xgboost_values(booster, forest)
        self.add("xgboost", size, self.race(contenders, self.rows), outputs, OURS)
        self.add("xgboost, one row", size, self.alone([c for c in contenders if c.name != SINGLES]), outputs, OURS)
        if (trees, leaves) in self.scope.background:
            timed = self.race(peers.xgboost_interactions(booster, forest), self.rows[: self.scope.pairs])
            self.add("xgboost interactions", size, timed, outputs, OURS)

    def compiling(self) -> dict[str, float]:
        """Seconds, medians, for the largest model."""
        path = self.folder / "lightgbm_{}_{}.txt".format(*self.scope.sizes[-1])
        turns = []
        for _ in range(TURNS):
            text, reading = self.clock.time(lambda: checked(path))
            forest, arrays = self.clock.time(lambda: ensemble(text))  # noqa: B023 - called at once
            _, tables = self.clock.time(lambda: TreeKernel(forest))  # noqa: B023
            _, loading = self.clock.time(lambda: lightgbm.Booster(model_file=str(path)))
            turns.append((reading, arrays, tables, loading))
        names = (
            "reading and checking the file",
            "its trees as arrays",
            "the kernel's tables",
            "LightGBM loading the file",
        )
        return dict(zip(names, np.median(turns, axis=0).tolist(), strict=True))


def tiny(number: float | None) -> str:
    return "–" if number is None else f"{number:.0e}"


def fit(folder: Path, scope: Scope) -> None:
    """Boost once a number of leaves; fewer trees are its first rounds. Targets with products, steps and a share of noise."""
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(FITTED, FEATURES))
    tilted = X[:, 3:13] @ np.linspace(1, 0.1, 10) * (X[:, 13] > 0)
    y = (
        X[:, 0] * X[:, 1]
        + np.sin(2 * X[:, 2])
        + tilted
        + 0.2 * np.abs(X[:, 14:30]).sum(axis=1)
        + rng.normal(size=FITTED)
    )
    for leaves in (31, 127):
        wanted = [trees for trees, own in scope.sizes if own == leaves]
        wanted = [n for n in wanted if not (folder / f"lightgbm_{n}_{leaves}.txt").exists()]
        if wanted:
            params = {
                "num_leaves": leaves,
                "learning_rate": 0.05,
                "num_threads": 1,
                "deterministic": True,
                "verbose": -1,
            }
            booster = lightgbm.train(params, lightgbm.Dataset(X, y), max(wanted))
            for n in wanted:
                booster.save_model(folder / f"lightgbm_{n}_{leaves}.txt", num_iteration=n)
        wanted = [trees for trees, own in scope.xgboost if own == leaves]
        wanted = [n for n in wanted if not (folder / f"xgboost_{n}_{leaves}.ubj").exists()]
        if wanted and peers.has("xgboost"):
            xgboost = import_module("xgboost")

            grow = {
                "grow_policy": "lossguide",
                "max_leaves": leaves,
                "max_depth": 0,
                "min_child_weight": 20,
                "max_bin": 64,
            }
            params = {**grow, "tree_method": "hist", "learning_rate": 0.05, "nthread": 1}
            grown = xgboost.train(params, xgboost.DMatrix(X, y, nthread=1), max(wanted))
            for n in wanted:
                grown[:n].save_model(folder / f"xgboost_{n}_{leaves}.ubj")


def peak(who: str, path: Path) -> None:
    """Print MB at most resident before and after: of a process that has the rows, and does nothing else."""
    rows = np.random.default_rng(SEED + 1).normal(size=(EXPLAINED, FEATURES))
    if who == OURS:
        warm.run()
        before = _resident()
        TreeKernel(ensemble(checked(path))).contributions(rows)
    else:
        before = _resident()
        lightgbm.Booster(model_file=str(path)).predict(rows[:20], pred_contrib=True, num_threads=1)
    print(json.dumps([before, _resident()]))


def _resident() -> float:
    """The most so far, of this process: `ru_maxrss` would count the one that started it."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def peaks(path: Path) -> dict[str, list[float]]:
    found = {}
    for who in (OURS, PRED_CONTRIB):
        command = [sys.executable, __file__, "--peak", who, str(path)]
        found[who] = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--quick", action="store_true", help="two small models and short turns, into no file")
    asked.add_argument("--models", type=Path, help="where fitted models are kept; default: a temporary folder")
    asked.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    given = asked.parse_args()
    warnings.filterwarnings("ignore")
    if given.peak:
        peak(given.peak[0], Path(given.peak[1]))
        return
    began, load, scope = time.time(), os.getloadavg()[0], QUICK if given.quick else FULL
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.models or Path(temporary)
        fit(folder, scope)
        warm.run()
        gc.freeze()
        bench = Bench(scope, folder)
        bench.run()
        steps, memory = bench.compiling(), peaks(folder / "lightgbm_{}_{}.txt".format(*scope.sizes[-1]))
    text = tables.page(bench, steps, memory)
    elsewhere = bench.clock.elsewhere / bench.clock.all
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start and {os.getloadavg()[0]:.1f} at the end; "
        f"Python {platform.python_version()}; {peers.versions()}."
    )
    words = [
        machine,
        f"Processor time of other threads than the caller's: {elsewhere:.2%}. Not installed: {', '.join(peers.missing()) or 'none'}.",
        f"{time.strftime('%Y-%m-%d')}, {time.time() - began:.0f} s in all.",
    ]
    text += "\n" + "\n".join(words) + "\n"
    print(text)
    if not given.quick:
        Path(__file__).with_suffix(".md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
