"""One feature's contribution against its value, all rows; coloured by the feature that it goes with most."""

import altair as alt
import numpy as np

from workbench.charts import theme
from workbench.charts.beeswarm import COLOURS, THIRDS
from workbench.charts.importance import counted, drawn_from, feature_labels
from workbench.importance.shapes import Dependence
from workbench.importance.whole import Whole
from workbench.text import text

HEIGHT, PLOT = 320, theme.WIDTH - 60


def dependence_curves(whole: Whole, feature: int, lang: str) -> alt.LayerChart:
    """Where the rows lie (shaded cells), and the mean SHAP in bins of the feature's value, a curve for each third of the partner's."""
    found = whole.dependence(feature)
    (label,) = feature_labels(whole, [feature], lang)
    title = text("importance.chart.dependence", lang, label=label)
    if not found.cells:
        empty = text("importance.chart.all_missing", lang, label=label)
        return theme.finish(theme.sentence(empty), title, [], empty)
    partner = None if found.partner is None else feature_labels(whole, [found.partner], lang)[0]
    how = text("importance.chart.cells", lang)
    if partner is not None:
        how = text("importance.chart.two", lang, one=text("importance.chart.partner", lang, label=partner), other=how)
    missing = [text("importance.chart.missing", lang, n=f"{found.missing:,}")] if found.missing else []
    chart = theme.stack(_shaded(found), *_curves(found, partner, whole.output, lang, label))
    ends = text("importance.chart.alt_dependence", lang, title=title, partner=partner or "–", **counted(whole))
    sized = chart.properties(width=PLOT, height=HEIGHT)
    return theme.finish(sized, title, [*drawn_from(whole, how, lang), *missing], ends)


def _shaded(found: Dependence) -> alt.Chart:
    fullest = max(rows for *_, rows in found.cells)
    data = [
        {"x": f"{x0:.5g}", "x1": f"{x1:.5g}", "y": f"{y0:.4g}", "y1": f"{y1:.4g}"}
        | {"o": round(float(np.sqrt(n / fullest)), 2)}
        for x0, x1, y0, y1, n in found.cells
    ]
    cells = alt.Chart(theme.rows([{k: float(v) for k, v in each.items()} for each in data]))
    opacity = alt.Opacity("o:Q", scale=alt.Scale(domain=[0, 1], range=[0.18, 0.7]), legend=None)
    drawn = cells.mark_rect(color=theme.NEUTRAL)
    shaded: alt.Chart = drawn.encode(x="x:Q", x2="x1:Q", y="y:Q", y2="y1:Q", opacity=opacity)
    return shaded


def _curves(found: Dependence, partner: str | None, output: str, lang: str, label: str) -> list[alt.Chart]:
    """A curve a third, told apart by colour and by the form of its dots."""
    thirds = sorted({third for third, *_ in found.curves})
    told = {k: text(f"importance.chart.partner_{THIRDS[k]}", lang, label=partner or label) for k in thirds}
    biggest = max(abs(mean) for _, _, mean, *_ in found.curves)
    data = [
        {"x": x, "y": mean, "third": told[third], "rows": rows}
        | {"shown": theme.amount(mean, output, signed=True, step=biggest or None)}
        | {"range": " – ".join(theme.amount(end, output, step=biggest or None) for end in (low, high))}
        for third, x, mean, low, high, rows in found.curves
    ]
    domain = [told[k] for k in thirds]
    forms = ["circle", "square", "triangle-up", "diamond"]
    legend = alt.Legend(title=None, orient="bottom", symbolSize=120) if partner is not None else None
    span = max(y1 for *_, y1, _ in found.cells) - min(y0 for _, _, y0, _, _ in found.cells)
    named = text("importance.chart.shap", lang, output=text(f"chart.output.{output}", lang))
    x = alt.X("x:Q", scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(title=label, grid=False, tickCount=6))
    y = alt.Y("y:Q", axis=alt.Axis(title=named, format=theme.axis_format(output, span), tickCount=6))
    words = {"third": "third", "shown": "mean", "range": "spread"}
    base = alt.Chart(theme.rows(data)).encode(
        x=x,
        y=y,
        color=alt.Color("third:N", scale=alt.Scale(domain=domain, range=[COLOURS[k] for k in thirds]), legend=legend),
        tooltip=[
            *(alt.Tooltip(f"{field}:N", title=text(f"importance.table.{word}", lang)) for field, word in words.items()),
            alt.Tooltip("rows:Q", title=text("importance.table.count", lang), format=","),
        ],
    )
    shape = alt.Shape("third:N", scale=alt.Scale(domain=domain, range=[forms[k] for k in thirds]), legend=legend)
    return [base.mark_line(strokeWidth=2.2), base.mark_point(filled=True, size=46, opacity=1).encode(shape=shape)]
