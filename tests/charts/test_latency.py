"""The figures of the promise: exact at the line, honest about what never came, hostile names inert."""

import json

import pytest
from chart_specimens import HOSTILE

from workbench.charts import render
from workbench.charts.latency import arrivals, by_day
from workbench.latency import Curve, curves, summaries
from workbench.ledger import Ledger


def body(ms, method="shap", *, came=True):
    stages = {"queue": 0.1, "compute": ms}
    return {
        "bundle": "b",
        "method": method,
        "elapsed_ms": ms,
        "budget_ms": 800.0,
        "within_budget": came and ms <= 800,
        "features": [{"name": "y10"}] if came else [],
        "stages_ms": stages,
    }


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.sqlite")
    bodies = [body(float(ms)) for ms in range(1, 120)] + [body(950.0), body(800.5, "lime", came=False)]
    rows = [(f"2026-10-0{1 + i % 2}T02:00:00", "explanation", json.dumps(each)) for i, each in enumerate(bodies)]
    rows += [("2026-10-03T02:00:00", "explanation", json.dumps(body(801.0, "lime", came=False)))] * 25
    made._write(rows, 0)
    return made


def drawn(chart):
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


@pytest.mark.parametrize(
    ("lang", "title"),
    [("en", "81.5% of 146 requests answered in 800 ms"), ("zh", "146 次请求中，81.5% 在 800 毫秒内得到解释")],
)
def test_the_title_is_the_promise_as_it_was_kept(ledger, lang, title):
    (whole,) = summaries(ledger)
    chart = arrivals(curves(ledger), whole, lang)
    assert chart.to_dict()["title"]["text"] == title
    assert title in chart.to_dict()["description"]
    assert render.svg(chart) == render.svg(chart)


def test_curves_run_from_nothing_to_what_came(ledger):
    (whole,) = summaries(ledger)
    rows = [row for row in drawn(arrivals(curves(ledger), whole, "en")) if "share" in row]
    lime, shap = ([row for row in rows if row["name"].startswith(name)] for name in ("LIME", "Sampled"))
    assert [row["share"] for row in lime] == [0, 0]
    assert "0% of 26" in lime[0]["name"]
    assert (shap[0]["share"], shap[-1]["share"]) == (0, 1)
    assert "99.16% of 120" in shap[0]["name"]


def test_the_days_have_their_percentiles_and_a_triangle_where_none_came(ledger):
    rows = [row for row in drawn(by_day(summaries(ledger, ["day"]), "en")) if "date" in row]
    assert {row["date"] for row in rows} == {"2026-10-01", "2026-10-02", "2026-10-03"}
    assert not [row for row in rows if row["name"] == "p99"]
    empty = [row for row in rows if row["date"] == "2026-10-03"]
    assert [(row["name"], row["ms"], row["told"]) for row in empty] == [(n, None, "no answer") for n in ("p50", "p95")]
    assert all(row["at_top"] > 950 for row in empty)
    chart = by_day(summaries(ledger, ["day"]), "zh").to_dict()
    assert "▲" in chart["title"]["subtitle"][0]
    assert "2026-10-03" in chart["description"]


def test_one_answer_is_enough_for_both(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append("explanation", body(12.0))
    ledger.flush()
    (whole,) = summaries(ledger)
    assert "100% of 1 requests" in render.svg(arrivals(curves(ledger), whole, "en")).replace("\n", "")
    assert "800 ms" in render.svg(by_day(summaries(ledger, ["day"]), "en"))


def test_a_hostile_method_is_data(ledger):
    (whole,) = summaries(ledger)
    figure = render.svg(arrivals([Curve(name, 2, (5.0,), (0.5,)) for name in HOSTILE], whole, "en"))
    assert "<script" not in figure
    assert "<img" not in figure
