"""Kernels are compiled once, by one process, and taken only where they give what the library gives."""

import fcntl
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import pytest
import xgboost
from builders_forests import WIDTH, labels, rows
from numba.core.dispatcher import Dispatcher
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from trees import walk
from trees.forests import drawn

from workbench.models.lightgbm import checked
from workbench.schema import Message
from workbench.trees import (
    catboost_ensemble,
    lightgbm_ensemble,
    program,
    sklearn_ensemble,
    warm,
    xgboost_ensemble,
)
from workbench.trees.cbm import read_cbm
from workbench.trees.ensemble import NoEnsembleError
from workbench.trees.kernel import TreeKernel
from workbench.trees.xgboost_json import read_document

FOREST = drawn(np.random.default_rng(2), trees=20, depth=5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """No kernel was compiled here."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(os, "nice", lambda _: 0)
    return tmp_path / "kernels"


@pytest.fixture
def runs(monkeypatch):
    """The moments at which all kernels were run, without running them: whether they were then said to be done."""
    seen = []
    monkeypatch.setattr(warm, "run", cache(lambda: seen.append(warm.done())))
    return seen


def exactly(X):
    return walk.outputs(FOREST, X)


def test_a_stamp_stands_only_after_all_has_run(folder, runs):
    assert not warm.done()
    warm.main()
    assert runs == [False]
    assert warm.done()
    assert [path.name.split("-")[0] for path in sorted(folder.iterdir())] == ["lock", "ready"]


@pytest.mark.usefixtures("folder")
def test_what_fails_to_compile_leaves_no_stamp(monkeypatch):
    def broken():
        raise RuntimeError

    monkeypatch.setattr(warm, "run", broken)
    with pytest.raises(RuntimeError):
        warm.main()
    assert not warm.done()


@pytest.mark.usefixtures("folder", "runs")
@pytest.mark.parametrize("part", ["_processor", "_code"])
def test_another_version_of_anything_is_not_done(monkeypatch, part):
    warm.main()
    monkeypatch.setattr(warm, part, lambda: "another")
    assert not warm.done()


def test_code_in_another_place_or_of_another_time_is_compiled_anew(tmp_path, monkeypatch):
    seen = {warm._code()}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "warm.py").write_text("")
        os.utime(tmp_path / name / "warm.py", (1, 1))
        monkeypatch.setattr(warm, "__file__", str(tmp_path / name / "warm.py"))
        warm._code.cache_clear()
        seen.add(warm._code())
    os.utime(tmp_path / "other" / "warm.py", (1, 2))
    warm._code.cache_clear()
    seen.add(warm._code())
    warm._code.cache_clear()
    assert len(seen) == 4


def test_one_process_compiles_at_a_time(folder, runs):
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        warm.main()
        command = [sys.executable, "-P", "-m", "workbench.trees.warm"]
        environment = os.environ | {"PYTHONPATH": str(Path(warm.__file__).parents[2])}
        done = subprocess.run(command, env=environment, check=False, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        assert runs == []
        assert not warm.done()
    warm.main()
    assert warm.done()


@pytest.mark.usefixtures("folder")
def test_a_beginning_loads_what_is_done_and_has_another_process_compile_what_is_not(runs, monkeypatch):
    begun = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: begun.append((command, how)))
    warm.begin()
    assert runs == []
    ((command, how),) = begun
    assert command[-1] == "workbench.trees.warm"
    assert set(how.values()) == {subprocess.DEVNULL}
    warm.main()
    warm.run.cache_clear()
    warm.begin()
    assert runs == [False, True]
    assert len(begun) == 1


@pytest.mark.usefixtures("folder", "runs")
def test_a_kernel_comes_once_it_is_compiled_and_loaded():
    made = []
    kept = warm.Kept(lambda: made.append(1) or FOREST, exactly)
    assert kept.get(wait=True) is None  # not compiled
    warm.main()
    warm.run.cache_clear()
    assert kept.get(wait=False) is None  # compiled, not loaded
    assert made == []
    kernel = kept.get(wait=True)
    assert isinstance(kernel, TreeKernel)
    assert kept.get(wait=False) is kernel
    assert made == [1]
    assert isinstance(warm.Kept(lambda: FOREST, exactly).get(wait=False), TreeKernel)


def refused(ensemble, predict=exactly, **how) -> bool:
    warm.run()
    kept = warm.Kept(ensemble, predict, **how)
    return kept.get(wait=False) is None and kept.get(wait=True) is None


def one_off(X):
    """The library's own outputs, but for one of them."""
    found = exactly(X)
    found[7] += 1e-11 * np.abs(found).max()
    return found


@pytest.mark.usefixtures("folder", "runs")
def test_a_kernel_that_differs_from_the_library_is_refused():
    assert refused(lambda: FOREST, one_off)
    assert not refused(lambda: FOREST, one_off, precision=1e-10)
    assert refused(lambda: FOREST, lambda X: np.where(np.arange(len(X)) == 3, np.nan, exactly(X)))
    assert refused(lambda: FOREST, lambda X: np.zeros(len(X)))
    assert not refused(lambda: FOREST)


@pytest.mark.parametrize("change", ["threshold", "left", "values"])
@pytest.mark.usefixtures("folder", "runs")
def test_an_ensemble_misread_at_one_node_is_refused(change):
    misread = {
        "threshold": lambda: replace(FOREST, threshold=np.where(FOREST.threshold == 1, 0.9, FOREST.threshold)),
        "left": lambda: replace(FOREST, left=FOREST.right, right=FOREST.left),
        "values": lambda: replace(FOREST, values=FOREST.values + 1e-9),
    }[change]
    assert refused(misread)


@pytest.mark.usefixtures("folder", "runs")
def test_what_no_kernel_can_take_is_left_to_the_library(monkeypatch):
    def unreadable():
        raise NoEnsembleError(Message("fault.trees.none", {}))

    calls = []
    assert refused(unreadable)
    assert refused(lambda: calls.append(1))
    assert calls == [1]  # asked once
    monkeypatch.setattr(program, "LARGEST", 10)
    assert refused(lambda: FOREST)


def fitted(folder):
    """One ensemble a reader, with whatever makes its arrays their own: views, casts, sets."""
    X, y = rows(categorical=True), labels()
    data = lightgbm.Dataset(X, y, categorical_feature=[4], params={"verbose": -1})
    booster = lightgbm.train({"verbose": -1, "num_threads": 1, "num_leaves": 7}, data, 4)
    booster.save_model(folder / "model.txt")
    yield lightgbm_ensemble.ensemble(checked(folder / "model.txt"))
    kinds = ["q"] * 4 + ["c"]
    matrix = xgboost.DMatrix(rows(), y, feature_types=kinds, enable_categorical=True, nthread=1)
    xgboost.train({"max_depth": 3, "nthread": 1}, matrix, 4).save_model(folder / "model.ubj")
    yield xgboost_ensemble.ensemble(read_document(folder / "model.ubj"))
    quiet = {"logging_level": "Silent", "allow_writing_files": False, "thread_count": 1}
    for growth in ("SymmetricTree", "Lossguide"):
        model = catboost.CatBoost({"iterations": 4, "depth": 3, "grow_policy": growth, **quiet}).fit(X, y)
        model.save_model(folder / "model.cbm")
        yield catboost_ensemble.ensemble(read_cbm(folder / "model.cbm"))
    yield sklearn_ensemble.ensemble(RandomForestRegressor(4, max_depth=4, random_state=0).fit(X, y))
    histogram = HistGradientBoostingRegressor(max_iter=4, max_leaf_nodes=7, categorical_features=[4])
    yield sklearn_ensemble.ensemble(histogram.fit(X, y))


def compiled() -> dict[str, int]:
    """How many kinds of arguments each kernel is compiled for."""
    return {
        f"{name}.{kernel.__name__}": len(kernel.signatures)
        for name, room in list(sys.modules.items())
        if name.startswith("workbench.trees.")
        for kernel in vars(room).values()
        if isinstance(kernel, Dispatcher) and kernel.__module__ == name
    }


EVERY = """
from numba.core.dispatcher import Dispatcher
from workbench.trees import kernel, warm
warm.run()
print(*(name for name, it in vars(kernel).items() if isinstance(it, Dispatcher) and not it.signatures))
"""


def test_every_kernel_is_compiled_ahead():
    """In a process of its own, where no other test has called for one."""
    environment = os.environ | {"PYTHONPATH": str(Path(warm.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", EVERY], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "\n"


def test_no_model_has_a_kernel_compiled_for_it(tmp_path):
    """Which would cost seconds, while somebody waits."""
    warm.run()
    before, X = compiled(), rows(categorical=True)[:40].copy()
    X.setflags(write=False)
    assert sum(before.values()) > 10
    for ensemble in fitted(tmp_path):
        assert ensemble.n_features == WIDTH
        for dtype in (np.float64, np.float32):
            kernel = TreeKernel(ensemble, dtype)
            kernel.predict(X)
            kernel.contributions(X)
            kernel.contributions(X[:1])
            list(kernel.interactions(X[:3]))
            kernel.interventional(X[:20], X)
    assert compiled() == before
