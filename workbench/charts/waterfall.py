"""One decision as a staircase: from the model's average output, feature by feature, to its output for this row."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import altair as alt

from workbench.charts import theme
from workbench.manifest import FeatureSection
from workbench.schema import Explanation
from workbench.text import say, text

Labels = Mapping[str, FeatureSection]
SHOWN = 9
Z95 = 1.959964
UNITS: Mapping[str | None, str] = {
    "percent": "percent",
    "percentage points": "percentage_points",
    "basis points": "basis_points",
    "index points": "index_points",
}


@dataclass(frozen=True)
class Step:
    """A stair: where it starts and ends on the output's scale; `error` is half of the 95 % interval of its height."""

    label: str
    start: float
    end: float
    error: float
    kind: str

    @property
    def height(self) -> float:
        """The contribution."""
        return self.end - self.start


def waterfall(explanation: Explanation, lang: str, labels: Labels | None = None) -> alt.LayerChart:
    """Base value, the nine largest contributions, the others in one, and the output; whiskers are 95 % intervals.

    `labels` are the manifest's features (their `label` and `unit`). Where nothing came in time the figure says so.
    """
    alt_words = alt_text(explanation, lang, labels)
    title = text("chart.waterfall.title", lang, bundle=explanation.bundle, time=explanation.time)
    if not len(explanation.values):
        return theme.finish(theme.sentence(_why_empty(explanation, lang)), title, [], alt_words)
    steps = staircase(explanation, lang, labels)
    return theme.finish(_layers(steps, explanation.output, lang), title, _subtitle(explanation, steps, lang), alt_words)


def staircase(explanation: Explanation, lang: str, labels: Labels | None = None) -> list[Step]:
    """The stairs in order; where base and contributions miss the output (a local fit), the remainder is a stair of its own."""
    order = sorted(range(len(explanation.values)), key=lambda i: -abs(explanation.values[i]))
    shown, others = order[:SHOWN], order[SHOWN:]
    if len(others) == 1:
        shown, others = order, []
    here = explanation.base_values
    steps = [Step(text("chart.waterfall.base", lang), here, here, 0.0, "level")]
    for i in shown:
        value = float(explanation.values[i])
        label = name_and_value(explanation, i, lang, labels)
        steps.append(Step(label, here, here + value, Z95 * float(explanation.std_error[i]), "feature"))
        here += value
    if others:
        value = float(explanation.values[others].sum())
        error = Z95 * math.sqrt(float((explanation.std_error[others] ** 2).sum()))
        steps.append(Step(text("chart.waterfall.others", lang, n=len(others)), here, here + value, error, "feature"))
        here += value
    last = here if explanation.prediction is None else explanation.prediction
    if explanation.fit_r2 is not None:  # all others add up, as far as their library's arithmetic goes
        steps.append(Step(text("chart.waterfall.remainder", lang), here, last, 0.0, "remainder"))
    steps.append(Step(text("chart.waterfall.prediction", lang), last, last, 0.0, "level"))
    names = theme.unique([step.label for step in steps])
    return [Step(n, s.start, s.end, s.error, s.kind) for n, s in zip(names, steps, strict=True)]


def name_and_value(explanation: Explanation, i: int, lang: str, labels: Labels | None) -> str:
    """A feature by its label, with the value that it had in this row and its unit."""
    name = explanation.feature_names[i]
    label, value = feature_label(name, lang, labels), float(explanation.data[i])
    if not math.isfinite(value):
        return text("chart.waterfall.missing", lang, label=label)
    section = (labels or {}).get(name)
    return f"{label} = {measured(value, section.unit if section else None, lang)}"


def measured(value: float, unit: str | None, lang: str) -> str:
    """A feature's value with its unit, in the reader's words where the unit is a common one; fractions as percent."""
    if unit == "fraction":
        value, unit = 100 * value, "percent"
    told = text(f"chart.unit.{UNITS[unit]}", lang) if unit in UNITS else f" {unit}" if unit else ""
    return theme.digits(value) + told


def feature_label(name: str, lang: str, labels: Labels | None) -> str:
    """The manifest's label of a feature, or its name."""
    section = (labels or {}).get(name)
    return str(getattr(section.label, lang)) if section is not None and section.label else name


def alt_text(explanation: Explanation, lang: str, labels: Labels | None = None) -> str:
    """The figure in a sentence: base value, output, the three largest contributions."""
    if not len(explanation.values):
        return _why_empty(explanation, lang)
    steps = staircase(explanation, lang, labels)
    features = [step for step in steps if step.kind == "feature"][:3]
    biggest = max(abs(step.height) for step in features)
    told = [f"{s.label}: {theme.amount(s.height, explanation.output, signed=True, step=biggest)}" for s in features]
    return text(
        "chart.waterfall.alt",
        lang,
        bundle=explanation.bundle,
        time=explanation.time,
        base=theme.amount(steps[0].end, explanation.output),
        prediction=theme.amount(steps[-1].end, explanation.output),
        features=text("chart.list", lang).join(told),
    )


def _why_empty(explanation: Explanation, lang: str) -> str:
    why = "" if explanation.reason is None else say(explanation.reason, lang)
    return text("chart.waterfall.empty", lang, budget=theme.digits(explanation.budget_ms, 3), why=why).strip()


def _subtitle(explanation: Explanation, steps: list[Step], lang: str) -> list[str]:
    # No times here: the same decision, explained again, is the same figure to the byte.
    named = explanation.method in METHODS
    method = text(f"chart.method.{explanation.method}", lang) if named else explanation.method
    whiskers = text("chart.waterfall.whiskers", lang) if any(step.error > 0 for step in steps) else ""
    cut = "" if explanation.complete else text("chart.waterfall.incomplete", lang)
    return [method, cut, whiskers]


METHODS = frozenset({"tree_shap", "interventional_shap", "shap", "lime", "lime_segments"})


def _layers(steps: list[Step], output: str, lang: str) -> alt.LayerChart:
    low = min(min(s.start, s.end) - s.error for s in steps)
    high = max(max(s.start, s.end) + s.error for s in steps)
    span = (high - low) or abs(high) or 1.0
    scale = alt.Scale(domain=[low - 0.04 * span, high + 0.18 * span], nice=False, zero=False)
    tallest = max(abs(s.height) for s in steps)
    data = theme.rows([_record(s, output, tallest, lang) for s in steps])
    title = text(f"chart.output.{output}", lang)
    axis = alt.Axis(format=theme.axis_format(output, 1.22 * span), title=title, tickCount=5)
    y = alt.Y("row:N", sort=None, title=None, axis=alt.Axis(labelLimit=300, ticks=False, domain=False, labelPadding=8))
    x = alt.X("start:Q", scale=scale, axis=axis)
    base = alt.Chart(data).encode(y=y)
    tips = [alt.Tooltip(f"{f}:N", title=text(f"chart.waterfall.tip_{f}", lang)) for f in ("row", "shown", "range")]
    colour = alt.Color("paint:N", scale=None)
    bars = (
        base.transform_filter("datum.kind !== 'level'")
        .mark_bar(height={"band": 0.62})
        .encode(x=x, x2="end:Q", color=colour, tooltip=tips)
    )
    levels = base.transform_filter("datum.kind === 'level'").mark_tick(thickness=3, size=22, color=theme.NEUTRAL)
    levels = levels.encode(x=x, tooltip=tips)
    whiskers = base.transform_filter("datum.low < datum.high").mark_rule(strokeWidth=1.5, color=theme.NEUTRAL)
    ticks = [_cap(base, field, scale, axis) for field in ("low:Q", "high:Q")]
    labels = base.mark_text(align="left", dx=6).encode(x=alt.X("right:Q", scale=scale, axis=axis), text="shown:N")
    line = alt.Chart(theme.rows(_path(steps))).mark_line(strokeWidth=1, color=theme.NEUTRAL, opacity=0.7)
    line = line.encode(y=y, x=alt.X("at:Q", scale=scale, axis=axis), order="order:Q")
    layers = [
        line,
        bars,
        whiskers.encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"),
        *ticks,
        levels,
        labels,
    ]
    return theme.stack(*layers).properties(width=theme.WIDTH - 200, height=27 * len(steps))


def _cap(base: alt.Chart, field: str, scale: alt.Scale, axis: alt.Axis) -> alt.Chart:
    ends = base.transform_filter("datum.low < datum.high").mark_tick(thickness=1.5, size=8, color=theme.NEUTRAL)
    capped: alt.Chart = ends.encode(x=alt.X(field, scale=scale, axis=axis))
    return capped


def _record(step: Step, output: str, tallest: float, lang: str) -> dict[str, Any]:
    level = step.kind == "level"
    shown = theme.amount(step.end if level else step.height, output, signed=not level, step=tallest or None)
    half = theme.amount(step.error, output, step=tallest or None)
    paint = theme.NEUTRAL if step.kind != "feature" else theme.UP if step.height >= 0 else theme.DOWN
    return {
        "row": step.label,
        "start": step.start,
        "end": step.end,
        "low": step.end - step.error,
        "high": step.end + step.error,
        "right": max(step.start, step.end + step.error),
        "kind": step.kind,
        "paint": paint,
        "shown": shown,
        "range": f"± {half}" if step.error > 0 else text("chart.waterfall.exact", lang),
    }


def _path(steps: list[Step]) -> list[dict[str, Any]]:
    """Corner points of the thin line that leads from stair to stair."""
    corners = [(steps[0].label, steps[0].end)]
    for one, two in pairwise(steps):
        corners += [(one.label, one.end), (two.label, one.end)]
    return [{"row": label, "at": at, "order": i} for i, (label, at) in enumerate(corners)]
