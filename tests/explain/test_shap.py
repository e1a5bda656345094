from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.budget import Deadline
from workbench.explain import shap


class Function:
    """A model of a formula; idle in its last column."""

    feature_names = ("a", "b", "c", "d")

    def predict(self, rows):
        a, b, c, _ = rows.T
        return a * b + np.tanh(c) * a - 2 * c


def exact(model, row, background):
    """Interventional Shapley values by the definition, over all 2^d coalitions."""
    d = len(row)

    def worth(coalition):
        rows = background.copy()
        rows[:, list(coalition)] = row[list(coalition)]
        return model.predict(rows).mean()

    values = np.zeros(d)
    for j in range(d):
        others = [k for k in range(d) if k != j]
        for size in range(d):
            weight = factorial(size) * factorial(d - size - 1) / factorial(d)
            for coalition in combinations(others, size):
                values[j] += weight * (worth((*coalition, j)) - worth(coalition))
    return values


def last(row, background, seed=0, calls=400):
    """The last estimate of a run that may look at the clock `calls` times."""
    now = iter(np.arange(0, 800, 800 / calls) / 1000)
    deadline = Deadline(800, clock=lambda: next(now, 10.0))
    return list(shap.explain(Function(), row, background, deadline, np.random.default_rng(seed)))


ROW = np.array([1.0, -2.0, 0.5, 3.0])
BACKGROUND = np.random.default_rng(3).normal(size=(40, 4))


def test_it_comes_to_the_exact_values_within_its_error_bars():
    truth = exact(Function(), ROW, BACKGROUND)
    estimate = last(ROW, BACKGROUND)[-1]
    assert estimate.samples > 500
    assert np.abs(estimate.values - truth).max() < 0.05 * np.abs(truth).max()
    assert (np.abs(estimate.values - truth) <= 4 * estimate.std_error + 1e-12).all()


def test_it_is_unbiased_however_early_it_is_stopped():
    truth = exact(Function(), ROW, BACKGROUND)
    first = np.array([last(ROW, BACKGROUND, seed, calls=4)[0].values for seed in range(400)])
    error = first.std(axis=0, ddof=1) / np.sqrt(len(first))
    assert (np.abs(first.mean(axis=0) - truth) <= 4 * error + 1e-12).all()


def test_each_estimate_is_better_than_the_one_before():
    samples = [estimate.samples for estimate in last(ROW, BACKGROUND)]
    assert samples == sorted(set(samples))
    assert len(samples) > 3


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.integers(0, 100))
def test_axioms(row, seed):
    row = np.array(row)
    estimate = last(row, BACKGROUND, seed, calls=20)[-1]
    assert estimate.base_values + estimate.values.sum() == pytest.approx(Function().predict(row[None])[0], abs=1e-9)
    assert estimate.values[3] == 0
    assert estimate.std_error[3] == 0
    assert not estimate.exact


def test_a_settled_estimate_ends_the_work():
    flat = np.zeros((1, 4))
    estimates = last(np.array([0.0, 0.0, 1.0, 0.0]), flat)
    assert estimates[-1].settled
    assert estimates[-1].samples < 1000
