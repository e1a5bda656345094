"""Rows and models that ask of a tree reader all that a library may decide."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from workbench.trees.ensemble import ZERO, Ensemble

WIDTH = 5


@cache
def rows(n: int = 400, *, categorical: bool = False) -> np.ndarray:
    """(n, 5): a number, one with gaps, one that is often zero, a constant, and small whole numbers (gaps too, as categories)."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(n, WIDTH))
    X[rng.random(n) < 0.2, 1] = np.nan
    X[rng.random(n) < 0.3, 2] = 0.0
    X[:, 3] = 2.5
    X[:, 4] = rng.integers(0, 40, n)
    if categorical:
        X[rng.random(n) < 0.1, 4] = np.nan
    return X


@cache
def labels(n: int = 400) -> np.ndarray:
    """(n,) numbers that depend on all columns but the constant."""
    X = rows(n)
    noise = np.random.default_rng(12).normal(0, 0.1, n)
    gaps = np.nan_to_num(X[:, 1], nan=1.5)
    return X[:, 0] * gaps + (X[:, 2] == 0) * 0.7 + np.abs(X[:, 2]) * 0.5 + (X[:, 4] % 3) * 0.4 + noise


def probes(ensemble: Ensemble, *, missing: bool = True, infinite: bool = True, categories: bool = False) -> np.ndarray:
    """Rows on every kind of edge: thresholds and their neighbours in both precisions, zeros, denormals, gaps, odd categories."""
    base = rows()[:60]
    made = [np.nan_to_num(base, nan=0.3)]
    odd = [0.0, -0.0, 5e-324, -5e-324, 1e-40, -1e-40, 1e-36, ZERO, -ZERO, np.nextafter(ZERO, 1), -np.nextafter(ZERO, 1)]
    odd += [1e-34, -1e-34, 1e30, -1e30, -1.0, -0.5, 0.5, 3.7, 39.0, 39.9, 40.0, 1000.0, 255.0, 256.0, 257.0]
    odd += [np.nan] * missing + [np.inf, -np.inf] * infinite + [2.0**24, 2.0**31, -(2.0**31), 1e18, -1e18] * categories
    for column in range(WIDTH):
        made.append(_with(base, column, odd))
        numeric = ensemble.feature == column
        if ensemble.category_set is not None:
            numeric &= ensemble.category_set < 0
        limits = np.unique(ensemble.threshold[numeric])
        limits = limits[np.abs(limits) < 1e38][:40]
        if limits.size:
            made.append(_with(base, column, list(_neighbours(limits))))
    X = np.vstack(made)
    if missing:
        X = np.vstack([X, base, np.full((1, WIDTH), np.nan)])
    return X if infinite else X[np.isfinite(X.astype(np.float32)).all(axis=1) | np.isnan(X).any(axis=1)]


def _neighbours(limits: np.ndarray) -> Iterator[float]:
    single = limits.astype(np.float32)
    for around in (limits, single):
        for near in (
            around,
            np.nextafter(around, around.dtype.type(np.inf)),
            np.nextafter(around, -around.dtype.type(np.inf)),
        ):
            yield from near.astype(np.float64)


def _with(base: np.ndarray, column: int, values: list[float]) -> np.ndarray:
    X = np.nan_to_num(base[np.arange(len(values)) % len(base)], nan=-0.4)
    X[:, column] = values
    return X
