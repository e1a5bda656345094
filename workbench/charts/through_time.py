"""What the model leaned on when: each feature's mean contribution in months, quarters or years."""

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts import theme
from workbench.charts.importance import counted, drawn_from, feature_labels
from workbench.charts.whiskers import PLOT, named_rows
from workbench.importance.whole import Whole
from workbench.text import text

MOST, ROW = 16, 22
SATURATED = 0.98


def through_time_map(whole: Whole, lang: str) -> alt.LayerChart:
    """Mean SHAP of the sixteen most important features; blue pushes the output up, orange down, the darker the further."""
    order, periods = whole.importance.order[:MOST], whole.periods()
    labels = feature_labels(whole, order, lang)
    mean = periods.mean[:, order]
    most = float(np.quantile(np.abs(mean), SATURATED)) or 1.0
    ends = [*periods.starts[1:], whole.times[-1] + pd.Timedelta(days=1)]
    spans = [
        (theme.milliseconds(start), theme.milliseconds(end), f"{start:%Y-%m-%d}")
        for start, end in zip(periods.starts, ends, strict=True)
    ]
    data = [
        {"row": label, "t": t, "u": u, "o": round(min(abs(v) / most, 1.0), 3), "c": theme.UP if v >= 0 else theme.DOWN}
        | {"told": f"{day} · {theme.amount(v, whole.output, signed=True, step=most / 10)}"}
        for i, label in enumerate(labels)
        for (t, u, day), v in zip(spans, mean[:, i], strict=True)
    ]
    tips = [alt.Tooltip("row:N", title=text("importance.table.feature", lang))]
    tips += [alt.Tooltip("told:N", title=text("importance.table.mean", lang))]
    cells = alt.Chart(theme.rows(data)).mark_rect(strokeWidth=0)
    cells = cells.encode(
        x=alt.X("t:T", title=None, scale=alt.Scale(type="utc", nice=False), axis=theme.time_axis(whole.times)),
        x2="u:T",
        y=alt.Y("row:N", sort=None, title=None, axis=named_rows(), scale=alt.Scale(padding=0.06)),
        color=alt.Color("c:N", scale=None),
        opacity=alt.Opacity("o:Q", scale=alt.Scale(domain=[0, 1], range=[0.03, 1]), legend=None),
        tooltip=tips,
    )
    chart = theme.stack(cells).properties(width=PLOT, height=ROW * len(order))
    title = text("importance.chart.through_time", lang, unit=text(f"importance.chart.unit_{periods.unit}", lang))
    how = text("importance.chart.heat", lang, most=theme.amount(most, whole.output))
    said = text(
        "importance.chart.alt_swarm",
        lang,
        title=title,
        features=text("chart.list", lang).join(labels),
        **counted(whole),
    )
    return theme.finish(chart, title, drawn_from(whole, how, lang), said)
