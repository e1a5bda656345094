import numpy as np
import pandas as pd
import pytest
from fiplus import days, panel
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from sklearn.metrics import roc_auc_score

from workbench.audit import judge
from workbench.checklist import load_checklist
from workbench.checks.time_integrity import _concordance, _find_offset, availability, label_overlap
from workbench.folds import Folds, as_declared
from workbench.manifest import FeatureSection, SplitSection
from workbench.schema import CannotMeasureError, Panel

CHECKS = {check.code: check for check in load_checklist()}


def outcome(code, measured):
    return judge(CHECKS[code], measured, measured.p_value).outcome


def rates(offset=1, declared=1, lag_days=1, seed=0, *, n=300, column=None):
    """A panel whose one feature is `base` as it was `offset` rows before, and what its author declares."""
    base = pd.Series(np.random.default_rng(seed).normal(size=n).cumsum())
    feature = base.shift(offset) if column is None else column(base)
    table = pd.DataFrame({"base": base, "feature": feature})
    section = FeatureSection(published_lag_days=lag_days, lag_of="base", lag=declared)
    return Panel(days(n), table, ("feature",)), {"feature": section}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("offset", "lag_days"), [(1, 1), (2, 2), (5, 3), (0, 0), (30, 10)])
def test_what_was_published_in_time_passes(seed, offset, lag_days):
    measured = availability(*rates(offset, offset, lag_days, seed))
    assert outcome("T1", measured) == "pass"
    assert measured.facts["unproven_cells"] == measured.facts["contradicted_features"] == 0


@pytest.mark.parametrize("offset", [-30, -3, -1, 0])
def test_the_future_is_found_whatever_was_declared(offset):
    measured = availability(*rates(offset, declared=2))
    assert outcome("T1", measured) == "fail"
    assert measured.value == 300 + min(offset, 0)
    assert measured.facts["contradicted_features"] == 1
    assert measured.tables["lags"].columns["found_lag"] == [offset]


def test_a_declared_lag_that_the_data_confirm_is_held_against_publication():
    """One row on business days is one day, and three over a weekend: a lag of three days is broken on four days of five."""
    measured = availability(*rates(1, 1, lag_days=3))
    assert outcome("T1", measured) == "fail"
    assert measured.value == 300 - 1 - 59
    assert measured.facts["lead_days"] == 2


def test_a_value_of_the_decisions_own_date_that_is_published_later_is_early():
    base, _ = rates()
    measured = availability(Panel(base.times, base.table, ("base",)), {"base": FeatureSection(published_lag_days=1)})
    assert measured.value == 300


def test_a_series_that_moves_once_a_month_is_dated_by_its_jumps():
    monthly = pd.Series(np.repeat(np.random.default_rng(0).normal(size=20), 21))
    table = pd.DataFrame({"base": monthly, "feature": monthly.shift(-3)})
    found, agree = _find_offset(table["feature"].to_numpy(), table["base"].to_numpy(), 2)
    assert found == -3
    assert agree[:-3].all()


@settings(max_examples=40)
@given(offset=st.integers(-30, 60), declared=st.integers(0, 60), seed=st.integers(0, 9))
def test_any_offset_is_found(offset, declared, seed):
    base = np.random.default_rng(seed).normal(size=200)
    assert _find_offset(pd.Series(base).shift(offset).to_numpy(), base, declared)[0] == offset


def test_a_constant_column_is_taken_at_its_word():
    assert _find_offset(np.ones(100), np.ones(100), 4)[0] == 4


def test_offsets_do_not_cross_instruments():
    rng, n = np.random.default_rng(0), 100
    base = rng.normal(size=(n, 3))
    lagged = np.vstack([np.full((1, 3), np.nan), base[:-1]])
    table = pd.DataFrame({"base": base.ravel(), "feature": lagged.ravel()})
    names = np.tile(np.array(["a", "b", "c"]), n)
    given = {"feature": FeatureSection(published_lag_days=1, lag_of="base", lag=1)}
    measured = availability(Panel(days(n).repeat(3), table, ("feature",), names), given)
    assert (measured.value, measured.facts["contradicted_features"], measured.facts["unproven_cells"]) == (0, 0, 0)


def test_a_column_that_is_no_older_value_of_its_base_cannot_pass():
    measured = availability(*rates(column=lambda base: base.shift(1) ** 2))
    assert outcome("T1", measured) == "warn"
    assert measured.facts["unproven_cells"] == 299


def test_a_lagged_column_has_the_stamp_of_its_base():
    found, given = rates(1, 1, lag_days=None)
    assert outcome("T1", availability(found, given | {"base": FeatureSection(published_lag_days=1)})) == "pass"


def test_without_any_stamp_it_is_not_run_and_with_some_it_cannot_pass():
    found, given = rates(1, 1, lag_days=None)
    with pytest.raises(CannotMeasureError) as raised:
        availability(found, given)
    assert raised.value.message.values["what"] == "[features.feature] published_lag_days"
    with pytest.raises(CannotMeasureError):
        availability(found, {})
    some = Panel(found.times, found.table, ("base", "feature"))
    measured = availability(some, {"base": FeatureSection(published_lag_days=0)})
    assert outcome("T1", measured) == "warn"
    assert measured.facts["unstamped_features"] == 1


def neighbours(found, k=5):
    """A learner that is honest and flexible: the mean label of the nearest training rows."""

    def refit(train, test):
        predicted = np.full(len(found.times), np.nan)
        for tr, te in zip(train, test, strict=True):
            near = cKDTree(found.X[tr]).query(found.X[te], k)[1]
            predicted[te] = found.y[tr][near].mean(axis=1)
        return predicted

    return refit


def never(*_):
    raise AssertionError("refitted without need")


def overlap(found, how, embargo, *, task="regression", refit=None, late=0):
    """The measure on a panel that was trained on its first 1,000 rows and served after an embargo, `late` rows too early."""
    n, h = len(found.times), found.horizon
    steps, fitted = np.arange(n), np.arange(n) < 1000
    served = steps >= 1000 + max(embargo, h) - late
    given = {"k": 5, "horizon": h, "embargo": embargo, "rng": np.random.default_rng(0)}
    return label_overlap(
        found,
        h,
        split=SplitSection(train_end="2021-10-29", validation=how, embargo=embargo),
        service=Folds(fitted[None], served[None], steps),
        validation=as_declared(how, steps, fitted, **given),
        task=task,
        refit=refit or neighbours(found),
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_shuffled_folds_make_a_score_out_of_noise(seed, task):
    found = panel(np.random.default_rng(seed), phi=0.99)
    if task == "classification":
        found.table["label"] = (found.table["label"] > 0).astype(float)
    measured = overlap(found, "shuffled", 0, task=task)
    assert outcome("T3", measured) == "fail"
    assert measured.value > 0.15
    assert measured.facts["validation_overlap"] > 0.99


@pytest.mark.parametrize("how", ["walk_forward", "purged", "blocked", "none"])
def test_without_overlap_nothing_is_refitted(how):
    measured = overlap(panel(np.random.default_rng(0)), how, 20, refit=never)
    assert outcome("T3", measured) == "pass"
    assert (measured.value, measured.facts["overlap"]) == (0, 0)


def test_labels_of_one_day_may_be_shuffled():
    assert outcome("T3", overlap(panel(np.random.default_rng(0), horizon=1), "shuffled", 0, refit=never)) == "pass"


@pytest.mark.parametrize("seed", range(4))
def test_overlap_that_brings_no_score_is_a_warning(seed):
    """Features without memory cannot find their neighbours: mean gap 0.014 of 20 runs in the catalogue of measurements."""
    measured = overlap(panel(np.random.default_rng(seed), phi=0.0), "shuffled", 0)
    assert outcome("T3", measured) == "warn"
    assert abs(measured.value) < 0.05


def test_a_model_that_went_live_before_its_labels_were_known_is_seen():
    """Trained up to row 999, live from row 1,010: the labels of rows 991 to 999 end at rows 1,011 to 1,019."""
    measured = overlap(panel(np.random.default_rng(0)), "purged", 20, late=10)
    assert measured.facts["service_overlap"] == pytest.approx(9 / 1000)
    assert outcome("T3", measured) in {"warn", "fail"}


def test_labels_that_never_vary_cannot_be_scored():
    found = panel(np.random.default_rng(0))
    found.table["label"] = 1.0
    with pytest.raises(CannotMeasureError):
        overlap(found, "shuffled", 0)


def test_concordance_is_the_auc_for_classes():
    rng = np.random.default_rng(0)
    y = (rng.random(200) < 0.4).astype(float)
    score = y + rng.normal(size=200).round(1)
    assert _concordance(y, score, "classification") == pytest.approx(roc_auc_score(y, score))


@given(st.integers(0, 50))
def test_concordance_of_numbers_counts_pairs(seed):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=40)
    score = y + rng.normal(size=40)
    right = [(y[i] - y[j]) * (score[i] - score[j]) > 0 for i in range(40) for j in range(i)]
    assert _concordance(y, score, "regression") == pytest.approx(np.mean(right))
