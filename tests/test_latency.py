"""Percentiles by hand, intervals that cover, groups, and what an answer that never came does to them."""

import math

import numpy as np
import pytest

from workbench import latency
from workbench.latency import Which, curves, late_stage, over_budget, ranks, summaries, wilson
from workbench.ledger import Ledger

STAGES = {"queue": 1.0, "load": 5000.0, "compute": 2.0, "return": 0.5}


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite")


def answer(ms, *, came=True, **more):
    return {
        "bundle": "b",
        "method": "shap",
        "model": "m.txt",
        "model_sha256": "a" * 64,
        "elapsed_ms": float(ms),
        "budget_ms": 800.0,
        "within_budget": came and ms <= 800,
        "features": [{"name": "y10"}] if came else [],
        "stages_ms": STAGES,
    } | more


def keep(ledger, *bodies):
    for body in bodies:
        ledger.append("explanation", body)
    assert ledger.flush() is None
    return ledger


def test_percentiles_are_the_nearest_ranks(ledger):
    times = np.random.default_rng(0).permutation(np.arange(1.0, 401.0))
    (one,) = summaries(keep(ledger, *(answer(ms) for ms in times)))
    assert {p: found.ms for p, found in one.percentiles.items()} == {50: 200, 95: 380, 99: 396}
    for percent, found in one.percentiles.items():
        assert found.ms == np.percentile(times, percent, method="inverted_cdf")
        assert found.low < found.ms < found.high
    assert (one.count, one.over, one.largest_ms) == (400, 0, 400)


@pytest.mark.parametrize(
    ("count", "missing"), [(1, {50, 95, 99}), (19, {95, 99}), (20, {99}), (99, {99}), (100, set())]
)
def test_a_percentile_that_few_answers_cannot_show_is_missing(ledger, count, missing):
    (one,) = summaries(keep(ledger, *(answer(ms) for ms in range(1, count + 1))))
    assert {p for p, found in one.percentiles.items() if found.missing == "too_few"} == missing
    assert {p for p, found in one.percentiles.items() if found.ms is None} == missing
    assert one.percentiles[99].high is None


def test_an_answer_that_never_came_is_later_than_any_other(ledger):
    bodies = [answer(ms) for ms in range(1, 91)] + [answer(3.0, came=False)] * 10
    (one,) = summaries(keep(ledger, *bodies))
    assert (one.over, one.unanswered, one.in_promise, one.largest_ms) == (10, 10, 90, 90)
    assert one.percentiles[50].ms == 50
    assert [one.percentiles[p].missing for p in (95, 99)] == ["no_answer"] * 2
    assert one.percentiles[95].spoken("zh") == "未作答"


def test_nothing_that_came_is_still_counted(ledger):
    keep(ledger, *[answer(800.4, came=False)] * 30, answer(5, bundle="other"))
    first, second = summaries(ledger, ["bundle"])
    assert (first.unanswered, first.largest_ms, first.percentiles[50].missing) == (30, None, "no_answer")
    assert (second.group, second.count) == ({"bundle": "other"}, 1)


@pytest.mark.parametrize(("count", "percent"), [(6, 50), (60, 50), (80, 95), (400, 99), (200_000, 95)])
def test_the_interval_of_a_percentile_leaves_no_more_than_the_tails(count, percent):
    low, middle, high = ranks(count, percent)
    q, k = percent / 100, np.arange(count + 1)
    log = [math.lgamma(count + 1) - math.lgamma(i + 1) - math.lgamma(count - i + 1) for i in k]
    below = np.cumsum(np.exp(np.array(log) + k * math.log(q) + (count - k) * math.log1p(-q)))
    assert low < middle <= high
    assert low == 0 or below[low - 1] <= 0.025 < below[low]
    assert below[high - 2] < 0.975 <= below[high - 1] + 1e-9


def test_intervals_cover():
    rng = np.random.default_rng(5)
    low, _, high = ranks(300, 95)
    draws = np.sort(rng.exponential(size=(2000, 300)), axis=1)
    truth = -math.log(0.05)
    assert np.mean((draws[:, low - 1] <= truth) & (truth < draws[:, high - 1])) > 0.945


def test_wilson_by_newcombe():
    """Newcombe (1998), table I: 15 of 148."""
    np.testing.assert_allclose(wilson(15, 148), (0.0624, 0.1605), atol=5e-5)
    assert wilson(1, 1)[1] == 1


def test_groups_and_filters(ledger):
    old = {k: v for k, v in answer(7, bundle="old").items() if k != "model"}
    keep(ledger, answer(1), answer(2, method="lime"), answer(900, method="lime"), old)
    assert [(s.group["model"], s.count) for s in summaries(ledger, ["bundle", "model"])] == [
        ("m.txt", 3),
        ("a" * 12, 1),
    ]
    assert [(s.group["method"], s.over) for s in summaries(ledger, ["method"])] == [("lime", 1), ("shap", 0)]
    (day,) = summaries(ledger, ["day"], Which(method="lime"))
    assert (len(day.group["day"]), day.count) == (10, 2)
    assert summaries(ledger, which=Which(since="2999-01-01")) == []
    assert latency.choices(ledger) == {"bundle": ["b", "old"], "method": ["lime", "shap"]}


def test_an_empty_ledger_has_nothing_to_say(ledger):
    assert summaries(ledger) == summaries(ledger, ["day"]) == curves(ledger) == over_budget(ledger) == []


def test_audits_and_foreign_bodies_are_no_answers(ledger):
    ledger.append("audit", {"elapsed_ms": 60_000.0, "bundle": "b"})
    ledger.append("explanation", {"something": "else"})
    (one,) = summaries(keep(ledger, answer(4)))
    assert one.count == 1


def test_the_newest_over_budget_come_first_with_the_stage_that_took_most(ledger):
    slow = answer(1500, stages_ms=STAGES | {"queue": 1100.0})
    keep(ledger, answer(900, stages_ms=STAGES | {"compute": 890.0}), answer(3), slow)
    late = over_budget(ledger, limit=5)
    assert [r.body["elapsed_ms"] for r in late] == [1500, 900]
    assert [late_stage(r.body).stage for r in late] == ["queue", "compute"]
    assert late_stage(late[0].body).spoken("en") == "waiting 1,100 ms"


def test_loading_is_never_the_stage_and_waiting_for_a_silent_model_is_computing():
    silent = answer(802, came=False, stages_ms={"queue": 0.2, "load": 9000.0, "compute": 0.0, "return": 801.8})
    assert (late_stage(silent).stage, late_stage(silent).ms) == ("compute", 801.8)
    assert late_stage(answer(900, stages_ms={})) is None
    assert late_stage(answer(3)) is None
    assert late_stage(answer(900, stages_ms={"a stranger's": 5})).spoken("zh").startswith("a stranger's")


def test_the_curve_is_exact_at_the_promise_and_ends_below_one(ledger):
    times = [*np.linspace(10, 790, 95), 799.9, 800.1, 2000]
    (curve,) = curves(keep(ledger, *(answer(ms) for ms in times), answer(1, came=False), answer(1, came=False)))
    assert dict(zip(curve.ms, curve.share, strict=True))[800.0] == 0.96
    assert curve.share[-1] == 0.98
    assert list(curve.ms) == sorted(curve.ms)
    assert all(
        np.mean(np.array([*times, 1e9, 1e9]) <= ms) == share for ms, share in zip(curve.ms, curve.share, strict=True)
    )


def test_a_method_that_never_answered_has_a_curve_of_nothing(ledger):
    keep(ledger, answer(5), answer(801, came=False, method="lime"))
    assert [(c.name, c.count, c.share) for c in curves(ledger)] == [("lime", 1, ()), ("shap", 1, (1.0,))]
