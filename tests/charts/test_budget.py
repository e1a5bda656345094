"""The gauge: what counts against the budget, what does not, and the verdict in words."""

import dataclasses

import pytest
from chart_specimens import explanation, nothing
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.charts import render
from workbench.charts.budget import alt_text, budget_gauge, counted, verdict

SLOW = {"queue": 200.0, "compute": 1500.0, "return": 3.0, "load": 8000.0}


@pytest.mark.parametrize(("lang", "kept", "over"), [("en", "Within", "Over"), ("zh", "预算内", "超出")])
def test_the_title_says_whether_the_budget_was_kept(lang, kept, over):
    assert kept in verdict(explanation(), lang)
    assert over in verdict(explanation(elapsed_ms=1900.0), lang)
    assert kept in budget_gauge(explanation(), lang).to_dict()["title"]["text"]


def test_nothing_in_time_is_over_budget():
    late = dataclasses.replace(nothing(), values=nothing().values[:0], elapsed_ms=799.0)
    assert "Over" in verdict(late, "en")
    assert budget_gauge(late, "en").to_dict()["title"]["subtitle"] == ["No explanation came in time"]


def test_loading_is_shown_and_not_counted():
    slow = explanation(elapsed_ms=1900.0, stages_ms=SLOW)
    assert [ms for _, ms in counted(slow, "en")] == [200.0, 1500.0, 3.0, pytest.approx(197.0)]
    said = alt_text(slow, "en")
    assert "not counted: 8,000 ms" in said
    assert "other 197 ms" in said


@given(st.dictionaries(st.text(max_size=12), st.floats(0, 1e5), max_size=6), st.floats(0, 1e5))
@settings(max_examples=60, deadline=None)
def test_counted_stages_never_fall_short_of_the_elapsed_time(stages, elapsed):
    one = explanation(stages_ms=stages, elapsed_ms=elapsed)
    assert sum(ms for _, ms in counted(one, "zh")) >= 0.99 * elapsed


def test_a_foreign_stage_is_data():
    drawn = budget_gauge(explanation(stages_ms={"</script><script>alert(1)</script>": 5.0, "a.b['c']": 3.0}), "en")
    figure = render.svg(drawn)
    assert "<script" not in figure
    assert "&lt;script&gt;" in figure
    assert figure == render.svg(drawn)
