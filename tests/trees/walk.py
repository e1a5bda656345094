"""An `Ensemble` read by the book, without any speed: where rows go, what comes out, and Shapley values by their definition."""

from collections.abc import Iterator
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
    phi, base = np.zeros(rows.shape), np.full(len(rows), ensemble.base)
    for features, value in _games(ensemble, rows):
        k = len(features)
        base += value[frozenset()]
        for s, without in value.items():
            for j in set(features) - s:
                weight = factorial(len(s)) * factorial(k - len(s) - 1) / factorial(k)
                phi[:, j] += weight * (value[s | {j}] - without)
    return phi, base


def interactions(ensemble: Ensemble, rows: np.ndarray) -> np.ndarray:
    """(n, d) -> Shapley interaction values (n, d, d), of the same v(S); what pairs leave over stands on the diagonal."""
    d = rows.shape[1]
    phi = np.zeros((len(rows), d, d))
    for features, value in _games(ensemble, rows):
        k = len(features)
        for i, j in combinations(features, 2):
            for s, neither in value.items():
                if not s & {i, j}:
                    weight = factorial(len(s)) * factorial(k - len(s) - 2) / (2 * factorial(k - 1))
                    phi[:, i, j] += weight * (value[s | {i, j}] - value[s | {i}] - value[s | {j}] + neither)
    phi += phi.transpose(0, 2, 1)
    phi[:, range(d), range(d)] = shapley(ensemble, rows)[0] - phi.sum(axis=2)
    return phi


def by_leaves(ensemble: Ensemble, rows: np.ndarray) -> np.ndarray:
    """(n, d) -> the same as `shapley`, subsets of a leaf's path counted by their size: for paths of many features.

    A subset has the product of s_j over it and r_j over the rest, 0 <= s, r <= 1: nothing cancels in their sums.
    """
    left, phi = _lefts(ensemble, rows), np.zeros(rows.shape)
    for leaf, path in _paths(ensemble):
        features = sorted({int(ensemble.feature[node]) for node, _ in path})
        s, r = {j: np.ones(len(rows)) for j in features}, dict.fromkeys(features, 1.0)
        for node, goes_left in path:
            j, child = int(ensemble.feature[node]), (ensemble.left if goes_left else ensemble.right)[node]
            s[j], r[j] = s[j] * (left[:, node] == goes_left), r[j] * _share(ensemble, child, node)
        k = len(features)
        for j in features:
            sums = np.zeros((k, len(rows)))
            sums[0] = 1
            for i in set(features) - {j}:
                sums[1:], sums[0] = sums[1:] * r[i] + sums[:-1] * s[i], sums[0] * r[i]
            weights = [factorial(n) * factorial(k - n - 1) / factorial(k) for n in range(k)]
            phi[:, j] += ensemble.values[leaf] * (s[j] - r[j]) * (weights @ sums)
    return phi


def interventional(ensemble: Ensemble, rows: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(n, d) against (m, d) -> Shapley values (n, d) of v(S), the mean output of the row with background values outside S.

    For each pair of rows a sum over all subsets of the features in which the two differ.
    """
    x, z = np.repeat(rows, len(background), axis=0), np.tile(background, (len(rows), 1))
    differs = ~((x == z) | (np.isnan(x) & np.isnan(z))) & np.isin(np.arange(rows.shape[1]), ensemble.feature)
    number, k = np.cumsum(differs, axis=1) - 1, int(differs.sum(axis=1).max(initial=0))
    subsets = np.arange(1 << k)
    own = (subsets[None, :, None] >> np.maximum(number, 0)[:, None, :] & 1) == 1
    mixed = np.where(own & differs[:, None, :], x[:, None, :], z[:, None, :])
    value = outputs(ensemble, mixed.reshape(-1, rows.shape[1])).reshape(len(x), -1)
    size = np.array([int(s).bit_count() for s in subsets])
    gain = np.zeros((len(x), max(k, 1)))
    for j in range(k):
        without = subsets[subsets >> j & 1 == 0]
        weights = [factorial(n) * factorial(k - n - 1) / factorial(k) for n in size[without]]
        gain[:, j] = (value[:, without | 1 << j] - value[:, without]) @ weights
    phi = np.where(differs, np.take_along_axis(gain, np.maximum(number, 0), axis=1), 0)
    return phi.reshape(len(rows), len(background), -1).mean(axis=1)


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


def _games(ensemble: Ensemble, rows: np.ndarray) -> Iterator[tuple[list[int], dict[frozenset[int], np.ndarray]]]:
    """For each tree its features, and v(S) for all subsets of them."""
    left = _lefts(ensemble, rows)
    for root in ensemble.roots:
        features = _below(ensemble, root)
        subsets = [frozenset(s) for n in range(len(features) + 1) for s in combinations(features, n)]
        yield features, {s: _value(ensemble, left, root, s) for s in subsets}


def _paths(ensemble: Ensemble) -> Iterator[tuple[int, list[tuple[int, bool]]]]:
    """Every leaf, and the nodes above it with the side that is taken."""
    waiting: list[tuple[int, list[tuple[int, bool]]]] = [(int(root), []) for root in ensemble.roots]
    while waiting:
        node, path = waiting.pop()
        if node < 0:
            yield ~node, path
            continue
        waiting += [
            (int(ensemble.left[node]), [*path, (node, True)]),
            (int(ensemble.right[node]), [*path, (node, False)]),
        ]


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
    shares = [_share(ensemble, side, node) for side in (ensemble.left[node], ensemble.right[node])]
    return shares[0] * sides[0] + shares[1] * sides[1]


def _share(ensemble: Ensemble, child: int, node: int) -> float:
    """Which part of a node's cover goes to its child; none where there is no cover."""
    cover = ensemble.cover[child] if child >= 0 else ensemble.leaf_cover[~child]
    return float(cover / ensemble.cover[node]) if ensemble.cover[node] > 0 else 0.0


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
