from dataclasses import replace

import numpy as np
import pytest
from chart_specimens import explanation

from workbench.audit import judge
from workbench.checklist import load_checklist
from workbench.checks.explanation_integrity import additivity, latency
from workbench.evidence import Latencies
from workbench.manifest import BudgetSection
from workbench.schema import Attributions, CannotMeasureError

CHECKS = {check.code: check for check in load_checklist()}


def timed(milliseconds):
    calls = tuple(replace(explanation(), elapsed_ms=float(ms), complete=True) for ms in milliseconds)
    return Latencies(replace(explanation(), elapsed_ms=2000.0, stages_ms={"load": 1900.0, "compute": 90.0}), calls)


def outcome(code, measured):
    return judge(CHECKS[code], measured, measured.p_value).outcome


@pytest.mark.parametrize(("slow_end", "expected"), [(100, "pass"), (700, "warn"), (900, "fail")])
def test_the_slow_end_decides_and_not_the_middle(slow_end, expected):
    measured = latency(timed([50] * 90 + [slow_end] * 10), BudgetSection(ms=800))
    assert outcome("X1", measured) == expected
    assert measured.facts["p50_ms"] == 50
    assert measured.facts["p95_ms"] == slow_end == pytest.approx(measured.value * 800)


def test_the_first_call_is_shown_and_not_counted():
    measured = latency(timed([50] * 100), BudgetSection(ms=800))
    assert measured.facts["first_ms"] == 2000
    assert measured.facts["first_load_ms"] == 1900
    assert outcome("X1", measured) == "pass"


def test_an_answer_without_values_is_no_answer_however_quick():
    calls = timed([50] * 100)
    nothing = replace(calls.warm[0], values=np.empty(0), elapsed_ms=3.0, complete=False)
    measured = latency(replace(calls, warm=(nothing,) * 10 + calls.warm[10:]), BudgetSection(ms=800))
    assert outcome("X1", measured) == "fail"
    assert measured.facts["cut_short"] == 10
    one = latency(replace(calls, warm=(nothing, *calls.warm[1:])), BudgetSection(ms=800))
    assert outcome("X1", one) == "warn"


def linear(n=400, d=5, scale=1e-4, seed=0):
    """A linear model of returns of daily size: exact Shapley values are known."""
    rng = np.random.default_rng(seed)
    x, b = rng.normal(size=(n, d)), scale * rng.normal(size=d)
    return Attributions(x * b, np.full(n, scale), scale + x @ b), scale + x @ b


@pytest.mark.parametrize("seed", range(5))
def test_exact_values_add_up(seed):
    assert outcome("X2", additivity(*linear(seed=seed))) == "pass"


@pytest.mark.parametrize("scale", [1e-6, 1e-4, 1.0, 1e3])
def test_zeros_explain_nothing_at_any_scale(scale):
    """shap's own check (atol 0.01) accepts these at the size of daily returns."""
    found, predictions = linear(scale=scale)
    measured = additivity(replace(found, values=np.zeros_like(found.values)), predictions)
    assert outcome("X2", measured) == "fail"
    assert measured.value > 1


def test_one_driver_left_out_of_one_row_fails():
    found, predictions = linear()
    values = found.values.copy()
    values[7, 2] = 0
    assert outcome("X2", additivity(replace(found, values=values), predictions)) == "fail"


def test_the_explainers_own_prediction_is_not_asked():
    found, predictions = linear()
    shifted = replace(found, base_values=found.base_values + 1, predictions=found.predictions + 1)
    assert outcome("X2", additivity(shifted, predictions)) == "fail"


def test_rounding_is_no_breach():
    found, predictions = linear()
    noise = predictions.std() * 1e-8 * np.random.default_rng(1).normal(size=found.values.shape)
    assert outcome("X2", additivity(replace(found, values=found.values + noise), predictions)) == "pass"


def test_a_missing_value_is_no_explanation():
    found, predictions = linear()
    values = found.values.copy()
    values[3] = np.nan
    assert outcome("X2", additivity(replace(found, values=values), predictions)) == "fail"


def test_a_model_that_always_says_the_same_cannot_be_checked():
    found, predictions = linear()
    with pytest.raises(CannotMeasureError):
        additivity(found, np.full_like(predictions, 0.5))
