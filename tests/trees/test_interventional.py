"""Interventional Shapley values of the compiled kernel, against sums over subsets of every pair of rows."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trees import walk
from trees.forests import drawn, lone_leaves, rows, small

from workbench.trees import interventional as kernels
from workbench.trees.interventional import DENSE, LONGEST, leaf_tables
from workbench.trees.kernel import FEW, TooDeepError, TreeKernel


def held(ensemble, X, background, rounding=1e-12):
    """The kernel against the definition."""
    kernel = TreeKernel(ensemble)
    values, base = kernel.interventional(X, background)
    atol = rounding * np.abs(ensemble.values).max()
    np.testing.assert_allclose(values, walk.interventional(ensemble, X, background), rtol=0, atol=atol)
    np.testing.assert_allclose(base, np.full(len(X), kernel.predict(background).mean()), rtol=0, atol=0)
    np.testing.assert_allclose(values.sum(axis=1) + base, kernel.predict(X), rtol=0, atol=10 * atol)
    return values


@settings(max_examples=40)
@given(small, st.integers(0, 2**32 - 1), st.sampled_from([1, FEW, FEW + 1, 8, 9, 40]), st.sampled_from([1, 31, 33]))
@example(lone_leaves(), 0, 9, 33)
def test_values_are_shapleys_by_their_definition(ensemble, seed, n, m):
    rng = np.random.default_rng(seed)
    held(ensemble, rows(ensemble, rng, n), rows(ensemble, rng, m))


@pytest.mark.parametrize("n", [1, FEW, FEW + 1, 8, 9, 40])
@pytest.mark.parametrize("m", [1, 31, 33, 300])
def test_few_rows_and_many_against_few_and_many(n, m):
    rng = np.random.default_rng(n)
    ensemble = drawn(rng, used=4, trees=2, depth=5, categorical=True)
    X = rows(ensemble, rng, 40)
    background = rows(ensemble, rng, m)
    values = held(ensemble, X[:n], background)
    rest, _ = TreeKernel(ensemble).interventional(X, background)
    np.testing.assert_allclose(values, rest[:n], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "features"),
    [
        *product((1, FEW, FEW + 1, 40), (DENSE - 1, DENSE, DENSE + 1, LONGEST)),
        *product((1, FEW), (LONGEST + 1, 50)),
    ],
)
def test_long_paths(n, features):
    """A row, and others that differ from it in at most three features, so that two differ in at most six."""
    rng = np.random.default_rng(features)
    ensemble = drawn(rng, width=features, used=features, trees=2, depth=features, chain=True, smooth=True)
    made = np.repeat(satisfying(ensemble)[None], n + 31, axis=0)
    for row in made:
        for j in rng.choice(features, 3, replace=False):
            row[j] = rng.normal()
    values = held(ensemble, made[:n], made[n:])
    assert np.count_nonzero(values.any(axis=0)) > features // 4


def satisfying(ensemble) -> np.ndarray:
    """A row that goes all the way down the first chain, where there is a number that does."""
    row, node = np.zeros(ensemble.n_features), int(ensemble.roots[0])
    while node >= 0:
        left = ensemble.left[node] >= 0
        row[ensemble.feature[node]] = ensemble.threshold[node] + (-1e-6 if left else 1e-6)
        node = int(ensemble.left[node] if left else ensemble.right[node])
    return row


@pytest.mark.parametrize("d", range(1, DENSE + 1))
def test_pairs_of_patterns_give_what_sums_over_subsets_give(d):
    rng = np.random.default_rng(d)
    some = np.unique(rng.integers(0, 1 << d, 40)).astype(np.int32)
    asked = np.unique(np.r_[rng.integers(0, 1 << d, 40), (1 << d) - 1, 0]).astype(np.int32)
    amounts = rng.normal(size=len(some))
    pairs = kernels._by_pairs(d, some, amounts, asked, leaf_tables())
    sums = kernels._by_sums(d, some, amounts, asked, leaf_tables())
    np.testing.assert_allclose(pairs, sums, rtol=0, atol=1e-13)
    assert pairs.any()


def test_each_route_is_taken():
    """How many patterns must meet before it is worth summing over all that there could be."""
    rng = np.random.default_rng(3)
    for d, expected in ((3, "sums"), (DENSE, "pairs")):
        some, asked = (rng.integers(0, 1 << d, n).astype(np.int32) for n in (33, 40))
        assert (len(np.unique(some)) * len(np.unique(asked)) >= d << d) == (expected == "sums")
        which, table = kernels._leaf(d, some, asked, leaf_tables(), 2.0)
        by_hand = kernels._by_pairs(d, some, np.full(len(some), 2.0), asked, leaf_tables())
        np.testing.assert_allclose(table[which], by_hand, rtol=0, atol=1e-12)


def test_more_features_on_a_path_than_a_number_has_bits():
    rng = np.random.default_rng(0)
    ensemble = drawn(rng, width=40, used=LONGEST + 1, trees=1, depth=LONGEST + 1, chain=True)
    X = rows(ensemble, rng, FEW + 1)
    with pytest.raises(TooDeepError):
        TreeKernel(ensemble).interventional(X, X)
    again = drawn(rng, width=40, used=LONGEST, trees=1, depth=60, chain=True)
    values, base = TreeKernel(again).interventional(X, X)
    np.testing.assert_allclose(values.sum(axis=1) + base, TreeKernel(again).predict(X), rtol=0, atol=1e-12)


def test_rows_do_not_see_their_neighbours():
    rng = np.random.default_rng(1)
    ensemble = drawn(rng, trees=10, depth=6, used=6)
    X, background = rows(ensemble, rng, 200), rows(ensemble, rng, 100)
    kernel = TreeKernel(ensemble)
    values, _ = kernel.interventional(X, background)
    for first, last in pairwise((0, 1, 9, 42, 200)):
        found, _ = kernel.interventional(X[first:last], background)
        np.testing.assert_allclose(found, values[first:last], rtol=0, atol=1e-13)
