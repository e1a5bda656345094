"""How well the promise is kept: how many answers have come by each time, and the percentiles of every day against the line."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from workbench.charts import theme
from workbench.latency import PROMISE_MS, Curve, Percentile, Summary
from workbench.text import text, words

FEW_DAYS = 12
PLOT, HEIGHT = theme.WIDTH - 60, 270
LEGEND_LINE = 18
ROOM = 1.35  # how far, as a factor, an axis goes beyond what it has to show


def arrivals(curves: Sequence[Curve], whole: Summary, lang: str) -> alt.LayerChart:
    """The share of answers that had come by each time, a curve a method, on a logarithmic axis, against the promise.

    The title says how the promise was kept; a curve that ends below 100 % is of a method whose answers did not all come.
    """
    low = min([PROMISE_MS, *(c.ms[0] for c in curves if c.ms)]) / ROOM
    high = ROOM * max([2 * PROMISE_MS, *(c.ms[-1] for c in curves if c.ms)])
    names = theme.unique([theme.clean(_named(curve, lang)) for curve in curves])
    drawn = [
        {"ms": ms, "share": share, "name": name, "told": f"{ms:,.4g} ms", "come": _percent(share)}
        for name, curve in zip(names, curves, strict=True)
        for ms, share in ((low, 0.0), *zip(curve.ms, curve.share, strict=True), (high, (0.0, *curve.share)[-1]))
    ]
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    ticks = [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    axis = alt.Axis(title=text("latency.chart.axis", lang), values=ticks, format=",~g", grid=False)
    legend = alt.Legend(title=None, orient="bottom", columns=1, labelLimit=420, symbolType="stroke", symbolSize=400)
    mark = alt.Chart(theme.rows(drawn)).mark_line(interpolate="step-after", strokeWidth=2)
    lines = mark.encode(
        x=alt.X("ms:Q", scale=scale, axis=axis),
        y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 1]), axis=_share_axis(lang)),
        tooltip=[alt.Tooltip(f"{f}:N", title=text(f"latency.chart.{f}", lang)) for f in ("name", "told", "come")],
        **_series(names, legend),
    )
    layers = [*_upright(scale, lang, high), lines]
    # Where the page fixes the height of the whole the legend takes its lines from the plot.
    plot = theme.stack(*layers).properties(width=PLOT, height=HEIGHT + LEGEND_LINE * (len(curves) - 1))
    return theme.finish(plot, arrivals_title(whole, lang), [], arrivals_alt(curves, whole, lang))


def arrivals_title(whole: Summary, lang: str) -> str:
    """How the promise was kept, in a sentence."""
    return text(
        "latency.chart.arrivals",
        lang,
        share=_percent(whole.in_promise / whole.count),
        count=f"{whole.count:,}",
        promise=f"{PROMISE_MS:g}",
    )


def arrivals_alt(curves: Sequence[Curve], whole: Summary, lang: str) -> str:
    """The figure in words: the promise, and what each method did."""
    told = text("chart.list", lang).join(_named(curve, lang) for curve in curves)
    return text("latency.chart.arrivals_alt", lang, title=arrivals_title(whole, lang), lines=told)


def by_day(days: Sequence[Summary], lang: str) -> alt.LayerChart:
    """The percentiles of each day on a logarithmic axis against the promise; a triangle at the top where no answer came."""
    index = pd.DatetimeIndex([str(day.group["day"]) for day in days])
    shown = [
        (f"p{p}", when, day, found)
        for when, day in zip(index, days, strict=True)
        for p, found in day.percentiles.items()
    ]
    known = [found.ms for *_, found in shown if found.ms]
    low, high = min([PROMISE_MS, *known]) / ROOM, ROOM * max([PROMISE_MS, *known])
    drawn = [_dot(name, when, day, found, lang) for name, when, day, found in shown if found.missing != "too_few"]
    for row in drawn:
        row["at_top"] = high if row["ms"] is None else None
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    names = list(dict.fromkeys(name for name, *_ in shown))
    tips = [alt.Tooltip(f"{f}:N", title=text(f"latency.chart.{f}", lang)) for f in ("date", "name", "told", "answers")]
    base = alt.Chart(theme.rows(drawn) if drawn else pd.DataFrame({"at": []})).encode(
        x=alt.X("at:T", title=None, scale=alt.Scale(type="utc", padding=14), axis=_days(index)),
        tooltip=tips,
        **_series(names, alt.Legend(title=None, orient="bottom", symbolType="stroke", symbolSize=400)),
    )
    axis = alt.Axis(title=text("latency.chart.ms", lang), tickCount=5, format=",~g", gridOpacity=0.5)
    y = alt.Y("ms:Q", scale=scale, axis=axis)
    layers = [
        *_level(scale),
        base.mark_line(strokeWidth=1.8).encode(y=y),
        base.mark_point(filled=True, size=36, opacity=1, strokeDash=[1, 0]).encode(y=y),
        base.mark_point(shape="triangle-up", size=90, filled=True, strokeDash=[1, 0]).encode(
            y=alt.Y("at_top:Q", scale=scale)
        ),
    ]
    plot = theme.stack(*layers).properties(width=PLOT, height=HEIGHT)
    marks = [text("latency.chart.dashed", lang, ms=f"{PROMISE_MS:g}")]
    marks += [text("latency.chart.triangle", lang)] if any(row["ms"] is None for row in drawn) else []
    subtitle = text("chart.list", lang).join(marks)
    return theme.finish(plot, text("latency.chart.by_day", lang), [subtitle], by_day_alt(days, lang))


def by_day_alt(days: Sequence[Summary], lang: str) -> str:
    """The figure in words: the days, the worst of them, how many were within the promise at every percentile."""
    worst = max(days, key=lambda day: (day.over / day.count, day.count))
    values = {"first": days[0].group["day"], "last": days[-1].group["day"], "count": len(days)}
    values |= {"worst": worst.group["day"], "share": _percent(worst.over / worst.count)}
    return text("latency.chart.by_day_alt", lang, **values)


def _dot(name: str, when: pd.Timestamp, day: Summary, found: Percentile, lang: str) -> dict[str, Any]:
    ends = " – ".join("?" if end is None else f"{end:,.0f}" for end in (found.low, found.high))
    told = found.spoken(lang) if found.ms is None else f"{found.spoken(lang)} ms ({ends})"
    row = {"at": theme.milliseconds(when), "date": f"{when:%Y-%m-%d}", "ms": found.ms, "name": name}
    return row | {"told": told, "answers": f"{day.count:,}"}


def _named(curve: Curve, lang: str) -> str:
    """A curve's line in the legend: the method, and what share of its answers had come by the promise."""
    kept = max((share for ms, share in zip(curve.ms, curve.share, strict=True) if ms <= PROMISE_MS), default=0.0)
    return text(
        "latency.chart.named", lang, name=method_words(curve.name, lang), share=_percent(kept), count=f"{curve.count:,}"
    )


def method_words(method: str, lang: str) -> str:
    """The method's name for the reader; one without words stands as it is."""
    key = f"chart.method.{method}"
    return text(key, lang) if key in words() else method


def _percent(share: float) -> str:
    """A share in percent, cut and not rounded at two places, so that only all is 100 %.

    >>> _percent(0.99999), _percent(1.0)
    ('99.99%', '100%')
    """
    return f"{math.floor(10_000 * share + 1e-9) / 100:.2f}".rstrip("0").rstrip(".") + "%"


def _series(names: list[str], legend: alt.Legend) -> dict[str, Any]:
    colours = alt.Scale(domain=names, range=[theme.SERIES[i % len(theme.SERIES)] for i in range(len(names))])
    dashes = alt.Scale(domain=names, range=[theme.DASHES[i % len(theme.DASHES)] for i in range(len(names))])
    return {
        "color": alt.Color("name:N", scale=colours, legend=legend, sort=None),
        "strokeDash": alt.StrokeDash("name:N", scale=dashes, legend=legend, sort=None),
    }


def _share_axis(lang: str) -> alt.Axis:
    return alt.Axis(title=text("latency.chart.share", lang), format=".0%", tickCount=5)


def _days(index: pd.DatetimeIndex) -> alt.Axis:
    """Every day by name where there are few: an axis of hours says nothing here."""
    if len(index) > FEW_DAYS:
        return theme.time_axis(index)
    return alt.Axis(format="%m-%d", values=[theme.milliseconds(when) for when in index], grid=False, labelOverlap=True)


def _upright(scale: alt.Scale, lang: str, high: float) -> list[alt.Chart]:
    """The promise as an upright line, named above the plot, and what lies beyond it shaded."""
    line = {
        "at": PROMISE_MS,
        "end": high,
        "foot": 0.06,
        "line": text("latency.chart.promise", lang, ms=f"{PROMISE_MS:g}"),
    }
    base = alt.Chart(theme.rows([line])).encode(x=alt.X("at:Q", scale=scale))
    shade = base.mark_rect(color=theme.LIMIT, opacity=0.08).encode(x2="end:Q")
    rule = base.mark_rule(color=theme.LIMIT, strokeWidth=2, strokeDash=[6, 3])
    name = base.mark_text(align="center", baseline="bottom", dy=-4, color=theme.LIMIT, fontWeight="bold")
    return [shade, rule, name.encode(y=alt.value(0), text="line:N")]


def _level(scale: alt.Scale) -> list[alt.Chart]:
    """The promise as a level line, named beside the plot, clear of the points."""
    base = alt.Chart(theme.rows([{"at": PROMISE_MS, "line": f"{PROMISE_MS:g} ms"}])).encode(
        y=alt.Y("at:Q", scale=scale)
    )
    rule = base.mark_rule(color=theme.LIMIT, strokeWidth=2, strokeDash=[6, 3])
    name = base.mark_text(align="left", dx=5, color=theme.LIMIT, fontWeight="bold")
    return [rule, name.encode(x=alt.value("width"), text="line:N")]
