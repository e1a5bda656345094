"""An `Ensemble` read by the book, without any speed: where rows go, what comes out, and Shapley values by their definition."""

from itertools import combinations
from math import factorial

import numpy as np

from workbench.trees.ensemble import ZERO, Category, Ensemble, Missing


def outputs(ensemble: Ensemble, rows: np.ndarray) -> np.ndarray:
    """(n, d) -> raw outputs (n,)."""
    left = _lefts(ensemble, rows)
    total = np.full(len(rows), ensemble.base)
    for root in ensemble.roots:
        at = np.full(len(rows), root)
        while (at >= 0).any():
            inside = np.maximum(at, 0)
            below = np.where(left[np.arange(len(rows)), inside], ensemble.left[inside], ensemble.right[inside])
            at = np.where(at >= 0, below, at)
        total += ensemble.values[~at]
    return total


def shapley(ensemble: Ensemble, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) -> path-dependent Shapley values (n, d) and base values (n,): a sum over all subsets of each tree's features.

    v(S): the features in S decide as they do; at a split on another the two sides are weighed by their covers (Lundberg et al. 2020).
    """
    left = _lefts(ensemble, rows)
    phi, base = np.zeros(rows.shape), np.full(len(rows), ensemble.base)
    for root in ensemble.roots:
        features = _below(ensemble, root)
        k = len(features)
        value = {
            frozenset(s): _value(ensemble, left, root, frozenset(s))
            for n in range(k + 1)
            for s in combinations(features, n)
        }
        base += value[frozenset()]
        for s, without in value.items():
            for j in set(features) - s:
                weight = factorial(len(s)) * factorial(k - len(s) - 1) / factorial(k)
                phi[:, j] += weight * (value[s | {j}] - without)
    return phi, base


def check(ensemble: Ensemble, width: int) -> None:
    """The arrays are of one piece: types, lengths, each node below exactly one other or a root, no split without cover."""
    inner, leaves = len(ensemble.feature), ensemble.n_leaves
    for name in ("feature", "left", "right", "roots"):
        assert getattr(ensemble, name).dtype == np.int32, name
    for name in ("threshold", "cover", "values", "leaf_cover"):
        assert getattr(ensemble, name).dtype == np.float64, name
    assert ensemble.missing.dtype == np.uint8
    assert ensemble.missing_left.dtype == bool
    names = "feature threshold missing missing_left left right cover"
    assert {len(getattr(ensemble, name)) for name in names.split()} == {inner}
    assert len(ensemble.leaf_cover) == leaves
    assert ensemble.n_features == width
    reached = np.concatenate([ensemble.roots, ensemble.left, ensemble.right])
    assert sorted(reached) == list(range(-leaves, inner))
    assert (ensemble.cover > 0).all()
    assert (ensemble.leaf_cover >= 0).all()
    if ensemble.category_set is not None:
        assert ensemble.category_set.dtype == np.int32
        used = ensemble.category_set[ensemble.category_set >= 0]
        assert set(used) <= set(range(len(ensemble.sets)))
        assert (ensemble.missing[ensemble.category_set >= 0] == Missing.NAN).all()
        assert all(members.dtype == np.int64 and (np.diff(members) > 0).all() for members in ensemble.sets)


def _below(ensemble: Ensemble, node: int) -> list[int]:
    if node < 0:
        return []
    below = (_below(ensemble, ensemble.left[node]), _below(ensemble, ensemble.right[node]))
    return sorted({int(ensemble.feature[node])}.union(*below))


def _value(ensemble: Ensemble, left: np.ndarray, node: int, known: frozenset[int]) -> np.ndarray:
    if node < 0:
        return np.full(len(left), ensemble.values[~node])
    sides = [_value(ensemble, left, side, known) for side in (ensemble.left[node], ensemble.right[node])]
    if int(ensemble.feature[node]) in known:
        return np.where(left[:, node], *sides)
    shares = [_cover(ensemble, side) / ensemble.cover[node] for side in (ensemble.left[node], ensemble.right[node])]
    return shares[0] * sides[0] + shares[1] * sides[1]


def _cover(ensemble: Ensemble, node: int) -> float:
    return ensemble.cover[node] if node >= 0 else ensemble.leaf_cover[~node]


def _lefts(ensemble: Ensemble, rows: np.ndarray) -> np.ndarray:
    """(n, N) whether each row goes left at each split."""
    if ensemble.single:
        with np.errstate(over="ignore"):
            rows = rows.astype(np.float32).astype(np.float64)
    answers = [_left(ensemble, node, rows[:, ensemble.feature[node]]) for node in range(len(ensemble.feature))]
    return np.array(answers).T.reshape(len(rows), len(ensemble.feature))


def _left(ensemble: Ensemble, node: int, x: np.ndarray) -> np.ndarray:
    missing = np.isnan(x)
    if ensemble.category_set is not None and ensemble.category_set[node] >= 0:
        found = np.isin(_category(ensemble, x), ensemble.sets[ensemble.category_set[node]])
        return np.where(missing, ensemble.missing_left[node], found)
    if ensemble.missing[node] == Missing.ZERO:
        missing |= np.abs(x) <= ZERO
    if ensemble.missing[node] == Missing.NEVER:
        x, missing = np.where(missing, 0.0, x), np.zeros(len(x), bool)
    return np.where(missing, ensemble.missing_left[node], x <= ensemble.threshold[node])


def _category(ensemble: Ensemble, x: np.ndarray) -> np.ndarray:
    """As floats, so that what is beyond any whole number's range stays what it is."""
    if ensemble.category == Category.EXACT:
        return np.where(x == np.floor(x), x, np.nan)
    return np.trunc(x) if ensemble.category == Category.CUT else np.floor(x)
