import json
import math
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from test_checklist import make_check

from workbench.audit import adjust, judge, run, to_dict, verdict, without_times
from workbench.schema import (
    AuditReport,
    CannotMeasureError,
    Finding,
    Measurement,
    Message,
    ModelFailedError,
    Outcome,
    Table,
)
from workbench.text import say, words

MILD_TO_GRAVE = [Outcome.PASS, Outcome.INSUFFICIENT, Outcome.WARN, Outcome.FAIL]
STATISTICAL = {"warn_p": 0.05, "fail_p": 0.01}


def outcome(value, p=None, smallest=None, facts=None, **changes):
    return judge(make_check(**changes), Measurement(value, p, smallest, facts or {}), p).outcome


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, "pass"), (1.0, "pass"), (1.5, "warn"), (2.0, "warn"), (2.1, "fail")]
)
def test_a_deterministic_check_looks_at_the_line_only(value, expected):
    assert outcome(value) == expected
    assert outcome(-value, warn_above=None, fail_above=None, warn_below=-1, fail_below=-2) == expected


@pytest.mark.parametrize(
    ("value", "p", "expected"),
    [(3, 0.01, "fail"), (3, 0.02, "warn"), (3, 0.06, "pass"), (1.5, 0.001, "warn"), (0.5, 0.001, "pass")],
)
def test_a_statistical_check_wants_size_and_significance(value, p, expected):
    assert outcome(value, p, **STATISTICAL) == expected


def test_silence_is_insufficient_where_the_sample_could_not_have_spoken():
    assert outcome(0.5, 0.5, smallest=2.5, **STATISTICAL) == "insufficient"
    assert outcome(0.5, 0.5, smallest=1.5, **STATISTICAL) == "pass"
    assert outcome(0.5, 0.5, smallest=2.5, must_show=3.0, **STATISTICAL) == "pass"
    judged = judge(make_check(**STATISTICAL), Measurement(0.5, 0.5, 2.5), 0.5)
    assert "2.5" in say(judged.reason, "en")
    assert "2.5" in say(judged.reason, "zh")


def test_a_fact_can_keep_a_check_from_passing():
    assert outcome(0.0, facts={"overlap": 0.1}, also_warn={"overlap": 0.0}) == "warn"
    assert outcome(0.0, facts={"overlap": 0.0}, also_warn={"overlap": 0.0}) == "pass"
    assert outcome(3.0, facts={"overlap": 0.1}, also_warn={"overlap": 0.0}) == "fail"


@pytest.mark.parametrize(("value", "p"), [(math.nan, 0.5), (1.0, None), (1.0, math.nan), (1.0, 1.5)])
def test_what_is_no_number_is_an_error_and_no_pass(value, p):
    assert outcome(value, p, **STATISTICAL) == "error"


def test_an_infinite_breach_fails():
    assert outcome(math.inf) == "fail"


numbers = st.floats(-10, 10)
steps = st.floats(0, 5)


@given(measured=st.tuples(numbers, st.floats(0, 1), st.none() | numbers), warn=numbers, by=st.tuples(steps, steps))
def test_a_stricter_line_never_gives_a_milder_outcome(measured, warn, by):
    lines = {"warn_above": warn, "fail_above": warn + by[0]}
    strict = {key: line - by[1] for key, line in lines.items()}
    for kind in ({}, STATISTICAL):
        before, after = (outcome(*measured, **made, **kind) for made in (lines, strict))
        assert MILD_TO_GRAVE.index(after) >= MILD_TO_GRAVE.index(before)
    looser = outcome(*measured, **lines, warn_p=0.01, fail_p=0.001)
    assert MILD_TO_GRAVE.index(outcome(*measured, **lines, **STATISTICAL)) >= MILD_TO_GRAVE.index(looser)


def finding(check, value=3.0, p=None, result=Outcome.FAIL):
    return Finding(check.code, result, result, Measurement(value, p), None, None, 1.0)


@cache
def statistical_checks():
    return [make_check(code=f"V{i + 1}", **STATISTICAL) for i in range(8)]


@settings(max_examples=20)  # statsmodels collects the whole process's garbage in each call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_monotone_and_never_smaller_than_the_raw_p(p_values):
    checks = statistical_checks()[: len(p_values)]
    found = adjust(checks, [finding(c, p=p) for c, p in zip(checks, p_values, strict=True)])
    adjusted = [f.p_adjusted for f in found]
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    assert np.all(np.diff(np.array(adjusted)[np.argsort(p_values, kind="stable")]) >= 0)


def test_holm_reproduces_harvey_and_liu():
    """Harvey and Liu (2015), "Backtesting", the example of six p-values."""
    p_values = [0.005, 0.009, 0.0128, 0.0135, 0.045, 0.06]
    checks = [make_check(code=f"V{i + 1}", **STATISTICAL) for i in range(6)]
    adjusted = adjust(checks, [finding(c, p=p) for c, p in zip(checks, p_values, strict=True)])
    assert [f.p_adjusted for f in adjusted] == pytest.approx([0.03, 0.045, 0.0512, 0.0512, 0.09, 0.09])
    assert multipletests(p_values, method="holm")[1] == pytest.approx([f.p_adjusted for f in adjusted])


def test_the_raw_p_is_shown_and_the_adjusted_one_decides():
    checks = [make_check(code="V1", **STATISTICAL), make_check(code="V2", **STATISTICAL), make_check(code="T1")]
    found = [
        finding(checks[0], p=0.008),
        finding(checks[1], 0.0, 0.5, Outcome.PASS),
        finding(checks[2], 0.0, None, Outcome.PASS),
    ]
    adjusted = adjust(checks, found)
    assert (adjusted[0].outcome, adjusted[0].p_adjusted, adjusted[0].adjusted_outcome) == ("fail", 0.016, "warn")
    assert adjusted[2].p_adjusted is None
    assert verdict(checks, adjusted) == "warn"


@pytest.mark.parametrize(
    ("outcomes", "severity", "expected"),
    [
        (["pass", "pass"], "critical", "pass"),
        (["pass", "warn"], "minor", "warn"),
        (["warn", "fail"], "minor", "fail"),
        (["pass", "error"], "minor", "fail"),
        (["pass", "insufficient"], "minor", "warn"),
        (["pass", "not_run"], "critical", "warn"),
        (["pass", "not_run"], "major", "pass"),
        (["fail", "not_run"], "critical", "fail"),
        (["not_run", "not_run"], "major", "warn"),
    ],
)
def test_the_verdict(outcomes, severity, expected):
    checks = [make_check(code=f"V{i + 1}", severity=severity) for i in range(len(outcomes))]
    findings = [finding(c, result=Outcome(o)) for c, o in zip(checks, outcomes, strict=True)]
    assert verdict(checks, findings) == expected


class Broken:
    """Evidence that raises."""

    def __init__(self, error):
        self.error = error

    def collect(self, *_):
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (CannotMeasureError(Message("audit.missing", {"what": "[returns] file"})), "not_run", "[returns] file"),
        (ModelFailedError(Message("outcome.error")), "error", "model failed"),
        (ZeroDivisionError("by zero"), "error", "ZeroDivisionError: by zero"),
    ],
)
def test_what_goes_wrong_becomes_a_finding_with_a_reason(error, expected, said):
    found = run(make_check(), Broken(error))
    assert found.outcome == found.adjusted_outcome == expected
    assert said in say(found.reason)
    assert found.measurement is None


@pytest.mark.parametrize("change", [{"family": "os"}, {"family": "../audit"}, {"name": "no_such_measure"}])
def test_a_measure_is_looked_up_and_never_imported_blindly(change):
    found = run(make_check(**change), Broken(AssertionError()))
    assert found.outcome == "error"
    assert "LookupError" in say(found.reason)


def report(measurement, result=Outcome.FAIL, reason=None):
    found = Finding("X2", result, result, measurement, None, reason, 1.5)
    return AuditReport("b", "fixed_income_plus", "0", Outcome.FAIL, (found,), "m", "p", "b", 0, "now", 2.0)


def test_the_machine_form_is_json_with_null_for_what_is_no_number():
    facts = {"a": math.inf, "b": np.float64(2), "c": "text", "d": None}
    table = Table("bars", {"x": np.array([1.0, math.nan]), "name": ("a", "b")}, {"line": math.inf})
    record = to_dict(report(Measurement(math.inf, facts=facts, tables={"t": table})), "zh")
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again == record
    (found,) = record["findings"]
    assert found["value"] is None
    assert found["evidence"]["facts"] == {"a": None, "b": 2.0, "c": "text", "d": None}
    assert found["evidence"]["tables"]["t"] == {
        "kind": "bars",
        "columns": {"x": [1.0, None], "name": ["a", "b"]},
        "lines": {"line": None},
    }
    assert found["title"] == "贡献可加性"
    assert record["counts"] == {"pass": 0, "warn": 0, "fail": 1, "insufficient": 0, "not_run": 0, "error": 0}


def test_a_finding_that_was_not_measured_still_has_its_words():
    record = to_dict(report(None, Outcome.NOT_RUN, Message("audit.missing", {"what": "[returns] file"})))
    (found,) = record["findings"]
    assert (found["value"], found["evidence"]) == (None, {})
    assert found["reason"] == "not run: bundle.toml lacks [returns] file"
    assert found["title"]
    assert found["remedy"]


def test_times_can_be_left_out():
    record = without_times(to_dict(report(Measurement(1.0))))
    assert "started" not in record
    assert "elapsed_ms" not in json.dumps(record)
    assert record["findings"][0]["value"] == 1.0


def test_both_languages_take_the_same_values():
    names = {key: [re.findall(r"{(\w+)", said[lang]) for lang in ("en", "zh")] for key, said in words().items()}
    assert [key for key, (en, zh) in names.items() if sorted(en) != sorted(zh)] == []
