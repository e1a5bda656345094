"""Every row's contribution of each feature: where they lie, and whether high or low values of the feature push up."""

from typing import Any

import altair as alt
import numpy as np

from workbench.charts import theme
from workbench.charts.importance import NARROW, counted, drawn_from, feature_labels
from workbench.charts.whiskers import PLOT, named_rows
from workbench.importance.measures import MISSING
from workbench.importance.shapes import Swarm, swarms
from workbench.importance.whole import Whole
from workbench.text import text

MOST, ROW = 14, 34
FILLED = 0.46
THIRDS = ("low", "middle", "high", "missing")
COLOURS = (theme.UP, theme.NEUTRAL, theme.DOWN, theme.LIMIT)


def beeswarm(whole: Whole, lang: str) -> alt.LayerChart:
    """All rows of the fourteen most important features in bins of SHAP; in each the rows by the third that the feature's value was in.

    A bin is as high as the root of its rows over those of the feature's fullest bin, so that few rows far out are still seen.
    """
    order = whole.importance.order[:MOST]
    labels = feature_labels(whole, order, lang)
    found = swarms(whole.values[:, order], whole.X[:, order])
    chart: alt.LayerChart = theme.stack(_swarms(found, whole.output, lang), *_rows(labels))
    chart = chart.resolve_scale(y="independent").properties(width=PLOT, height=ROW * len(order))
    title, how = text("importance.chart.beeswarm", lang), text("importance.chart.binned", lang)
    told = {"title": title, "features": text("chart.list", lang).join(labels)} | counted(whole)
    return theme.finish(
        chart, title, drawn_from(whole, how, lang, NARROW), text("importance.chart.alt_swarm", lang, **told)
    )


def _swarms(found: list[Swarm], output: str, lang: str) -> alt.Chart:
    """The bins, on one axis of SHAP values; a feature a unit of height."""
    shown = [k for k in range(MISSING + 1) if any(swarm.counts[:, k].any() for swarm in found)]
    names = {k: text(f"importance.chart.third_{THIRDS[k]}", lang) for k in shown}
    data = theme.rows([row for i, swarm in enumerate(found) for row in _bins(i, swarm, names)])
    edges = found[0].edges
    axis = alt.Axis(
        title=text("importance.chart.shap", lang, output=text(f"chart.output.{output}", lang)),
        format=theme.axis_format(output, float(np.ptp(edges))),
        tickCount=6,
    )
    scale = alt.Scale(domain=[*names.values()], range=[COLOURS[k] for k in shown])
    legend = alt.Legend(title=None, orient="bottom", symbolType="square", symbolSize=140)
    drawn: alt.Chart = (
        alt.Chart(data)
        .mark_rect(strokeWidth=0)
        .encode(
            x=alt.X("a:Q", scale=alt.Scale(domain=[float(edges[0]), float(edges[-1])], nice=False), axis=axis),
            x2="b:Q",
            y=alt.Y("y:Q", scale=alt.Scale(domain=[0, len(found)], reverse=True), axis=None),
            y2="z:Q",
            color=alt.Color("third:N", scale=scale, legend=legend),
            tooltip=[alt.Tooltip("rows:Q", title=text("importance.table.count", lang), format=",")],
        )
    )
    return drawn


def _rows(labels: list[str]) -> list[alt.Chart]:
    """The features' names beside their swarms, and a line at nothing."""
    named = alt.Chart(theme.rows([{"row": label, "zero": 0.0} for label in labels]))
    scale = alt.Scale(paddingInner=0, paddingOuter=0)
    y = alt.Y("row:N", sort=None, title=None, scale=scale, axis=named_rows())
    return [named.mark_tick(color=theme.NEUTRAL, thickness=1, size=ROW, opacity=0.8).encode(x="zero:Q", y=y)]


def _bins(place: int, swarm: Swarm, names: dict[int, str]) -> list[dict[str, Any]]:
    """A rectangle a bin and third, stacked around the middle of the feature's row."""
    rows = swarm.counts.sum(axis=1)
    fullest = rows.max()
    drawn = []
    for i in np.flatnonzero(rows):
        half = FILLED * np.sqrt(rows[i] / fullest)
        ends = place + 0.5 + half * (2 * np.r_[0, np.cumsum(swarm.counts[i])] / rows[i] - 1)
        for k, name in names.items():
            if swarm.counts[i, k]:
                drawn.append(
                    {
                        "a": _short(swarm.edges[i]),
                        "b": _short(swarm.edges[i + 1]),
                        "y": round(float(ends[k]), 3),
                        "z": round(float(ends[k + 1]), 3),
                        "third": name,
                        "rows": int(swarm.counts[i, k]),
                    }
                )
    return drawn


def _short(number: float) -> float:
    return float(f"{number:.4g}")
