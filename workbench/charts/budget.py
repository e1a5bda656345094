"""Where the time of an answer went, against its budget: one bar of stages, a line where the budget ends."""

from typing import Any

import altair as alt

from workbench.charts import theme
from workbench.schema import Explanation
from workbench.text import text, words

UNCOUNTED = "load"
ROOM = 1.12
THOUSAND = 1000


def budget_gauge(explanation: Explanation, lang: str) -> alt.LayerChart:
    """The counted stages end to end against the budget; loading the model, which is not counted, on a line of its own."""
    stages = counted(explanation, lang)
    reach = ROOM * max(explanation.budget_ms, explanation.elapsed_ms)
    layers = [*_counted_layers(stages, reach, lang), *_budget_line(explanation, reach, lang)]
    load = float(explanation.stages_ms.get(UNCOUNTED, 0.0))
    if load > 0:
        layers += _load_layers(load, reach, lang)
    chart = theme.stack(*layers).properties(width=theme.WIDTH - 120, height=46 if load <= 0 else 88)
    subtitle = [text("chart.budget.unseen", lang)] if not len(explanation.values) else []
    return theme.finish(chart, verdict(explanation, lang), subtitle, alt_text(explanation, lang))


def counted(explanation: Explanation, lang: str) -> list[tuple[str, float]]:
    """(stage in words, milliseconds) in the order of the work, without loading; what no stage owns is `other`."""
    known = [(stage, float(ms)) for stage, ms in explanation.stages_ms.items() if stage != UNCOUNTED]
    rest = explanation.elapsed_ms - sum(ms for _, ms in known)
    known += [("other", rest)] if rest > 0.005 * explanation.elapsed_ms else []
    return [(_stage(stage, lang), ms) for stage, ms in known]


def verdict(explanation: Explanation, lang: str) -> str:
    """In words whether the budget was kept."""
    key = "chart.budget.kept" if explanation.within_budget else "chart.budget.over"
    return text(key, lang, elapsed=_ms(explanation.elapsed_ms), budget=_ms(explanation.budget_ms))


def alt_text(explanation: Explanation, lang: str) -> str:
    """The figure in a sentence: kept or not, every stage's time, loading."""
    told = text("chart.list", lang).join(f"{stage} {_unit(ms, lang)}" for stage, ms in counted(explanation, lang))
    said = text("chart.budget.alt", lang, verdict=verdict(explanation, lang), stages=told)
    load = float(explanation.stages_ms.get(UNCOUNTED, 0.0))
    return said + (text("chart.budget.alt_load", lang, load=_unit(load, lang)) if load > 0 else "")


def _ms(value: float) -> str:
    return theme.digits(value, 3) if abs(value) < THOUSAND else f"{value:,.0f}"


def _unit(ms: float, lang: str) -> str:
    return text("chart.budget.ms", lang, ms=_ms(ms))


def _stage(stage: str, lang: str) -> str:
    key = f"chart.stage.{stage}"
    return text(key, lang) if key in words() else stage


def _axes(reach: float, lang: str, field: str) -> dict[str, Any]:
    scale = alt.Scale(domain=[0, reach], nice=False, clamp=True)
    axis = alt.Axis(title=text("chart.budget.axis", lang), tickCount=6)
    return {
        "x": alt.X(field, scale=scale, axis=axis),
        "y": alt.Y("row:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8)),
    }


def _counted_layers(stages: list[tuple[str, float]], reach: float, lang: str) -> list[alt.Chart]:
    names = theme.unique([f"{stage} {_unit(ms, lang)}" for stage, ms in stages])
    here, records = 0.0, []
    for name, (_, ms) in zip(names, stages, strict=True):
        records.append({"row": text("chart.budget.counted", lang), "start": here, "end": here + ms, "stage": name})
        here += ms
    palette = alt.Scale(domain=[theme.clean(n) for n in names], range=_colours(len(names)))
    legend = alt.Legend(title=None, orient="bottom", columns=4, symbolType="square")
    bars = alt.Chart(theme.rows(records)).mark_bar(height=22, stroke=theme.NEUTRAL, strokeWidth=0.5)
    encoded = bars.encode(
        **_axes(reach, lang, "start:Q"),
        x2="end:Q",
        color=alt.Color("stage:N", scale=palette, legend=legend, sort=None),
        tooltip=[alt.Tooltip("stage:N", title=text("chart.budget.stage", lang))],
    )
    return [encoded]


def _colours(count: int) -> list[str]:
    return [theme.SERIES[i % len(theme.SERIES)] for i in range(count)]


def _load_layers(load: float, reach: float, lang: str) -> list[alt.Chart]:
    shown = _unit(load, lang) + (" →" if load > reach else "")
    row = {"row": text("chart.budget.uncounted", lang), "start": 0.0, "end": min(load, reach), "shown": shown}
    beyond = load > 0.8 * reach
    base = alt.Chart(theme.rows([row])).encode(**_axes(reach, lang, "start:Q"))
    bar = base.mark_bar(height=22, color=theme.NEUTRAL, opacity=0.45).encode(x2="end:Q")
    label = base.mark_text(
        align="left", dx=6
    )  # at the start of a bar that runs out of the picture: clear of the budget's line
    return [bar, label.encode(**_axes(reach, lang, "start:Q" if beyond else "end:Q"), text="shown:N")]


def _budget_line(explanation: Explanation, reach: float, lang: str) -> list[alt.Chart]:
    name = text("chart.budget.line", lang, budget=_ms(explanation.budget_ms))
    scale = alt.Scale(domain=[0, reach], nice=False, clamp=True)
    base = alt.Chart(theme.rows([{"at": explanation.budget_ms, "name": name}])).encode(x=alt.X("at:Q", scale=scale))
    rule = base.mark_rule(color=theme.LIMIT, strokeWidth=2, strokeDash=[6, 3])
    label = base.mark_text(align="right", dx=-5, baseline="bottom", dy=-4, fontWeight="bold", color=theme.LIMIT)
    return [rule, label.encode(y=alt.value(0), text="name:N")]
