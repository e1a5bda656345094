"""Which features work together: the strongest pairs by mean |interaction| over all rows."""

import altair as alt
import numpy as np

from workbench.charts import theme, whiskers
from workbench.charts.importance import counted, drawn_from, feature_labels
from workbench.importance.measures import Pairs
from workbench.importance.whole import Whole
from workbench.text import text

PAIR = 430  # pixels of a pair's name


def interaction_bars(whole: Whole, pairs: Pairs, lang: str) -> alt.LayerChart:
    """Bars of mean |φ_ij + φ_ji| with 95 % intervals from batches of consecutive decision times."""
    title = text("importance.chart.interactions", lang)
    if not pairs.pairs:
        words = text("importance.chart.no_pairs", lang)
        return theme.finish(theme.sentence(words), title, [], words)
    names = feature_labels(whole, range(len(whole.bundle.panel.features)), lang)
    labels = [f"{names[i]} × {names[j]}" for i, j in pairs.pairs]
    top = float(np.nanmax(np.r_[pairs.mean.value, pairs.mean.high]))
    axis = alt.Axis(
        title=text("importance.chart.mean_abs_pair", lang, output=text(f"chart.output.{whole.output}", lang)),
        format=theme.axis_format(whole.output, top),
        tickCount=5,
    )
    chart = whiskers.bars(
        labels, pairs.mean, lambda v: theme.amount(v, whole.output, step=top / 10 or None), axis, lang, room=PAIR
    )
    lines = text("chart.list", lang).join(labels[:5])
    said = text("importance.chart.alt", lang, title=title, lines=lines, **counted(whole))
    return theme.finish(chart, title, drawn_from(whole, text("importance.chart.batches", lang), lang), said)
