"""Shapley interaction values of the compiled kernel, against a sum over subsets."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trees import walk
from trees.forests import drawn, lone_leaves, rows, small

from workbench.trees.kernel import TreeKernel


def whole(kernel: TreeKernel, X: np.ndarray) -> np.ndarray:
    """All parts in one array, each where it says that it belongs."""
    found = np.full((len(X), kernel.n_features, kernel.n_features), np.nan)
    for part, values in kernel.interactions(X):
        found[part] = values
    return found


@settings(max_examples=50)
@given(small, st.integers(0, 2**32 - 1))
@example(lone_leaves(), 0)
def test_interactions_are_shapleys_by_their_definition(ensemble, seed):
    X = rows(ensemble, np.random.default_rng(seed), 40)
    found, expected = whole(TreeKernel(ensemble), X), walk.interactions(ensemble, X)
    rounding = np.abs(ensemble.values).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * rounding)
    fast = whole(TreeKernel(ensemble, np.float32), X)
    np.testing.assert_allclose(fast, expected, rtol=0, atol=1e-5 * rounding)


@pytest.mark.parametrize(
    "how",
    [
        {"width": 22, "used": 20, "trees": 30, "depth": 8, "categorical": True},
        {"width": 42, "used": 40, "trees": 3, "depth": 60, "chain": True, "smooth": True},
    ],
    ids=["trees", "chains"],
)
@pytest.mark.parametrize(("dtype", "rounding"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_interactions_are_symmetric_and_their_rows_add_up_to_the_values(how, dtype, rounding):
    ensemble = drawn(np.random.default_rng(5), **how)
    X, kernel = rows(ensemble, np.random.default_rng(6), 70), TreeKernel(ensemble, dtype)
    found, values = whole(kernel, X), TreeKernel(ensemble).contributions(X)[0]
    assert np.array_equal(found, found.transpose(0, 2, 1))
    np.testing.assert_allclose(found.sum(axis=2), values, rtol=0, atol=rounding * np.ptp(values))
    np.testing.assert_allclose(found, whole(TreeKernel(ensemble), X), rtol=0, atol=rounding * np.ptp(values))
    assert not found[:, -2:].any()
    assert found[:, 0, 1].any()
    order = np.random.default_rng(7).permutation(70)
    assert np.array_equal(whole(kernel, X[order]), found[order])
