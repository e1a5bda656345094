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
        return a * b * np.tanh(c) + c**2 * a - 2 * c


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


@pytest.fixture(autouse=True, scope="module")
def sampled():
    """Four features would be summed over all coalitions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shap, "MOST_EXACT", 0)
        yield


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
    assert estimate.samples > 100
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
    assert (estimate.std_error > 0).all()  # 0 is for what is exact
    assert not estimate.exact


def test_a_settled_estimate_ends_the_work():
    flat = np.zeros((1, 4))
    estimates = last(np.array([0.0, 0.0, 1.0, 0.0]), flat)
    assert estimates[-1].settled
    assert estimates[-1].samples < 1000


def test_few_features_are_summed_over_all_coalitions(monkeypatch):
    monkeypatch.setattr(shap, "MOST_EXACT", 4)
    *_, estimate = last(ROW, BACKGROUND)
    assert (estimate.exact, estimate.settled, estimate.samples) == (True, True, 16)
    assert not estimate.std_error.any()
    np.testing.assert_allclose(estimate.values, exact(Function(), ROW, BACKGROUND), atol=1e-12)
    assert estimate.base_values == pytest.approx(Function().predict(BACKGROUND).mean())


@pytest.mark.parametrize("draws", [5, 40, 100, 125, 200, 400])
def test_intervals_cover_what_they_promise(draws):
    """95 % at every stage: before all background rows were seen, when each was seen once, and later. 400 runs x 3 features."""
    background, model = np.random.default_rng(4).normal(size=(100, 4)), Function()
    truth = exact(model, ROW, background)
    prediction, covered = float(model.predict(ROW[None])[0]), []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        strata, visits = shap.Strata(background, 4), shap._visits(len(background), rng)
        at = np.fromiter(visits, np.intp, draws)
        strata.add(at, shap.draw(model.predict, ROW, background[at], prediction, rng))
        estimate = strata.estimate(prediction)
        covered.append(np.abs(estimate.values - truth)[:3] <= 1.96 * estimate.std_error[:3])
    assert 0.91 <= np.mean(covered) <= 0.985


def test_every_background_row_is_used_before_any_is_used_a_third_time():
    visits = shap._visits(40, np.random.default_rng(0))
    first = [next(visits) for _ in range(80)]
    assert sorted(first) == sorted([*range(40), *range(40)])
    assert len(set(first[:50])) == 40


def test_predict_is_asked_in_pieces_that_stay_in_the_cache():
    asked = []

    class Wide(Function):
        def predict(self, rows):
            asked.append(len(rows))
            return super().predict(rows)

    list(shap.explain(Wide(), ROW, BACKGROUND, Deadline(50), np.random.default_rng(0)))
    assert max(asked) <= shap.CHUNK
