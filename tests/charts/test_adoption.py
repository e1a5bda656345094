"""The figures of adoption: the break as an estimate with its band, the budget as a reference, students as students."""

import pytest
from test_adoption import log

from workbench.adoption import examine, of_advice
from workbench.charts import render
from workbench.charts.adoption import reliability, slowness
from workbench.text import say


@pytest.fixture(scope="module")
def broken():
    return examine(log(drop=0.63))


def rows(chart):
    return [row for data in chart.to_dict()["datasets"].values() for row in data]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_break_and_budget_are_told_apart(broken, lang):
    names = [str(row.get("name")) for row in rows(slowness(broken, lang))]
    estimate = f"{broken.threshold.at:,.0f}"
    assert len([n for n in names if estimate in n and n.startswith(("estimated", "断点估计"))]) == 1
    assert len([n for n in names if n.startswith(("800 ms budget", "时限 800"))]) == 1


def test_band_and_steps_are_the_estimates(broken):
    drawn = rows(slowness(broken, "en"))
    low, high = broken.threshold.at_interval
    assert {"at": low, "high": high} in drawn
    assert {broken.threshold.below, broken.threshold.above} <= {row.get("value") for row in drawn}


def test_without_a_break_none_is_drawn():
    chart = slowness(examine(log(5000)), "en")
    assert not [row for row in rows(chart) if "estimated" in str(row.get("name"))]
    assert "No break was found" in chart.to_dict()["description"]


def test_bins_without_outcomes_show_adoption_only():
    table = log(400).drop(columns="outcome")
    chart = reliability(examine(table), "en")
    assert {row["series"] for row in rows(chart) if "series" in row} == {"Adoption rate"}
    assert not [row for row in rows(chart) if row.get("name") == "Predicted = realised"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_alt_text_says_every_bin_and_the_finding(broken, lang):
    said = slowness(broken, lang).to_dict()["description"]
    assert say(broken.sentence, lang) in said
    for each in broken.by_latency:
        assert f"{each.adopted.value:.0%}" in said
    assert f"{broken.by_predicted[0].won.value:.0%}" in reliability(broken, lang).to_dict()["description"]


@pytest.mark.parametrize("surface", ["light", "dark"])
def test_figures_render(broken, surface):
    for chart in (slowness(broken, "zh"), reliability(broken, "en")):
        assert render.svg(chart, surface=surface) == render.svg(chart, surface=surface)


def test_students_get_no_line_at_800_ms():
    chart = slowness(of_advice(), "en")
    assert "student" in chart.to_dict()["title"]["text"]
    assert not [row for row in rows(chart) if "budget" in str(row.get("name"))]


def test_a_single_decision_is_drawn():
    chart = slowness(examine(log(400).iloc[:1]), "en")
    assert "Insufficient" in chart.to_dict()["description"]
    render.svg(chart)
