import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm
from statsmodels.tsa.arima.model import ARIMA

from workbench.schema import CannotMeasureError
from workbench.smoothing import Smoothing, autocorrelation, fit_smoothing, lo_eta, moving_average

part = st.floats(-0.9, 0.9)


def convolved(theta, n, seed=0):
    true = np.random.default_rng(seed).normal(0.0004, 0.01, n + 2)
    return np.convolve(true, theta, "valid")


def test_the_published_vector():
    """PerformanceAnalytics' unit test of Getmansky, Lo and Makarov (2004): θ = (.5, .3, .2), n = 25,000 -> ξ = .38."""
    found = fit_smoothing(convolved([0.5, 0.3, 0.2], 25_000))
    assert found.theta == pytest.approx([0.5, 0.3, 0.2], abs=0.01)
    assert found.xi == pytest.approx(0.38, abs=0.01)


def test_it_is_the_maximum_likelihood_of_statsmodels():
    x = convolved([0.6, 0.3, 0.1], 500)
    scaled = (x - x.mean()) / x.std()
    params = ARIMA(scaled, order=(0, 0, 2), trend="n").fit().params
    b = np.array([1.0, *params[:2]])
    assert fit_smoothing(x).theta == pytest.approx(b / b.sum(), abs=1e-3)


@given(part, part)
def test_inflation_is_the_long_run_autocorrelation(first, second):
    b = moving_average(np.array([first, second]))
    found = Smoothing(b / b.sum())
    rho = np.array([b[1:] @ b[:-1], b[2]]) / (b @ b)
    assert found.sharpe_inflation == pytest.approx(np.sqrt(1 + 2 * rho.sum()) - 1, abs=1e-9)


@given(part, part)
@settings(max_examples=30)
def test_unsmoothing_undoes_smoothing(first, second):
    b = moving_average(np.array([first, second]))
    theta = b / b.sum()
    true = np.random.default_rng(1).normal(size=300)
    reported = np.convolve(true, theta)[:300]
    again = np.convolve(Smoothing(theta).unsmooth(reported) - reported.mean(), theta)[:300] + reported.mean()
    assert again == pytest.approx(reported, abs=1e-6)


def test_without_smoothing_nothing_is_inflated():
    found = [fit_smoothing(np.random.default_rng(i).normal(size=750)).sharpe_inflation for i in range(30)]
    assert abs(np.mean(found)) < 0.03
    assert np.max(np.abs(found)) < 0.15


@pytest.mark.parametrize(("returns", "key"), [(np.zeros(500), "constant"), (np.arange(40.0), "too_few")])
def test_what_cannot_be_fitted_says_so(returns, key):
    with pytest.raises(CannotMeasureError) as raised:
        fit_smoothing(returns)
    assert key in raised.value.message.key


@pytest.mark.parametrize(("rho", "eta"), [(0.2, 2.879), (0.0, 3.464), (-0.2, 4.171)])
def test_lo_closed_form_of_an_ar1(rho, eta):
    """Lo (2002), AR(1): η(12) from the closed form of its equation."""
    assert lo_eta([rho**k for k in range(1, 12)], 12) == pytest.approx(eta, abs=5e-4)


def clustered(rng, n, runs):
    """GARCH(1, 1) with α .15, β .80: uncorrelated, with clusters of volatility; (runs, n)."""
    noise, x, variance = rng.standard_normal((n, runs)), np.zeros((n, runs)), np.ones(runs)
    for i in range(n):
        x[i] = np.sqrt(variance) * noise[i]
        variance = 0.05 + 0.15 * x[i] ** 2 + 0.80 * variance
    return x.T


def test_autocorrelation_does_not_cry_wolf_under_clustered_volatility():
    """H0: ρ1 = 0. At 1 % the robust error keeps its promise on 750 GARCH days; 1/√T would break it."""
    runs, n = 1000, 750
    found = np.array([autocorrelation(x) for x in clustered(np.random.default_rng(0), n, runs)])
    robust = int((norm.sf((found[:, 0] + 1 / n) / found[:, 1]) <= 0.01).sum())
    naive = int((norm.sf(found[:, 0] * np.sqrt(n)) <= 0.01).sum())
    assert binom.ppf(0.001, runs, 0.005) <= robust <= binom.ppf(0.999, runs, 0.015)
    assert naive > binom.ppf(0.999, runs, 0.015)
