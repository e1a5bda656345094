"""The staircase adds up, admits its error, survives any name."""

import dataclasses
import json
from itertools import pairwise

import numpy as np
import pytest
from chart_specimens import HOSTILE, LABELS, explanation, nothing
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.charts.waterfall import alt_text, measured, staircase, waterfall
from workbench.schema import Message


def bars(chart):
    return [row for data in chart.to_dict()["datasets"].values() for row in data if "shown" in row]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_stairs_lead_from_base_to_output(lang):
    steps = staircase(explanation(), lang, LABELS)
    assert len(steps) == 1 + 9 + 1 + 1
    assert steps[0].end == 0.004
    assert steps[-1].end == pytest.approx(explanation().prediction, abs=1e-15)
    for one, two in pairwise(steps[:-1]):
        assert two.start == one.end


def test_others_carry_the_sum_and_the_error_of_all_that_is_left_out():
    one = explanation(std_error=0.001)
    others = staircase(one, "en")[-2]
    left = sorted(one.values, key=abs)[:3]
    assert others.height == pytest.approx(sum(left))
    assert others.error == pytest.approx(1.959964 * 0.001 * np.sqrt(3))


def test_what_a_local_fit_misses_is_a_stair_of_its_own():
    steps = staircase(explanation(prediction=0.02, fit_r2=0.4), "en")
    assert steps[-2].kind == "remainder"
    assert steps[-2].end == 0.02
    assert all(step.kind != "remainder" for step in staircase(explanation(), "en"))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_ten_features_or_fewer_are_all_shown(values, base):
    one = explanation([f"f{i}" for i in range(len(values))], values=values, base_values=base, prediction=None)
    steps = staircase(one, "en")
    assert sum(s.kind == "feature" for s in steps) == min(len(values), 10)
    assert steps[-1].end == pytest.approx(base + sum(values), abs=1e-12)


def test_whiskers_only_where_the_value_is_not_exact():
    def whiskers(chart):
        return [row for row in bars(chart) if row["low"] < row["high"]]

    assert whiskers(waterfall(explanation(std_error=0.001), "en"))
    assert not whiskers(waterfall(explanation(), "en"))


def test_labels_and_values_stand_beside_the_names():
    steps = [s.label for s in staircase(explanation(), "zh", LABELS)]
    assert "10年期国债收益率 = −1.5%" in steps
    assert "slope_2s10s = −1.003" in steps
    blank = dataclasses.replace(explanation(), data=np.full(12, np.nan))
    assert "y10 = missing" in [s.label for s in staircase(blank, "en")]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nothing_came_in_time_is_said(lang):
    empty = dataclasses.replace(
        nothing(),
        values=np.array([]),
        feature_names=(),
        data=np.array([]),
        std_error=np.array([]),
        reason=Message("outcome.error"),
    )
    said = alt_text(empty, lang)
    assert "800" in said
    assert said == waterfall(empty, lang).to_dict()["description"]


def test_alt_text_has_the_main_numbers():
    said = alt_text(explanation(), "en", LABELS)
    assert "0.40%" in said
    assert "0.66%" in said
    assert "10-year Treasury yield = −1.5%: +0.40%" in said


def test_hostile_names_are_data_only():
    chart = waterfall(explanation(HOSTILE), "en")
    spec = chart.to_dict()
    without = {k: v for k, v in spec.items() if k not in {"datasets", "description"}}
    assert "alert" not in json.dumps(without)
    names = [row["row"] for row in bars(chart)]
    assert len(set(names)) == len(names)
    assert "\x00" not in json.dumps(spec, ensure_ascii=False)


@pytest.mark.parametrize(
    ("output", "shown"), [("return", "+0.40%"), ("probability", "+0.40%"), ("raw", "+0.004"), ("score", "+0.004")]
)
def test_numbers_are_in_the_reader_s_terms(output, shown):
    rows = bars(waterfall(explanation(output=output), "en"))
    assert shown in [row["shown"] for row in rows]


@pytest.mark.parametrize(
    ("unit", "lang", "shown"),
    [
        ("percent", "zh", "2.5%"),
        ("fraction", "en", "250%"),
        ("percentage points", "zh", "2.5 个百分点"),
        ("basis points", "en", "2.5 bp"),
        ("CNY/USD", "zh", "2.5 CNY/USD"),
        (None, "en", "2.5"),
    ],
)
def test_units_are_in_the_reader_s_words(unit, lang, shown):
    assert measured(2.5, unit, lang) == shown
