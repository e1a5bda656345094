"""What a forest asks of a row, as columns of small numbers: every split then is `code <= rank`, whatever the library's rules are.

A column stands for a feature under one rule for missing values, or for one set of categories; a row's code in it is how many of the
column's thresholds lie below its value. Comparing codes is comparing values, exactly, in any precision that holds whole numbers.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.schema import Floats
from workbench.trees.ensemble import ZERO, Ensemble, Missing, Whole


class Columns(NamedTuple):
    """C columns. `bounds[starts[c]:starts[c + 1]]` are a column's thresholds, or the categories of its set, ascending."""

    feature: Whole
    missing: NDArray[np.uint8]
    missing_left: NDArray[np.bool_]
    is_set: NDArray[np.bool_]
    starts: NDArray[np.int64]
    bounds: Floats
    single: bool
    category: int


def columns_of(ensemble: Ensemble) -> tuple[Columns, Whole, Floats]:
    """The columns; and for each inner node its column and the rank that a row's code may at most have to go left."""
    n = len(ensemble.feature)
    sets = np.full(n, -1) if ensemble.category_set is None else ensemble.category_set
    missing = np.where(sets < 0, ensemble.missing, Missing.NAN)
    # Where NaN is read as zero there is no side that missing values go to.
    left = ensemble.missing_left & (missing != Missing.NEVER)
    rules = np.stack([ensemble.feature, missing, left, sets], axis=1)
    found, column = np.unique(rules, axis=0, return_inverse=True)
    column = column.reshape(n)
    rank, bounds = np.zeros(n), []
    order, ends = np.argsort(column, kind="stable"), np.cumsum(np.bincount(column))
    for nodes, listed in zip(np.split(order, ends)[:-1], found[:, 3], strict=True):
        if listed >= 0:
            bounds.append(ensemble.sets[listed].astype(np.float64))
        else:
            own, rank[nodes] = np.unique(ensemble.threshold[nodes], return_inverse=True)
            bounds.append(own)
    starts = np.concatenate([[0], np.cumsum([len(own) for own in bounds])]).astype(np.int64)
    columns = Columns(
        found[:, 0].astype(np.int32),
        found[:, 1].astype(np.uint8),
        found[:, 2].astype(bool),
        found[:, 3] >= 0,
        starts,
        np.concatenate([*bounds, np.empty(0)]),
        ensemble.single,
        int(ensemble.category),
    )
    return columns, column.astype(np.int32), rank


@njit(cache=True, nogil=True)
def encode(columns: Columns, rows: Floats, codes: Floats) -> None:
    """Rows (n, d) -> codes (C, at least n), in place. At a set's column the rank is 0, and what it holds lies below."""
    for c in range(len(columns.feature)):
        first, last = columns.starts[c], columns.starts[c + 1]
        bounds, feature, missing = columns.bounds[first:last], columns.feature[c], columns.missing[c]
        gone = -1.0 if columns.missing_left[c] else 1.0 + float(last - first)
        for i in range(len(rows)):
            x = rows[i, feature]
            if columns.single:
                x = float(np.float32(x))
            if np.isnan(x) and missing == 0:
                x = 0.0
            if np.isnan(x) or (missing == 1 and abs(x) <= ZERO):
                codes[c, i] = gone
            elif columns.is_set[c]:
                cut = np.trunc(x) if columns.category == 0 else np.floor(x) if columns.category == 1 else x
                codes[c, i] = -1.0 if _holds(bounds, cut) else 1.0
            else:
                codes[c, i] = _below(bounds, x)


@njit(cache=True, nogil=True)
def _below(bounds: Floats, x: float) -> int:
    """How many of the ascending bounds are smaller than x; without branches, as they would be guessed wrongly half of the time."""
    base, n = 0, len(bounds)
    while n > 1:
        half = n // 2
        base += half * (bounds[base + half - 1] < x)
        n -= half
    return base + (bounds[base] < x) if len(bounds) else 0


@njit(cache=True, nogil=True)
def _holds(bounds: Floats, x: float) -> bool:
    at = _below(bounds, x)
    return at < len(bounds) and bounds[at] == x
