import numpy as np
import pytest
from fiplus import YEAR, factor_returns, fund, panel, smoothed
from scipy.stats import binom

from workbench.audit import judge
from workbench.checklist import load_checklist
from workbench.checks.regime_validity import _dissimilarity, smoothed_pricing, trained_range
from workbench.schema import Attributions, CannotMeasureError
from workbench.smoothing import fit_smoothing

CHECKS = {check.code: check for check in load_checklist()}
TRAINED, N = 1000, 1250


def outcome(code, measured):
    return judge(CHECKS[code], measured, measured.p_value).outcome


def ranged(seed=0, *, shift=0.0, weights=None, d=6, phi=0.9, trained=TRAINED):
    """A model trained on the first rows; live, its first driver is moved by `shift` standard deviations."""
    found = panel(np.random.default_rng(seed), n=N, d=d, phi=phi)
    rows = np.arange(N)
    found.table.loc[rows >= TRAINED, "f0"] += shift
    values = np.ones((5, d)) if weights is None else np.tile(weights, (5, 1))
    attributions = Attributions(np.asarray(values, float), np.zeros(5), np.zeros(5))
    training, live = (rows < trained)[None], rows >= TRAINED
    return trained_range(found, live, training, np.zeros(N, np.intp), attributions)


def test_the_same_climate_passes():
    found = [ranged(seed) for seed in range(8)]
    assert [outcome("V1", measured) for measured in found] == ["pass"] * 8
    assert np.mean([measured.facts["dissimilar_share"] for measured in found]) < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_a_driver_beyond_what_was_trained_is_found_by_its_weight(seed):
    heavy, light = [10, 1, 1, 1, 1, 1], [0.1, 1, 1, 1, 1, 1]
    found = ranged(seed, shift=8.0, weights=heavy)
    assert outcome("V1", found) == "fail"
    assert found.facts["worst_feature"] == "f0"
    assert found.value == pytest.approx(10 / 15, abs=0.05)
    assert found.facts["dissimilar_share"] > 0.9
    assert outcome("V1", ranged(seed, shift=8.0, weights=light)) == "pass"


def test_more_distance_is_never_less_extrapolation():
    doses = [ranged(shift=s).value for s in (0, 1, 2, 3, 4, 6)]
    assert doses == sorted(doses)


def test_each_decision_is_held_against_the_model_that_made_it():
    found = panel(np.random.default_rng(0), n=N, phi=0.5)
    rows = np.arange(N)
    found.table.loc[(rows >= 600) & (rows < 900), "f0"] += 20
    attributions = Attributions(np.ones((1, 6)), np.zeros(1), np.zeros(1))
    old, new = rows < 500, rows < 850
    served = (rows >= 900).astype(np.intp)
    live = (rows >= 900) | ((rows >= 500) & (rows < 600))
    measured = trained_range(found, live, np.array([old, new]), served, attributions)
    assert measured.facts["worst_share"] < 0.05
    one = trained_range(found, rows >= 500, np.array([old]), np.zeros(N, np.intp), attributions)
    assert one.facts["worst_share"] == pytest.approx(300 / 750, abs=0.02)


def test_without_exact_values_every_driver_weighs_the_same():
    found = panel(np.random.default_rng(0), n=N, phi=0.9)
    rows = np.arange(N)
    found.table.loc[rows >= TRAINED, "f0"] += 50
    measured = trained_range(found, rows >= TRAINED, (rows < TRAINED)[None], np.zeros(N, np.intp), None)
    assert measured.value == pytest.approx(1 / 6, abs=0.02)


def test_too_few_training_rows():
    with pytest.raises(CannotMeasureError):
        ranged(trained=10)


def test_missing_values_are_not_outside():
    found = panel(np.random.default_rng(0), n=N, phi=0.9)
    rows = np.arange(N)
    found.table.loc[rows >= TRAINED, "f0"] = np.nan
    attributions = Attributions(np.ones((1, 6)), np.zeros(1), np.zeros(1))
    measured = trained_range(found, rows >= TRAINED, (rows < TRAINED)[None], np.zeros(N, np.intp), attributions)
    assert outcome("V1", measured) == "pass"
    assert np.isnan(measured.facts["dissimilar_share"])


@pytest.mark.parametrize("phi", [0.95, 0.99])
def test_persistent_series_are_not_called_new(phi):
    """With random folds 85-95 % of clean live rows fall outside; with contiguous ones almost none."""
    shares = []
    for seed in range(5):
        X = panel(np.random.default_rng(seed), n=N, d=6, phi=phi).X
        index, limit = _dissimilarity(X[:TRAINED], X[TRAINED:])
        shares.append((index > limit).mean())
    assert np.mean(shares) < 0.05


def test_dissimilarity_by_hand():
    """Five blocks of two values each: a row's nearest in another block is 1 away, 2 only at the two ends, which are outliers."""
    fitted = np.repeat(np.arange(10.0), 2)[:, None]
    index, limit = _dissimilarity(fitted, np.array([[4.0], [12.0]]))
    mean = np.abs(fitted - fitted.T)[np.triu_indices(20, 1)].mean()
    assert index == pytest.approx([0, 3 / mean])
    assert limit == pytest.approx(1 / mean)


def priced(theta=None, n=750, seed=0):
    rng = np.random.default_rng(seed)
    returns = fund(rng, factor_returns(rng, n))
    reported = smoothed(returns, theta) if theta else returns
    return smoothed_pricing(reported, fit_smoothing(reported.to_numpy()), YEAR)


@pytest.mark.parametrize("seed", range(5))
def test_smoothed_returns_are_found(seed):
    measured = priced([0.6, 0.3, 0.1], seed=seed)
    assert outcome("V2", measured) == "fail"
    assert measured.facts["xi"] == pytest.approx(0.46, abs=0.08)
    assert measured.facts["sharpe_unsmoothed"] == pytest.approx(measured.facts["sharpe_reported"] * 0.68, rel=0.08)


def test_a_little_smoothing_warns():
    assert [outcome("V2", priced([0.85, 0.15], n=2000, seed=s)) for s in range(4)] == ["warn"] * 4


def test_clean_returns_pass_but_for_the_level():
    """H0: ρ1 <= 0. A warning needs 10 % inflation and p <= 5 %; a failure 25 % and 1 %."""
    runs = 100
    found = [outcome("V2", priced(n=500, seed=seed)) for seed in range(runs)]
    assert found.count("fail") == 0
    assert found.count("warn") <= binom.ppf(0.999, runs, 0.05)
    assert found.count("insufficient") == 0


def test_lo_and_the_smoothing_index_agree_over_long_horizons():
    measured = priced([0.6, 0.3, 0.1])
    assert measured.facts["lo_inflation"] == pytest.approx(measured.value, rel=0.02)


def test_half_a_year_says_nothing():
    measured = priced(n=100)
    assert measured.smallest_effect > 0.25
    assert outcome("V2", measured) == "insufficient"


def test_stale_prices_are_counted():
    rng = np.random.default_rng(0)
    returns = fund(rng, factor_returns(rng, 500))
    returns.iloc[::4] = 0.0
    measured = smoothed_pricing(returns, fit_smoothing(returns.to_numpy()), YEAR)
    assert measured.facts["stale_share"] == 0.25
