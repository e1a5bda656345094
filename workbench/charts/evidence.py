"""A finding's evidence as a figure. `Table.kind` names the form; columns are read by their place.

* bars: names, then one series a column. lines: moments or numbers, then one series a column.
* histogram: left edges, right edges, counts; or one column of raw numbers. scatter: x, y, optionally a group.
* intervals: names, estimate, lower end, upper end.

Reference `lines` are drawn across the values' axis (upright for bars, intervals and histograms) and named.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts import theme
from workbench.manifest import Words
from workbench.schema import Table
from workbench.text import text

KNOWN = Mapping[str, Words]
MOST_POINTS = 2000
BINS = 30
PLOT = theme.WIDTH - 60
_PADDED = alt.Scale(zero=False, nice=True, padding=8)


def evidence_figure(table: Table, words: KNOWN, lang: str, title: str = "") -> alt.LayerChart:
    """The table as a figure of its kind; `words` name its columns and lines (a key without words stands as it is).

    Raises KeyError for a kind that is none of bars, lines, histogram, intervals, scatter.
    """
    draw = KINDS[table.kind]
    columns = [_listed(column) for column in table.columns.values()]
    if table.kind == "intervals":  # its rows are the measure's own, not a user's features
        columns[0] = [theme.spoken(words, str(row), lang) for row in columns[0]]
    names = theme.unique([theme.clean(theme.spoken(words, key, lang)) for key in table.columns])
    said = alt_text(table, words, lang, title)
    if not columns or not columns[0]:
        return theme.finish(theme.sentence(text("chart.evidence.empty", lang)), title, [], said)
    layers = draw(columns, names)
    layers += _references(table, words, lang)
    slots = len(columns[0]) * max(1, len(columns) - 1 if table.kind == "bars" else 1)
    height = max(90, 10 * len(columns[0]) + 12 * slots) if table.kind in SIDEWAYS else 240
    return theme.finish(theme.stack(*layers).properties(width=PLOT, height=height), title, [], said)


def alt_text(table: Table, words: KNOWN, lang: str, title: str = "") -> str:
    """The figure in a sentence: its kind, what is drawn, the range of each series, the reference lines."""
    series = [
        text("chart.evidence.range", lang, name=theme.spoken(words, key, lang), low=_short(low), high=_short(high))
        for key, column in table.columns.items()
        if (low_high := _range(column)) is not None
        for low, high in [low_high]
    ]
    lines = [f"{theme.spoken(words, key, lang)} {_short(value)}" for key, value in table.lines.items()]
    joined = text("chart.list", lang)
    said = text(
        "chart.evidence.alt",
        lang,
        kind=text(f"chart.kind.{table.kind}", lang),
        title=title,
        n=len(next(iter(table.columns.values()), ())),
        series=joined.join(series),
    )
    return said + (text("chart.evidence.alt_lines", lang, lines=joined.join(lines)) if lines else "")


def _listed(column: Sequence[Any]) -> list[Any]:
    return list(column.tolist()) if isinstance(column, np.ndarray) else list(column)


def _range(column: Sequence[Any]) -> tuple[float, float] | None:
    numbers = [float(v) for v in _listed(column) if isinstance(v, (int, float)) and np.isfinite(v)]
    return (min(numbers), max(numbers)) if numbers else None


def _short(value: float) -> str:
    return theme.digits(float(value), 3)


def _axis(title: str, **more: Any) -> alt.Axis:
    return alt.Axis(title=title, **({"tickCount": 7} | more))


def _named(names: list[str], legend: alt.Legend | None) -> dict[str, Any]:
    scale = alt.Scale(domain=names, range=[theme.SERIES[i % len(theme.SERIES)] for i in range(len(names))])
    return {"color": alt.Color("series:N", scale=scale, legend=legend, sort=None)}


def _legend(names: list[str], orient: Literal["top", "bottom"] = "top") -> alt.Legend | None:
    return alt.Legend(title=None, orient=orient, symbolSize=180, columns=3) if len(names) > 1 else None


def _melt(first: list[Any], columns: list[list[Any]], names: list[str]) -> list[dict[str, Any]]:
    return [
        {"at": at, "value": value, "series": name, "shown": _told(value)}
        for name, column in zip(names, columns, strict=True)
        for at, value in zip(first, column, strict=True)
    ]


def _told(value: Any) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return theme.digits(float(value)) if number else str(value)


def _tips(**titles: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]


def _bars(columns: list[list[Any]], names: list[str]) -> list[alt.Chart]:
    places = theme.unique([theme.clean(_told(v)) for v in columns[0]])
    data = theme.rows(_melt(places, columns[1:], names[1:]))
    title = names[1] if len(names) == 2 else ""  # noqa: PLR2004 - names and one series
    base = alt.Chart(data).encode(
        y=alt.Y("at:N", sort=None, axis=_axis("", ticks=False, domain=False, labelLimit=300)),
        x=alt.X("value:Q", axis=_axis(title)),
        tooltip=_tips(at=names[0], series="", shown=" "),
    )
    grouped = base.encode(yOffset=alt.YOffset("series:N", sort=None)) if len(names) > 2 else base  # noqa: PLR2004
    return [grouped.mark_bar().encode(**_named(names[1:], _legend(names[1:], "bottom")))]


def _lines(columns: list[list[Any]], names: list[str]) -> list[alt.Chart]:
    series = [np.array([np.nan if v is None else v for v in column], dtype=np.float64) for column in columns[1:]]
    kept = sorted(set().union(*(theme.thin(values) for values in series)))
    columns = [[column[i] for i in kept] for column in columns]
    moments = _moments(columns[0])
    first = columns[0] if moments is None else [theme.milliseconds(m) for m in moments]
    records = _melt(first, columns[1:], names[1:])
    days = [_told(v) for v in columns[0]] if moments is None else [f"{m:%Y-%m-%d}" for m in moments]
    for record, day in zip(records, days * (len(columns) - 1), strict=True):
        record["day"] = day
    if moments is None:
        x = alt.X("at:Q", axis=_axis(names[0], grid=False), scale=_PADDED)
    else:
        x = alt.X("at:T", title=None, axis=theme.time_axis(moments), scale=alt.Scale(type="utc"))
    dashes = alt.Scale(domain=names[1:], range=[theme.DASHES[i % len(theme.DASHES)] for i in range(len(names) - 1)])
    legend = _legend(names[1:])
    title = names[1] if len(names) == 2 else ""  # noqa: PLR2004 - x and one series
    mark = alt.Chart(theme.rows(records)).mark_line(strokeWidth=1.8)
    drawn = mark.encode(
        x=x,
        y=alt.Y("value:Q", axis=_axis(title), scale=_PADDED),
        strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=legend, sort=None),
        tooltip=_tips(day=names[0], series="", shown=" "),
        **_named(names[1:], legend),
    )
    return [drawn]


def _histogram(columns: list[list[Any]], names: list[str]) -> list[alt.Chart]:
    if len(columns) == 1:
        numbers = np.array([v for v in columns[0] if v is not None], dtype=np.float64)
        counts, edges = np.histogram(numbers[np.isfinite(numbers)], bins=BINS)
        columns = [edges[:-1].tolist(), edges[1:].tolist(), counts.tolist()]
    records = [
        {"from": low, "to": high, "value": n, "shown": _told(n), "span": f"{_told(low)} – {_told(high)}"}
        for low, high, n in zip(*columns[:3], strict=True)
    ]
    mark = alt.Chart(theme.rows(records)).mark_bar(color=theme.UP, stroke=theme.NEUTRAL, strokeWidth=0.4)
    drawn = mark.encode(
        x=alt.X("from:Q", axis=_axis(names[0], grid=False), scale=alt.Scale(zero=False)),
        x2="to:Q",
        y2=alt.datum(0),
        y=alt.Y("value:Q", axis=_axis(names[2] if len(names) > 2 else "", tickMinStep=1)),  # noqa: PLR2004
        tooltip=_tips(span=names[0], shown=" "),
    )
    return [drawn]


def _intervals(columns: list[list[Any]], names: list[str]) -> list[alt.Chart]:
    places = theme.unique([theme.clean(_told(v)) for v in columns[0]])
    records = [
        {"at": at, "value": value, "low": low, "high": high, "shown": f"{_told(value)} [{_told(low)}, {_told(high)}]"}
        for at, value, low, high in zip(places, *columns[1:4], strict=True)
    ]
    base = alt.Chart(theme.rows(records)).encode(
        y=alt.Y("at:N", sort=None, axis=_axis("", ticks=False, domain=False, labelLimit=300)),
        tooltip=_tips(at=names[0], shown=names[1]),
    )
    bars = base.mark_rule(strokeWidth=2.5, color=theme.UP)
    dots = base.mark_point(filled=True, size=70, color=theme.UP, opacity=1)
    x = alt.X("low:Q", axis=_axis(names[1]), scale=_PADDED)
    return [bars.encode(x=x, x2="high:Q"), dots.encode(x=alt.X("value:Q", scale=_PADDED))]


def _scatter(columns: list[list[Any]], names: list[str]) -> list[alt.Chart]:
    step = max(1, -(-len(columns[0]) // MOST_POINTS))
    cut = [column[::step] for column in columns]
    groups = [theme.clean(str(g)) for g in cut[2]] if len(cut) > 2 else [""] * len(cut[0])  # noqa: PLR2004
    records = [
        {"x": x, "y": y, "series": group, "shown": f"{_told(x)}, {_told(y)}"}
        for x, y, group in zip(cut[0], cut[1], groups, strict=True)
    ]
    distinct = list(dict.fromkeys(groups))
    mark = alt.Chart(theme.rows(records)).mark_point(size=22, opacity=0.7)
    drawn = mark.encode(
        x=alt.X("x:Q", axis=_axis(names[0]), scale=_PADDED),
        y=alt.Y("y:Q", axis=_axis(names[1]), scale=_PADDED),
        shape=alt.Shape("series:N", legend=_legend(distinct), scale=alt.Scale(domain=distinct)),
        tooltip=_tips(shown=f"{names[0]}, {names[1]}"),
        **_named(distinct, _legend(distinct)),
    )
    return [drawn]


def _references(table: Table, words: KNOWN, lang: str) -> list[alt.Chart]:
    """A dashed line for each finite reference value; its name stands above it: over the plot for an upright line, at the left end of a level one."""
    drawn: list[alt.Chart] = []
    known = sorted((item for item in table.lines.items() if np.isfinite(item[1])), key=lambda item: item[1])
    low, high = _reach(table)
    for i, (key, value) in enumerate(known):
        at = min(max(float(value), low), high)
        arrow = " →" if value > high else " ←" if value < low else ""
        told = {"name": theme.spoken(words, key, lang), "value": f"{_short(value)}{arrow}"}
        base = alt.Chart(theme.rows([{"at": at, "name": text("chart.evidence.line", lang, **told)}]))
        if table.kind in UPRIGHT:
            base = base.encode(x="at:Q")
            text_mark = base.mark_text(baseline="bottom", dy=-4 - 15 * i, color=theme.LIMIT, fontWeight="bold")
            named = text_mark.encode(text="name:N", y=alt.value(0))
        else:
            base = base.encode(y="at:Q")
            text_mark = base.mark_text(
                align="left", baseline="bottom", dx=4, dy=-3, color=theme.LIMIT, fontWeight="bold"
            )
            named = text_mark.encode(text="name:N", x=alt.value(0))
        drawn += [base.mark_rule(color=theme.LIMIT, strokeWidth=1.6, strokeDash=theme.DASHES[1 + i % 5]), named]
    return drawn


def _reach(table: Table) -> tuple[float, float]:
    """How far a line may pull a histogram's axis: half of its span to each side; one beyond stands at the edge with an arrow."""
    ranges = [r for column in list(table.columns.values())[:2] if (r := _range(column)) is not None]
    if table.kind != "histogram" or not ranges:
        return -np.inf, np.inf
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    room = 0.5 * (high - low)
    return low - room, high + room


def _moments(column: list[Any]) -> pd.DatetimeIndex | None:
    """The column as moments where it holds dates or ISO dates, else None."""
    if not all(isinstance(v, (str, date, np.datetime64)) for v in column):
        return None
    try:
        return pd.DatetimeIndex(pd.to_datetime(column, format="ISO8601"))
    except ValueError:
        return None


KINDS: Mapping[str, Callable[[list[list[Any]], list[str]], list[alt.Chart]]] = {
    "bars": _bars,
    "lines": _lines,
    "histogram": _histogram,
    "intervals": _intervals,
    "scatter": _scatter,
}
SIDEWAYS = frozenset({"bars", "intervals"})
UPRIGHT = SIDEWAYS | {"histogram"}
