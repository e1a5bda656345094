"""The founding chart on a user's own log: what was promised, what came true, what was adopted, and where slowness breaks adoption."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from workbench.adoption import Adoption, Bin, Finding, Rate
from workbench.charts import theme
from workbench.text import say, text

HEIGHT, PLOT = 300, theme.WIDTH - 60
ADOPTED, WON = theme.UP, "#009e73"
BAND = 0.16
NARROW = 64  # columns of a subtitle: two figures stand side by side
Series = tuple[str, Sequence[Bin], str]


def reliability(report: Adoption, lang: str) -> alt.LayerChart:
    """Realised win rate (where outcomes are known) and adoption rate against the predicted win rate, in the same bins."""
    title = text("adoption.chart.reliability", lang)
    known = [each for each in report.by_predicted if each.won.count]
    series: list[Series] = [(text("adoption.chart.adopted", lang), report.by_predicted, "adopted")]
    series += [(text("adoption.chart.won", lang), known, "won")] if known else []
    x = alt.X(
        "at:Q",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(title=text("adoption.chart.predicted", lang), format=".0%", grid=False, tickCount=6),
    )
    layers = [*(_perfect(lang) if known else []), *_rates(series, x, lang)]
    said = text("adoption.chart.alt", lang, title=title, bins=_told(report.by_predicted, lang, share=True), sentence="")
    subtitle = theme.wrap(text("adoption.chart.whiskers_plain", lang), NARROW)
    return theme.finish(theme.stack(*layers).properties(width=PLOT, height=HEIGHT), title, subtitle, said)


def slowness(report: Adoption, lang: str) -> alt.LayerChart:
    """Adoption against the explanation's time; the estimated break with its interval, and the budget as a reference line."""
    people = report.source == "advice"
    title = text("adoption.chart.seconds" if people else "adoption.chart.latency", lang)
    name = text("adoption.chart.seconds_axis" if people else "adoption.chart.latency_axis", lang)
    centres = [each.mean for each in report.by_latency]
    low, high = max(min(centres, default=1) / 1.6, 1), max([*centres, 1]) * 1.6
    marks = [tick * 10**power for power in range(7) for tick in (1, 2, 3, 5) if low <= tick * 10**power <= high]
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    axis = alt.Axis(title=name, values=marks, format=",d", grid=False)
    x = alt.X("at:Q", scale=scale, axis=axis)
    found = report.finding is Finding.BREAK
    layers = [*(_break(report, x, (low, high), lang) if found else [])]
    layers += [] if people else _reference(report.reference_ms, x, lang)
    layers += _rates([(text("adoption.chart.adopted", lang), report.by_latency, "adopted")], x, lang)
    sentence = say(report.sentence, lang)
    said = text("adoption.chart.alt", lang, title=title, bins=_told(report.by_latency, lang), sentence=sentence)
    subtitle = theme.wrap(text("adoption.chart.whiskers" if found else "adoption.chart.whiskers_plain", lang), NARROW)
    return theme.finish(theme.stack(*layers).properties(width=PLOT, height=HEIGHT), title, subtitle, said)


def _rates(series: Sequence[Series], x: alt.X, lang: str) -> list[alt.Chart]:
    """Dots with whiskers, a colour and a shape a series."""
    records = [
        {"at": each.mean, "series": name, "shown": _spelled(getattr(each, what))}
        | {end: getattr(getattr(each, what), end) for end in ("value", "low", "high", "count")}
        for name, bins, what in series
        for each in bins
    ]
    names = [name for name, _, _ in series]
    legend = alt.Legend(title=None, orient="bottom", symbolSize=140) if len(names) > 1 else None
    colour = alt.Color("series:N", scale=alt.Scale(domain=names, range=[ADOPTED, WON][: len(names)]), legend=legend)
    shape = alt.Shape(
        "series:N", scale=alt.Scale(domain=names, range=["circle", "diamond"][: len(names)]), legend=legend
    )
    share = text("adoption.chart.share" if len(names) > 1 else "adoption.chart.adopted", lang)
    y: dict[str, Any] = {"scale": alt.Scale(domain=[0, 1]), "axis": alt.Axis(title=share, format=".0%", tickCount=6)}
    tips = [
        alt.Tooltip("series:N", title=" "),
        alt.Tooltip("shown:N", title=text("adoption.table.interval", lang)),
        alt.Tooltip("count:Q", title=text("adoption.table.count", lang), format=","),
    ]
    base = alt.Chart(theme.rows(records)).encode(x=x, color=colour, tooltip=tips)
    whiskers = base.mark_rule(strokeWidth=1.6, opacity=0.75).encode(y=alt.Y("low:Q", **y), y2="high:Q")
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(y=alt.Y("value:Q", **y), shape=shape)
    return [whiskers, dots]


def _perfect(lang: str) -> list[alt.Chart]:
    ends = theme.rows([{"at": 0.0, "value": 0.0}, {"at": 1.0, "value": 1.0}])
    line = (
        alt.Chart(ends).mark_line(color=theme.NEUTRAL, strokeDash=[4, 4], strokeWidth=1.2).encode(x="at:Q", y="value:Q")
    )
    named = theme.rows([{"at": 0.03, "value": 0.03, "name": text("adoption.chart.perfect", lang)}])
    label = alt.Chart(named).mark_text(align="left", dx=12, dy=-2, color=theme.NEUTRAL)
    return [line, label.encode(x="at:Q", y="value:Q", text="name:N")]


def _reference(ms: float, x: alt.X, lang: str) -> list[alt.Chart]:
    """The budget: a line that is given, not estimated."""
    name = text("adoption.chart.reference", lang, ms=f"{ms:,.0f}")
    base = alt.Chart(theme.rows([{"at": ms, "name": name}])).encode(x=x)
    rule = base.mark_rule(color=theme.NEUTRAL, strokeWidth=1.6, strokeDash=[3, 3])
    label = base.mark_text(color=theme.NEUTRAL, align="left", baseline="top", dx=6, dy=20)
    return [rule, label.encode(text="name:N", y=alt.value(0))]


def _break(report: Adoption, x: alt.X, ends: tuple[float, float], lang: str) -> list[alt.Chart]:
    """The break's interval as a band, its place as a line, and the rate on either side as a step."""
    found = report.threshold
    if found is None:
        return []
    low, high = found.at_interval
    band = alt.Chart(theme.rows([{"at": low, "high": high}])).mark_rect(color=theme.LIMIT, opacity=BAND)
    words = text("adoption.chart.break", lang, ms=f"{found.at:,.0f}")
    base = alt.Chart(theme.rows([{"at": found.at, "name": words}])).encode(x=x)
    label = base.mark_text(color=theme.LIMIT, fontWeight="bold", align="left", baseline="top", dx=6, dy=3)
    sides = [
        {"at": ends[0], "end": found.at, "value": found.below},
        {"at": found.at, "end": ends[1], "value": found.above},
    ]
    steps = alt.Chart(theme.rows(sides)).mark_rule(color=theme.LIMIT, strokeWidth=2.4, opacity=0.8)
    return [
        band.encode(x=x, x2="high:Q"),
        base.mark_rule(color=theme.LIMIT, strokeWidth=2),
        label.encode(text="name:N", y=alt.value(0)),
        steps.encode(x=x, x2="end:Q", y="value:Q"),
    ]


def _spelled(rate: Rate) -> str:
    return f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}]"


def _told(bins: Sequence[Bin], lang: str, *, share: bool = False) -> str:
    """Every bin in words."""
    each: list[str] = []
    for one in bins:
        low, high = (f"{end:.2f}" if share else f"{end:,.0f}" for end in (one.low, one.high))
        said = text("adoption.chart.alt_bin", lang, low=low, high=high, adopted=f"{one.adopted.value:.0%}")
        won = share and one.won.count
        each.append(said + (text("adoption.chart.alt_won", lang, won=f"{one.won.value:.0%}") if won else ""))
    return text("chart.list", lang).join(each)
