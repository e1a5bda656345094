import numpy as np
import pandas as pd
import pytest
from fiplus import YEAR, factor_returns, fund, smoothed
from scipy.stats import binom

from workbench.audit import judge
from workbench.checklist import load_checklist
from workbench.checks.risk_identity import (
    _drawdowns,
    _largest_drawdown,
    _stationary_rows,
    drawdown_budget,
    factor_identity,
)
from workbench.schema import CannotMeasureError
from workbench.smoothing import fit_smoothing

CHECKS = {check.code: check for check in load_checklist()}
CAP, TOLERANCE = 0.10, CHECKS["R1"].settings["tolerance"]


def outcome(code, measured):
    return judge(CHECKS[code], measured, measured.p_value).outcome


def identity(seed=0, n=750, theta=None, **exposures):
    rng = np.random.default_rng(seed)
    factors = factor_returns(rng, n)
    returns = fund(rng, factors, **exposures)
    return factor_identity(smoothed(returns, theta) if theta else returns, factors, CAP, TOLERANCE)


def test_the_tolerance_is_the_line():
    assert TOLERANCE == CHECKS["R1"].warn == CHECKS["R1"].fail


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("beta", [0.0, 0.05, 0.10])
def test_a_fund_within_its_cap_passes(seed, beta):
    assert outcome("R1", identity(seed, equity=beta)) == "pass"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dose", [0.10, 0.20, 0.35])
def test_equity_beyond_the_cap_is_found_in_a_year(seed, dose):
    measured = identity(seed, n=250, equity=CAP + dose)
    assert outcome("R1", measured) == "fail"
    assert measured.value == pytest.approx(dose, abs=0.04)


def test_convertibles_count_at_their_delta():
    """0.05 of equity and half the book in convertibles of delta 0.45: an equity beta of 0.275 under a label of 0.05."""
    measured = identity(equity=0.05, convertible=0.5)
    assert measured.facts["convertible_delta"] == pytest.approx(0.45, abs=0.06)
    assert measured.facts["equity_beta"] == pytest.approx(0.275, abs=0.04)
    assert outcome("R1", measured) == "fail"


def test_without_a_convertible_factor_equity_alone_is_counted():
    rng = np.random.default_rng(0)
    factors = factor_returns(rng)
    measured = factor_identity(fund(rng, factors, convertible=0.5), factors[["equity", "duration"]], CAP, TOLERANCE)
    assert measured.facts["convertible_delta"] is None
    assert measured.facts["equity_beta"] == pytest.approx(0.325, abs=0.03)


def test_stale_prices_hide_beta_from_the_same_day_and_not_from_the_sum():
    """Measured in the catalogue for true beta 0.30 and θ = (.6, .3, .1): same day 0.182, summed 0.304."""
    measured = identity(equity=0.30, theta=[0.6, 0.3, 0.1])
    assert measured.facts["same_day_beta"] == pytest.approx(0.18, abs=0.02)
    assert measured.facts["equity_beta"] == pytest.approx(0.30, abs=0.02)


def test_beta_that_comes_in_falls_is_shown():
    rng = np.random.default_rng(0)
    factors = factor_returns(rng)
    returns = fund(rng, factors, equity=0.0) + 0.3 * factors["equity"].clip(upper=0)
    measured = factor_identity(returns, factors, 0.5, TOLERANCE)
    assert measured.facts["down_market_beta"] == pytest.approx(0.3, abs=0.05)
    assert measured.facts["up_market_beta"] == pytest.approx(0.0, abs=0.05)


def test_false_alarms_at_the_boundary_are_those_of_the_level():
    """H0 at its edge, beta = cap + tolerance: 1 % and 5 % of runs, a little more for Newey-West in a year of data."""
    runs = 120
    p = np.array([identity(seed, n=250, equity=CAP + TOLERANCE).p_value for seed in range(runs)])
    assert (p <= 0.01).sum() <= binom.ppf(0.999, runs, 0.02)
    assert (p <= 0.05).sum() <= binom.ppf(0.999, runs, 0.07)
    assert (p <= 0.5).sum() == pytest.approx(runs / 2, abs=4 * np.sqrt(runs / 4))


def test_a_noisy_short_sample_is_insufficient():
    rng = np.random.default_rng(0)
    factors = factor_returns(rng, 70)
    returns = fund(rng, factors) + rng.normal(0, 0.004, 70)
    measured = factor_identity(returns, factors, CAP, TOLERANCE)
    assert measured.smallest_effect > 0.10
    assert outcome("R1", measured) == "insufficient"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda f: f.drop(columns="equity"), "audit.missing"),
        (lambda f: f.iloc[:50], "audit.too_few_returns"),
        (lambda f: f.assign(credit=f["equity"] * 2), "audit.collinear_factors"),
        (lambda f: f.assign(credit=0.0), "audit.collinear_factors"),
    ],
)
def test_poor_factors_say_what_is_wrong(change, key):
    rng = np.random.default_rng(0)
    factors = factor_returns(rng, 500)
    with pytest.raises(CannotMeasureError) as raised:
        factor_identity(fund(rng, factors), change(factors), CAP, TOLERANCE)
    assert raised.value.message.key == key


def normal_fund(volatility, seed=0, years=3, mean=0.04):
    rng = np.random.default_rng(seed)
    n = years * YEAR
    values = rng.normal(mean / YEAR, volatility / np.sqrt(YEAR), n)
    return pd.Series(values, index=pd.bdate_range("2018-01-01", periods=n))


def budget(returns, most, seed=0, **settings):
    smoothing = fit_smoothing(returns.to_numpy())
    return drawdown_budget(returns, smoothing, most, YEAR, np.random.default_rng(seed), **settings)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("volatility", "expected"), [(0.015, "pass"), (0.08, "fail")])
def test_the_budget_that_fits_and_the_one_that_does_not(seed, volatility, expected):
    assert outcome("R4", budget(normal_fund(volatility, seed), 0.05)) == expected


def test_smoothing_does_not_hide_what_the_true_returns_would_do():
    true = normal_fund(0.04, years=6)
    reported = smoothed(true, [0.6, 0.3, 0.1])
    found = budget(reported, 0.04, paths=4000)
    assert found.value > found.facts["as_reported"]
    assert found.value == pytest.approx(budget(true, 0.04, paths=4000).value, abs=0.05)


def test_blocks_are_long_enough_to_keep_storms_together():
    """Returns that are uncorrelated ask for blocks of one day; their size asks for blocks as long as a storm."""
    calm = normal_fund(0.02, years=4)
    storm = np.where((np.arange(len(calm)) // 60) % 8 == 3, 4.0, 0.6)
    clustered = calm * storm
    broken = pd.Series(np.random.default_rng(1).permutation(clustered), index=calm.index)
    assert budget(clustered, 0.05).facts["block"] > 20
    assert budget(broken, 0.05).facts["block"] < 5


def test_the_same_generator_gives_the_same_probability():
    returns = normal_fund(0.04)
    assert budget(returns, 0.04).value == budget(returns, 0.04).value
    assert budget(returns, 0.04).facts["std_error"] < 0.012


def test_less_than_the_horizon_is_too_little():
    with pytest.raises(CannotMeasureError) as raised:
        budget(normal_fund(0.04, years=1).iloc[:200], 0.04)
    assert raised.value.message.values == {"rows": 200, "needed": YEAR}


@pytest.mark.parametrize("steps", [60, 250])
def test_expected_drawdown_of_a_random_walk(steps):
    """Magdon-Ismail et al. (2004): E[MDD] = √(π/2) σ √T without drift, in continuous time.

    Looking at T steps only costs 0.5826 σ at the peak and again at the trough (Broadie, Glasserman and Kou 1997).
    """
    sigma = 1e-4
    deepest = _largest_drawdown(np.random.default_rng(0).normal(0, sigma, (20_000, steps)))
    expected = np.sqrt(np.pi / 2) - 2 * 0.5826 / np.sqrt(steps)
    assert deepest.mean() / (sigma * np.sqrt(steps)) == pytest.approx(expected, abs=0.01)


def test_drawdowns_by_hand():
    fallen = _drawdowns(np.array([[-0.1, 0.0, 1.0, -0.5, 0.2]]))
    assert fallen[0] == pytest.approx([0.1, 0.1, 0.0, 0.5, 0.4])


def test_stationary_blocks_have_their_mean_length_and_use_every_row_alike():
    rows = _stationary_rows(50, 400, 2000, 8.0, np.random.default_rng(0))
    follows = (rows[:, 1:] == (rows[:, :-1] + 1) % 50).mean()
    assert follows == pytest.approx(1 - 1 / 8 + 1 / 8 / 50, abs=0.003)
    assert np.bincount(rows.ravel(), minlength=50) / rows.size == pytest.approx(np.full(50, 1 / 50), abs=0.001)
