import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.folds import Folds, as_declared, contiguous, shuffled, walk_forward

made = st.fixed_dictionaries(
    {"n": st.integers(60, 200), "k": st.integers(2, 6), "horizon": st.integers(1, 15), "embargo": st.integers(0, 15)}
)


def naive_overlap(folds, horizon):
    """The definition, word for word: labels over (t, t + horizon] that share a step."""
    met = total = 0
    for train, test in zip(folds.train, folds.test, strict=True):
        tested = [set(range(t + 1, t + horizon + 1)) for t in folds.steps[test]]
        for t in folds.steps[train]:
            met += any(window & set(range(t + 1, t + horizon + 1)) for window in tested)
            total += 1
    return met / max(1, total)


def built(kind, n, k, horizon, embargo):
    steps, rows = np.arange(n), np.ones(n, bool)
    given = {"k": k, "horizon": horizon, "embargo": embargo, "rng": np.random.default_rng(0)}
    return as_declared(kind, steps, rows, **given)


@given(made)
def test_purged_folds_share_no_return(made):
    for kind in ("blocked", "walk_forward", "shuffled"):
        purged = built(kind, **made).purged(made["horizon"], made["embargo"])
        assert purged.overlap(made["horizon"]) == 0
    assert built("purged", **made).overlap(made["horizon"]) == 0


@given(made)
def test_no_row_is_trained_and_tested(made):
    for kind in ("blocked", "walk_forward", "shuffled", "purged"):
        folds = built(kind, **made)
        assert not (folds.train & folds.test).any()
        assert folds.test.sum(axis=0).max() == 1
        assert kind == "walk_forward" or folds.test.any(axis=0).all()


@pytest.mark.parametrize("kind", ["blocked", "walk_forward", "shuffled"])
@pytest.mark.parametrize("horizon", [1, 2, 7])
def test_overlap_is_what_it_says(kind, horizon):
    folds = built(kind, 80, 4, horizon, 0)
    assert folds.overlap(horizon) == pytest.approx(naive_overlap(folds, horizon))


def test_shuffled_folds_of_long_labels_overlap_everywhere():
    assert built("shuffled", 500, 5, 20, 0).overlap(20) > 0.99
    assert built("shuffled", 500, 5, 1, 0).overlap(1) == 0


@pytest.mark.parametrize(("embargo", "clean"), [(0, False), (18, False), (19, True), (20, True)])
def test_an_embargo_of_the_horizon_is_enough(embargo, clean):
    rows = np.ones(400, bool)
    for folds in (walk_forward(np.arange(400), rows, 5, embargo), contiguous(np.arange(400), rows, 5, embargo)):
        assert (folds.overlap(20) == 0) is clean


def test_instruments_of_a_date_stay_together():
    steps = np.repeat(np.arange(100), 3)
    folds = contiguous(steps, np.ones(300, bool), 5)
    assert all(len(np.unique(steps[test])) * 3 == test.sum() for test in folds.test)


def test_only_the_rows_asked_for_are_used():
    rows = np.arange(200) < 120
    for folds in (contiguous(np.arange(200), rows, 4), shuffled(np.arange(200), rows, 4, np.random.default_rng(0))):
        assert not (folds.train | folds.test)[:, ~rows].any()


def test_nothing_tested_overlaps_with_nothing():
    none = np.zeros((1, 10), bool)
    assert Folds(~none, none, np.arange(10)).overlap(5) == 0
    assert built("none", 60, 2, 1, 0) is None
