"""Small XGBoost and CatBoost models."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import xgboost

NAMES = ("y10", "slope", "spread", "rating")
Rows = np.ndarray


@cache
def rows(n: int = 400) -> Rows:
    """(n, 4): three numbers, the second with gaps, and a category 0..6."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 4))
    X[:, 3] = rng.integers(0, 7, n)
    X[rng.random(n) < 0.15, 1] = np.nan
    return X


@cache
def labels(n: int = 400) -> Rows:
    """(n,) numbers that depend on all four columns."""
    X = rows(n)
    gaps = np.nan_to_num(X[:, 1], nan=1.5)
    return X[:, 0] * gaps + 0.5 * (X[:, 3] % 3) + np.abs(X[:, 2]) + np.random.default_rng(4).normal(0, 0.2, n)


def trained(rounds: int = 6, *, categorical: bool = True, label: Rows | None = None, **params):
    """An XGBoost booster on these rows."""
    kinds = ["q", "q", "q", "c" if categorical else "q"]
    y = labels() if label is None else label
    data = xgboost.DMatrix(rows(), y, feature_names=list(NAMES), feature_types=kinds, enable_categorical=categorical)
    return xgboost.train({"max_depth": 3, "eta": 0.3, "nthread": 1, "verbosity": 0, **params}, data, rounds)


def ends_of_mutants(folder: Path, name: str, seeds: list[bytes], count: int, seed: int) -> dict[str, int]:
    """How damaged copies of the models end, by tests/bench/mutants.py: native code that ran here would hang in a fork."""
    for i, content in enumerate(seeds):
        (folder / f"seed{i}").write_bytes(content)
    np.save(folder / "rows.npy", rows()[:8])
    command = [sys.executable, Path(__file__).parent / "bench" / "mutants.py", folder, name, str(count), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)
