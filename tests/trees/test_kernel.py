"""Outputs and path-dependent Shapley values of the compiled kernels, against a walk and a sum over subsets."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trees import walk
from trees.forests import drawn, lone_leaves, many_thresholds, rows, small

from workbench.trees import program
from workbench.trees.kernel import TreeKernel
from workbench.trees.program import TooLargeError

SEEDS = st.integers(0, 2**32 - 1)
LONE = lone_leaves()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@cache
def large(chain: bool = False):
    """Trees enough, and features, for sums to lose digits."""
    if chain:
        return drawn(rng(3), width=50, used=40, trees=12, depth=60, chain=True, smooth=True)
    return drawn(rng(4), width=30, used=25, trees=150, depth=8, categorical=True)


def spread(ensemble) -> float:
    """What an error of the values is measured by."""
    return float(np.abs(ensemble.values).max())


@settings(max_examples=150)
@given(small, SEEDS)
@example(LONE, 0)
def test_outputs_are_those_of_a_walk_to_the_last_bit(ensemble, seed):
    X = rows(ensemble, rng(seed), 40)
    found, expected = TreeKernel(ensemble).predict(X), walk.outputs(ensemble, X)
    if (ensemble.roots < 0).any():  # what has no split is added first
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15 * (1 + spread(ensemble)))
    else:
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("single", [False, True], ids=["double", "single"])
def test_outputs_of_large_forests_are_those_of_a_walk(single):
    for ensemble in (large(), large(chain=True), many_thresholds(rng(5))):
        grown = replace(ensemble, roots=ensemble.roots[ensemble.roots >= 0], single=single)
        X = rows(grown, rng(), 600)
        assert np.array_equal(TreeKernel(grown).predict(X), walk.outputs(grown, X))


@settings(max_examples=60)
@given(small, SEEDS)
@example(LONE, 0)
def test_values_are_shapleys_by_their_definition(ensemble, seed):
    X = rows(ensemble, rng(seed), 12)
    values, base = TreeKernel(ensemble).contributions(X)
    expected, mean = walk.shapley(ensemble, X)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * spread(ensemble))
    np.testing.assert_allclose(base, mean, rtol=0, atol=1e-12 * spread(ensemble))
    alone = [TreeKernel(ensemble).contributions(row[None])[0][0] for row in X[:4]]
    np.testing.assert_allclose(alone, expected[:4], rtol=0, atol=1e-12 * spread(ensemble))
    fast, mean = TreeKernel(ensemble, np.float32).contributions(X)
    np.testing.assert_allclose(fast, expected, rtol=0, atol=1e-5 * spread(ensemble))
    assert np.array_equal(mean, base)


@settings(max_examples=25)
@given(SEEDS)
def test_sub_trees_that_no_row_came_by_weigh_nothing(seed):
    ensemble = drawn(rng(seed), depth=5, hollow=True)
    ensemble = replace(ensemble, leaf_cover=ensemble.leaf_cover * (rng(seed).random(ensemble.n_leaves) < 0.3))
    ensemble = replace(ensemble, cover=covers(ensemble))
    X = rows(ensemble, rng(seed), 12)
    values, base = TreeKernel(ensemble).contributions(X)
    expected, mean = walk.shapley(ensemble, X)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * spread(ensemble))
    np.testing.assert_allclose(base, mean, rtol=0, atol=1e-12 * spread(ensemble))


def covers(ensemble) -> np.ndarray:
    """Of inner nodes, from those of the leaves; children have larger numbers."""
    found = np.zeros(len(ensemble.feature))
    for node in reversed(range(len(found))):
        for child in (ensemble.left[node], ensemble.right[node]):
            found[node] += found[child] if child >= 0 else ensemble.leaf_cover[~child]
    return found


def test_subsets_by_their_size_are_subsets_one_by_one():
    ensemble = drawn(rng(9), trees=6, depth=7, categorical=True)
    X = rows(ensemble, rng(), 30)
    np.testing.assert_allclose(walk.by_leaves(ensemble, X), walk.shapley(ensemble, X)[0], rtol=0, atol=1e-13)


def test_forty_features_on_a_path_of_sixty_splits():
    ensemble = drawn(rng(3), width=50, used=40, trees=2, depth=60, chain=True, smooth=True)
    X = rows(ensemble, rng(), 12)
    kernel, expected = TreeKernel(ensemble), walk.by_leaves(ensemble, X)
    np.testing.assert_allclose(kernel.contributions(X)[0], expected, rtol=0, atol=1e-12 * np.ptp(expected))
    alone = [kernel.contributions(row[None])[0][0] for row in X]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-12 * np.ptp(expected))
    fast = TreeKernel(ensemble, np.float32).contributions(X)[0]
    np.testing.assert_allclose(fast, expected, rtol=0, atol=1e-5 * np.ptp(expected))


def test_one_feature_asked_for_sixty_times():
    ensemble = drawn(rng(6), width=2, used=1, trees=3, depth=60, chain=True, smooth=True)
    X = rows(ensemble, rng(), 40)
    kernel = TreeKernel(ensemble)
    values, base = kernel.contributions(X)
    np.testing.assert_allclose(values[:, 0], kernel.predict(X) - base, rtol=0, atol=1e-12)
    assert not values[:, 1].any()


@pytest.mark.parametrize("chain", [False, True], ids=["trees", "chains"])
def test_values_and_base_add_up_to_the_output(chain):
    ensemble = large(chain=chain)
    X, kernel = rows(ensemble, rng(), 600), TreeKernel(ensemble)
    values, base = kernel.contributions(X)
    output = kernel.predict(X)
    np.testing.assert_allclose(values.sum(axis=1) + base, output, rtol=0, atol=1e-12 * np.ptp(output))
    alone, mean = kernel.contributions(X[:1])
    np.testing.assert_allclose(alone.sum(axis=1) + mean, output[:1], rtol=0, atol=1e-12 * np.ptp(output))


@pytest.mark.parametrize("chain", [False, True], ids=["trees", "chains"])
def test_singles_are_right_to_a_hundred_thousandth_of_the_range(chain):
    ensemble = large(chain=chain)
    X = rows(ensemble, rng(), 300)
    expected = TreeKernel(ensemble).contributions(X)[0]
    fast = TreeKernel(ensemble, np.float32).contributions(X)[0]
    assert not np.array_equal(fast, expected)
    np.testing.assert_allclose(fast, expected, rtol=0, atol=1e-5 * np.ptp(expected))


def test_singles_lose_nothing_where_outputs_are_prices():
    """Four thousand points and a few up or down, as LightGBM and forests write them into every leaf."""
    ensemble = drawn(rng(2), trees=60, depth=6, used=5)
    high = replace(ensemble, values=ensemble.values + 4000)
    X = rows(ensemble, rng(), 100)
    expected = TreeKernel(ensemble).contributions(X)[0]
    for dtype, rounding in ((np.float64, 1e-12), (np.float32, 1e-6)):
        found = TreeKernel(high, dtype).contributions(X)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=rounding * np.ptp(expected))


def test_a_feature_that_no_tree_asks_for_has_exactly_nothing():
    ensemble = large()
    X = rows(ensemble, rng(), 64)
    for dtype in (np.float64, np.float32):
        kernel = TreeKernel(ensemble, dtype)
        assert not kernel.contributions(X)[0][:, 25:].any()
        assert not kernel.contributions(X[:1])[0][:, 25:].any()
        assert kernel.contributions(X)[0][:, :25].any(axis=0).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_row_does_not_see_its_neighbours(dtype):
    ensemble = drawn(rng(8), trees=20, depth=7, used=6, width=7, categorical=True)
    X, kernel = rows(ensemble, rng(), 700), TreeKernel(ensemble, dtype)
    (values, base), output = kernel.contributions(X), kernel.predict(X)
    order = rng(1).permutation(700)
    assert np.array_equal(kernel.contributions(X[order])[0], values[order])
    assert np.array_equal(kernel.predict(X[order]), output[order])
    for size in (2, 3, 31, 32, 33, 256, 511, 512, 513, 698):
        found, mean = kernel.contributions(X[:size])
        assert np.array_equal(found, values[:size])
        assert np.array_equal(mean, base[:size])
        assert np.array_equal(kernel.contributions(X[-size:])[0], values[-size:])
        assert np.array_equal(kernel.predict(X[-size:]), output[-size:])
    assert np.array_equal([kernel.predict(row[None])[0] for row in X[:40]], output[:40])


@pytest.mark.parametrize("ensemble", [LONE, drawn(rng(1))], ids=["lone leaves", "trees"])
def test_no_rows_give_no_values(ensemble):
    none, kernel = np.empty((0, ensemble.n_features)), TreeKernel(ensemble)
    assert kernel.predict(none).shape == (0,)
    values, base = kernel.contributions(none)
    assert values.shape == none.shape
    assert base.shape == (0,)
    assert list(kernel.interactions(none)) == []
    assert kernel.interventional(none, np.zeros((3, ensemble.n_features)))[0].shape == none.shape


def test_rows_of_nothing_but_gaps_and_infinities():
    ensemble = drawn(rng(12), trees=30, depth=6, categorical=True)
    X = np.repeat([[np.nan], [np.inf], [-np.inf]], ensemble.n_features, axis=1)
    kernel = TreeKernel(ensemble)
    output = walk.outputs(ensemble, X)
    values, base = kernel.contributions(X)
    np.testing.assert_allclose(kernel.predict(X), output, rtol=0, atol=1e-13)
    np.testing.assert_allclose(values.sum(axis=1) + base, output, rtol=0, atol=1e-12)
    assert len(set(output)) == 3


@pytest.mark.parametrize("missing_left", [False, True])
def test_a_gap_goes_its_own_way_at_a_set_of_no_categories(missing_left):
    ensemble = replace(
        drawn(rng(0), trees=1, depth=1, used=1, chain=True, categorical=True),
        category_set=np.zeros(1, np.int32),
        sets=(np.empty(0, np.int64),),
        missing_left=np.array([missing_left]),
    )
    X = np.zeros((2, ensemble.n_features))
    X[0, 0] = np.nan
    assert np.array_equal(TreeKernel(ensemble).predict(X), walk.outputs(ensemble, X))


@pytest.mark.parametrize("form", ["read-only", "by columns", "single", "every other"])
def test_rows_of_any_make_are_taken(form):
    ensemble = drawn(rng(1), trees=8, smooth=True)
    X = rng().normal(size=(40, ensemble.n_features)).astype(np.float32).astype(np.float64)
    given_rows = {
        "read-only": X.copy(),
        "by columns": np.asfortranarray(X),
        "single": X.astype(np.float32),
        "every other": np.repeat(X, 2, axis=0)[::2],
    }[form]
    given_rows.setflags(write=form != "read-only")
    kernel = TreeKernel(ensemble)
    assert np.array_equal(kernel.predict(given_rows), kernel.predict(X))
    assert np.array_equal(kernel.contributions(given_rows)[0], kernel.contributions(X)[0])


def test_tables_beyond_memory_are_refused(monkeypatch):
    ensemble = drawn(rng(1), trees=8)
    size = len(TreeKernel(ensemble)._fast.tables)
    monkeypatch.setattr(program, "LARGEST", size)
    TreeKernel(ensemble)
    monkeypatch.setattr(program, "LARGEST", size // 2)
    with pytest.raises(TooLargeError):
        TreeKernel(ensemble)
