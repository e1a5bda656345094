"""Every kind of table becomes a figure, its lines drawn and named, whatever the names are."""

import json

import numpy as np
import pytest
from chart_specimens import HOSTILE

from workbench.charts import render
from workbench.charts.evidence import KINDS, alt_text, evidence_figure
from workbench.manifest import Words
from workbench.schema import Table

RNG = np.random.default_rng(3)
WORDS = {"line": Words(en="fail line", zh="未通过线"), "share": Words(en="share of variance", zh="方差占比")}
TABLES = {
    "bars": Table("bars", {"factor": ["equity", "credit"], "share": [0.62, 0.2]}, {"line": 0.5}),
    "lines": Table("lines", {"date": ["2020-01-01", "2020-01-02"], "share": [0.1, 0.3]}, {"line": 0.2}),
    "histogram": Table("histogram", {"from": [0, 1], "to": [1, 2], "share": [3, 4]}, {"line": 1.5}),
    "intervals": Table("intervals", {"f": ["a"], "share": [0.2], "low": [0.1], "high": [0.3]}, {"line": 0.15}),
    "scatter": Table("scatter", {"x": RNG.normal(size=50), "share": RNG.normal(size=50)}, {"line": 0.0}),
}


def drawn(chart):
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_every_kind_has_a_specimen():
    assert set(TABLES) == set(KINDS)


@pytest.mark.parametrize(("lang", "line"), [("en", "fail line: "), ("zh", "未通过线：")])
@pytest.mark.parametrize("kind", sorted(TABLES))
def test_lines_are_drawn_and_named(kind, lang, line):
    chart = evidence_figure(TABLES[kind], WORDS, lang)
    value = TABLES[kind].lines["line"]
    assert [row["at"] for row in drawn(chart) if str(row.get("name", "")).startswith(line)] == [value]
    assert WORDS["share"].model_dump()[lang] in chart.to_dict()["description"]
    assert render.svg(chart) == render.svg(chart)


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_hostile_keys_and_cells_stay_data(kind):
    columns = {name: list(column) for name, column in zip(HOSTILE, TABLES[kind].columns.values(), strict=False)}
    first = next(iter(columns))
    if kind in {"bars", "intervals"}:
        columns[first] = list(HOSTILE[: len(columns[first])])
    chart = evidence_figure(Table(kind, columns, {HOSTILE[3]: 0.1}), {}, "en", title=HOSTILE[0])
    figure = render.svg(chart)
    assert "<script" not in figure
    assert "<img" not in figure
    fields = {k: v for k, v in chart.to_dict().items() if k not in {"datasets", "description", "title"}}
    assert '"field": "datum' not in json.dumps(fields)


def test_raw_numbers_are_counted_into_bins():
    numbers = [*RNG.normal(size=200), float("nan"), None]
    rows = drawn(evidence_figure(Table("histogram", {"x": numbers}), {}, "en"))
    assert sum(row["value"] for row in rows) == 200


def test_missing_values_leave_a_gap_and_no_nan():
    table = Table("lines", {"t": [1, 2, 3], "v": [1.0, float("nan"), float("inf")]}, {"l": float("nan")})
    chart = evidence_figure(table, {}, "en")
    assert [row["value"] for row in drawn(chart)] == [1.0, None, None]
    assert "NaN" not in chart.to_json()


def test_an_empty_table_says_so():
    assert "nothing to draw" in render.svg(evidence_figure(Table("bars", {"a": [], "b": []}), {}, "en"))


def test_a_line_far_outside_a_histogram_stands_at_its_edge():
    table = Table("histogram", {"from": [1.0, 2.0], "to": [2.0, 3.0], "n": [3, 4]}, {"budget": 800.0, "p95": 2.9})
    lines = [row for row in drawn(evidence_figure(table, {}, "en")) if "name" in row]
    assert [(row["at"], row["name"]) for row in lines if row["at"] > 2.9] == [(4.0, "budget: 800 →")]
    assert (2.9, "p95: 2.9") in [(row["at"], row["name"]) for row in lines]


def test_unknown_kind_is_an_error():
    with pytest.raises(KeyError):
        evidence_figure(Table("pie", {"a": [1]}), {}, "en")


def test_alt_text_has_the_numbers():
    assert alt_text(TABLES["bars"], WORDS, "en", "Risk") == (
        "Bar chart Risk, 2 entries: share of variance from 0.2 to 0.62. Reference lines: fail line 0.5."
    )
