"""The figures of a whole panel: all rows behind few marks, small specifications, both languages, hostile names, unhappy panels."""

import json
from dataclasses import replace

import chart_specimens
import numpy as np
import pandas as pd
import pytest
from importance_specimens import ar, days

from workbench.charts import render
from workbench.charts.importance import MOST
from workbench.charts.whole_panel import FIGURES
from workbench.importance import blocks, measures
from workbench.importance.whole import Whole
from workbench.manifest import Manifest
from workbench.schema import Message, Panel

BIG = 100_000


def whole_of(values, X, names, times=None, *, left_out=0):
    """A panel explained by hand; its first rows left out."""
    rng = np.random.default_rng(3)
    n, d = values.shape
    times = days(n + left_out) if times is None else times
    table = pd.DataFrame(np.vstack([X[:left_out], X]), columns=range(d)).set_axis(list(names), axis=1)
    bundle = chart_specimens.bundle(30)
    given = bundle.manifest.model_dump()
    given["features"] = {name: {"family": ("rates", "credit")[i % 2], "lag": i % 3} for i, name in enumerate(names)}
    bundle = replace(bundle, panel=Panel(times, table, tuple(names)), manifest=Manifest.model_validate(given))
    drawn = blocks.blocks_of(times[left_out:], np.abs(values), 20, draws=99)
    found = rng.random(size=(5, d, d))
    return Whole(
        bundle=bundle,
        rows=np.arange(left_out, n + left_out),
        values=values,
        output="return",
        trained=0,
        gap=0.0,
        seed=0,
        blocks=drawn,
        importance=measures.importance(values, drawn),
        families=measures.groups(values, [bundle.family(name) for name in names], drawn),
        lags=measures.groups(values, [str(i % 3) for i in range(d)], drawn),
        regimes=measures.regimes(values, X[:, 0], names[0], drawn),
        interactions=measures.pairs(found + found.swapaxes(1, 2), np.full(5, n / 5)),
    )


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    X = ar(rng, 800, 24, rho=0.9)
    X[:100, 1] = np.nan
    return whole_of(0.01 * np.nan_to_num(X) * np.linspace(1, 0.1, 24), X, [f"f{i}" for i in range(24)], left_out=5)


def rows(chart):
    return [row for data in chart.to_dict()["datasets"].values() for row in data]


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", FIGURES)
def test_figures_render_and_speak(small, name, lang):
    chart = FIGURES[name](small, lang, None)
    spec = chart.to_dict()
    drawn = render.svg(chart, surface="dark")
    assert spec["title"]["text"] in drawn or "&amp;" in drawn or "|" in spec["title"]["text"]
    assert "800" in " ".join(spec["title"]["subtitle"])
    assert "805" in " ".join(spec["title"]["subtitle"])
    assert spec["description"].startswith(spec["title"]["text"])
    assert spec["height"] > 0


def test_bars_and_whiskers_are_the_measured_ones(small):
    drawn = rows(FIGURES["importance"](small, "en", None))
    first = small.importance.order[0]
    assert len(drawn) == MOST
    assert drawn[0]["value"] == small.importance.mean.value[first]
    assert (drawn[0]["low"], drawn[0]["high"]) == (small.importance.mean.low[first], small.importance.mean.high[first])
    assert "4 less important" in str(FIGURES["importance"](small, "en", None).to_dict()["title"])


def test_the_swarm_draws_every_row(small):
    drawn = [row for row in rows(FIGURES["beeswarm"](small, "en", None)) if "rows" in row]
    assert sum(row["rows"] for row in drawn) == 800 * 14
    assert sum(row["rows"] for row in drawn if row["third"] == "missing") == 100
    assert all(0 <= row["y"] <= row["z"] <= 14 for row in drawn)


def test_dependence_is_of_the_feature_asked_for(small):
    chart = FIGURES["dependence"](small, "en", "f1")
    assert "f1" in chart.to_dict()["title"]["text"]
    assert "100 rows hold no value" in str(chart.to_dict()["title"]["subtitle"])


def test_a_hundred_thousand_rows_are_few_marks():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(BIG, 15))
    times = pd.bdate_range("2001-01-01", periods=BIG // 20).repeat(20)
    whole = whole_of(0.01 * X * X[:, ::-1], X, [f"feature_number_{i}" for i in range(15)], times)
    for name, figure in FIGURES.items():
        assert len(json.dumps(figure(whole, "zh", None).to_dict())) < 1_000_000, name
    drawn = [row for row in rows(FIGURES["beeswarm"](whole, "en", None)) if "rows" in row]
    assert sum(row["rows"] for row in drawn) == BIG * 14


def test_hostile_names_stay_words():
    rng = np.random.default_rng(2)
    names = [*dict.fromkeys(chart_specimens.HOSTILE)]
    X = rng.normal(size=(200, len(names)))
    whole = whole_of(X, X, names)
    for name in ("importance", "dependence"):
        page = render.html(FIGURES[name](whole, "en", None), "en")
        assert page.count("<script") == 4
        assert "<img src=x" not in page


def test_one_row_and_one_feature_are_drawn_without_whiskers():
    whole = whole_of(np.array([[0.01]]), np.array([[np.nan]]), ["y10"])
    for figure in FIGURES.values():
        render.svg(figure(whole, "en", None))
    assert rows(FIGURES["importance"](whole, "en", None))[0]["low"] is None
    assert "No row holds a value" in FIGURES["dependence"](whole, "en", None).to_dict()["description"]
    assert "family" in FIGURES["regimes"](whole, "en", None).to_dict()["description"]


def test_a_model_without_interactions_says_why(small):
    bare = replace(small, interactions=None, without=Message("fault.model.no_kernel"))
    assert "tree kernel" in FIGURES["interactions"](bare, "en", None).to_dict()["description"]
