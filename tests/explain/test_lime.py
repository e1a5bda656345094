import warnings
from functools import cache
from itertools import pairwise
from types import SimpleNamespace

import lightgbm
import lime_peer
import numpy as np
import pytest
from lime_peer import BACKGROUND, ROW, product
from scipy.stats import truncnorm

from workbench.budget import Deadline
from workbench.explain import lime
from workbench.local_fit import LIME_DRAWS, LocalFit
from workbench.neighbourhood import Neighbourhood, bins_of, quartiles
from workbench.schema import ModelFailedError


class Model:
    """A model of a formula."""

    feature_names = ()
    scale = "raw"
    takes_missing = True

    def __init__(self, formula):
        self.predict = formula


@cache
def booster():
    params = {"objective": "regression", "num_leaves": 15, "learning_rate": 0.3, "verbose": -1, "num_threads": 1}
    return lightgbm.train(params, lightgbm.Dataset(BACKGROUND, product(BACKGROUND)), 8)


def trees(rows):
    return booster().predict(rows, num_threads=1)


def ticking(ms, calls):
    """A deadline whose clock has been looked at `calls` times when it has passed."""
    now = iter(np.linspace(0, ms, calls + 1) / 1000)
    return Deadline(ms, clock=lambda: next(now, 10.0))


def estimates(formula, row=ROW, background=BACKGROUND, seed=0, calls=40):
    return list(lime.explain(Model(formula), row, background, ticking(800, calls), np.random.default_rng(seed)))


def fitted(formula, *sizes, seed=0, row=ROW, background=BACKGROUND):
    """A fit fed with batches of these sizes."""
    near, rng = Neighbourhood(row, background), np.random.default_rng(seed)
    fit, weight = LocalFit(len(near.varying)), lime.kernel(len(row))
    for size in sizes:
        rows, on, deviations = near.draw(size, rng)
        fit.add(on, weight[(~on).sum(axis=1)], formula(rows) - formula(row[None])[0], deviations)
    return fit


@cache
def endless(formula):
    """What endless draws come to: the coefficients of 200,000."""
    return fitted(formula, *[10_000] * 20, seed=99).coefficients


# --- the lime package side by side ---


@pytest.fixture(scope="module")
def peer():
    """What the lime package drew, weighed and fitted around ROW; lime_peer.py made it."""
    with np.load(lime_peer.FILE) as file:
        return SimpleNamespace(**file)


def test_bins_switches_and_weights_are_limes(peer):
    edges = quartiles(np.sort(BACKGROUND.T, axis=1))
    for low_to_high, maxs in zip(edges, peer.maxs, strict=True):
        np.testing.assert_allclose(low_to_high, maxs[:3], rtol=1e-12)
    bins = bins_of(peer.rows.T, edges)
    np.testing.assert_array_equal(bins.T, peer.bins)
    on = (bins == bins_of(ROW[:, None], edges)).T
    np.testing.assert_array_equal(on, peer.on)
    np.testing.assert_allclose(lime.kernel(len(ROW))[(~on).sum(axis=1)], peer.weights, rtol=1e-12)


def test_coefficients_intercept_and_score_are_limes(peer):
    fit, predictions = LocalFit(len(ROW)), product(peer.rows)
    on, weights, y = peer.on[1:], peer.weights[1:], predictions[1:] - predictions[0]
    for part in np.array_split(np.arange(LIME_DRAWS), 7):
        fit.add(on[part], weights[part], y[part], np.empty((len(part), 0)))
    np.testing.assert_allclose(fit.coefficients, peer.coefficients, atol=1e-10)
    assert fit.intercept + predictions[0] == pytest.approx(float(peer.intercept), abs=1e-10)
    assert fit.intercept + fit.coefficients.sum() + predictions[0] == pytest.approx(float(peer.local_pred), abs=1e-10)
    unadjusted = 1 - (1 - fit.r2) * (LIME_DRAWS - len(ROW) - 1) / LIME_DRAWS
    assert unadjusted == pytest.approx(float(peer.score), abs=1e-10)


def test_values_are_drawn_from_limes_truncated_normals(peer):
    near = Neighbourhood(ROW, BACKGROUND)
    for j, table in enumerate(near.table):
        stats = (peer.mins[j], peer.maxs[j], peer.means[j], peer.stds[j])
        for low, high, mean, std, part in zip(*stats, np.split(table, 4), strict=True):
            share = (np.arange(len(part)) + 0.5) / len(part)
            quantiles = truncnorm.ppf(share, (low - mean) / std, (high - mean) / std, mean, std)
            np.testing.assert_allclose(part, quantiles, atol=1e-4 * std)
        places = (np.searchsorted(table, np.sort(peer.rows[1:, j])) + 0.5) / len(table)
        assert np.abs(places - np.linspace(0, 1, LIME_DRAWS)).max() < 0.03  # Kolmogorov: 1.95 / √4999 at 0.1 %


# --- error bars, stability, settling ---


@pytest.mark.parametrize("sizes", [(100,), (100, 100, 200), (1000,)])
@pytest.mark.parametrize("formula", [product, trees])
def test_error_bars_cover_what_endless_draws_come_to(formula, sizes):
    runs = [fitted(formula, *sizes, seed=seed) for seed in range(200)]
    covered = np.array([np.abs(run.coefficients - endless(formula)) <= 1.96 * run.std_error for run in runs])
    assert 0.925 < covered.mean() < 0.975  # 1,200 intervals


def step(rows):
    return 3.0 * (rows[:, 0] > 0.7) + 0.1 * product(rows)


def test_few_draws_aim_at_what_many_come_to():
    early = np.array([fitted(step, 100, seed=seed).coefficients for seed in range(100)])
    # α = 1 against 100 draws would shrink the step by a tenth
    assert (np.abs(early.mean(axis=0) - endless(step)) < 4 * early.std(axis=0) / np.sqrt(100)).all()


def test_control_variates_sharpen_the_plain_fit_and_leave_its_aim():
    near, weight = Neighbourhood(ROW, BACKGROUND), lime.kernel(len(ROW))
    plain, steadied, rng = LocalFit(len(ROW)), LocalFit(len(ROW)), np.random.default_rng(0)
    for size in (200, 200, 400, 800, 1600):
        rows, on, deviations = near.draw(size, rng)
        y = product(rows) - product(ROW[None])[0]
        plain.add(on, weight[(~on).sum(axis=1)], y, deviations[:, :0])
        steadied.add(on, weight[(~on).sum(axis=1)], y, deviations)
    assert (steadied.std_error < 0.8 * plain.std_error).all()
    apart = np.abs(steadied.coefficients - plain.coefficients)
    assert (apart < 4 * plain.std_error).all()
    assert steadied.r2 == pytest.approx(plain.r2, abs=1e-9)


def test_stability_foretells_how_far_two_runs_agree():
    slopes = np.linspace(1, 2, 10)
    background = np.random.default_rng(4).normal(size=(300, 10))

    def formula(rows):
        return rows @ slopes + rows[:, 0] * rows[:, 1]

    runs = [fitted(formula, 300, seed=s, row=np.full(10, 1.0), background=background) for s in range(60)]
    sets = [set(np.argsort(-np.abs(run.coefficients))[:5]) for run in runs]
    observed = np.mean([len(a & b) / 5 for i, a in enumerate(sets) for b in sets[:i]])
    rng = np.random.default_rng(0)
    foretold = np.mean([lime.stability(run.coefficients, run.std_error, rng) for run in runs])
    assert observed < 0.8
    assert foretold == pytest.approx(observed, abs=0.08)


def test_each_estimate_is_better_than_the_one_before():
    came = estimates(product)
    assert len(came) > 3
    for earlier, later in pairwise(came):
        assert later.samples > earlier.samples
    assert came[-1].std_error.max() < came[0].std_error.max() / 2
    assert all(0 <= e.stability <= 1 and e.fit_r2 <= 1 and not e.exact for e in came)


def test_a_clear_order_settles_before_the_deadline():
    came = estimates(lambda rows: rows @ np.array([32.0, 16, 8, 4, 2, 0]), calls=10_000)
    assert came[-1].settled
    assert came[-1].stability > 0.95
    assert not came[0].settled
    last = came[-1]
    assert (np.abs(last.values) > 0).all()
    assert np.abs(last.values[5]) <= 4 * last.std_error[5]


def test_the_same_seed_gives_the_same_values():
    first, again, other = (estimates(product, seed=seed)[-1].values for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_it_keeps_to_the_time_that_a_slow_model_leaves():
    now = [0.0]

    def slow(rows):
        now[0] += 0.001 * len(rows)
        return product(rows)

    deadline = Deadline(800, clock=lambda: now[0])
    came = list(lime.explain(Model(slow), ROW, BACKGROUND, deadline, np.random.default_rng(0)))
    assert not deadline.expired()
    assert 700 < came[-1].samples < 800


# --- missing, constant, infinite, few ---


def level(rows):
    return np.where(np.isnan(rows[:, 0]), 3.0, 0.1 * rows[:, 0]) + rows[:, 1]


@pytest.mark.parametrize("share", [0.3, 0.0])
def test_a_missing_value_is_explained_as_missing(share):
    background, row = BACKGROUND.copy(), ROW.copy()
    background[: int(share * len(background)), 0] = row[0] = np.nan
    last = estimates(level, row, background)[-1]
    assert last.values[0] == pytest.approx(3, abs=0.1)
    assert last.base_values + last.values.sum() == pytest.approx(
        3 + background[:, 1][background[:, 1] < -0.7].mean(), abs=0.2
    )


def test_missing_values_of_the_background_keep_their_share():
    background = BACKGROUND.copy()
    background[:100, 0] = np.nan
    near = Neighbourhood(ROW, background)
    assert np.isnan(near.table[0]).mean() == 0.25
    rows, on, _ = near.draw(4000, np.random.default_rng(0))
    assert np.isnan(rows[:, 0]).mean() == pytest.approx(0.25, abs=0.03)
    assert not on[np.isnan(rows[:, 0]), 0].any()


def test_a_constant_column_gets_nothing_and_a_new_value_in_it_its_due():
    background = BACKGROUND.copy()
    background[:, 4] = 7.0
    row = ROW.copy()
    row[4] = 7.0
    last = estimates(product, row, background)[-1]
    assert last.values[4] == last.std_error[4] == 0
    for value in (6.0, 8.0):
        row[4] = value
        assert estimates(product, row, background)[-1].values[4] == pytest.approx(-2 * (value - 7), abs=0.2)


def test_values_that_fall_on_an_edge_stay_what_they_are():
    background = np.repeat([[0.0], [0.0], [0.0], [5.0]], 50, axis=0)
    near = Neighbourhood(np.array([5.0]), background)
    assert set(near.table[0]) == {0.0, 5.0}
    assert near.end[0] - near.first[0] == 0.25 * near.table.shape[1]


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinite_values_stay_in_their_bin(infinite):
    background, row = BACKGROUND.copy(), ROW.copy()
    background[:20, 0] = row[0] = infinite
    last = estimates(lambda rows: np.clip(rows[:, 0], -9, 9) + rows[:, 1], row, background)[-1]
    assert np.isfinite(last.values).all()
    assert np.sign(last.values[0]) == np.sign(infinite)


def test_nothing_but_missing_or_infinite_values_is_no_crash():
    background = np.full((50, 6), np.nan)
    background[:, 1:3] = np.inf
    background[:25, 1] = -np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        last = estimates(lambda rows: np.nan_to_num(rows[:, 0]) + np.sign(rows[:, 1]), ROW, background)[-1]
    assert last.values[0] == pytest.approx(ROW[0], abs=0.05)


def test_a_single_background_row_and_a_single_feature():
    one = estimates(product, ROW, np.zeros((1, 6)))[-1]
    assert one.values[4] == pytest.approx(-0.2, abs=0.5)
    assert np.isfinite(one.values).all()
    same = estimates(product, ROW, ROW[None])
    assert len(same) == 1
    assert same[0].settled
    assert not same[0].values.any()
    alone = estimates(lambda rows: rows[:, 0] ** 2, ROW[:1], BACKGROUND[:, :1])[-1]
    assert alone.stability == 1
    assert alone.values.shape == (1,)


def test_a_model_that_says_nothing_settles_at_nothing():
    came = estimates(lambda rows: np.full(len(rows), 0.3))
    assert len(came) == 1
    assert came[0].settled
    assert not came[0].values.any()
    assert came[0].base_values == 0.3
    assert came[0].fit_r2 == 1


def test_a_model_without_finite_answers_is_told():
    with pytest.raises(ModelFailedError, match=r"desk\.not_finite"):
        estimates(lambda rows: np.where(rows[:, 0] > 0, np.nan, 1.0))
