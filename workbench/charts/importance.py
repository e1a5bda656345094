"""What a model leans on: features, families and lags by mean |SHAP| over all rows, with error bars that know of persistence."""

from collections.abc import Sequence

import altair as alt
import numpy as np

from workbench.charts import theme, whiskers
from workbench.charts.waterfall import feature_label
from workbench.importance.blocks import Ints, Means
from workbench.importance.measures import Groups
from workbench.importance.whole import Whole
from workbench.text import text

MOST = 20
NARROW, COLUMNS = 64, 104  # of a subtitle: two figures stand side by side, or one alone


def importance_bars(whole: Whole, lang: str) -> alt.LayerChart:
    """The twenty most important features by mean |SHAP|; whiskers are 95 % intervals of a moving-block bootstrap."""
    ranked, shown = whole.importance, whole.importance.order[:MOST]
    means, labels = chosen(ranked.mean, shown), feature_labels(whole, shown, lang)
    top = float(np.nanmax(np.r_[means.value, means.high], initial=0.0))
    axis = alt.Axis(
        title=text("importance.chart.mean_abs", lang, output=text(f"chart.output.{whole.output}", lang)),
        format=theme.axis_format(whole.output, top),
        tickCount=5,
    )
    rest = [text("importance.chart.rest", lang, n=len(ranked.order) - MOST)] if len(ranked.order) > MOST else []
    chart = whiskers.bars(labels, means, lambda v: theme.amount(v, whole.output, step=top / 10), axis, lang)
    title = text("importance.chart.importance", lang, **counted(whole))
    lines = [
        text("importance.chart.alt_share", lang, label=label, share=f"{ranked.share.value[i]:.0%}")
        for label, i in zip(labels[:5], shown, strict=False)
    ]
    said = text("importance.chart.alt", lang, title=title, lines=text("chart.list", lang).join(lines))
    return theme.finish(chart, title, [*subtitle(whole, lang), *rest], said)


def family_bars(whole: Whole, lang: str) -> alt.LayerChart:
    """The families' shares of the sum of mean |SHAP|, as a mandate's cap counts them."""
    return _groups(
        whole, whole.families, [text(f"family.{name}", lang) for name in whole.families.names], "families", lang
    )


def lag_bars(whole: Whole, lang: str) -> alt.LayerChart:
    """The shares of features by their declared lag in rows."""
    labels = [
        text("importance.chart.lag", lang, lag=name) if name else text("importance.chart.no_lag", lang)
        for name in whole.lags.names
    ]
    return _groups(whole, whole.lags, labels, "lags", lang)


def _groups(whole: Whole, groups: Groups, names: Sequence[str], what: str, lang: str) -> alt.LayerChart:
    labels = [
        text("importance.chart.group", lang, name=name, n=size) for name, size in zip(names, groups.sizes, strict=True)
    ]
    axis = alt.Axis(title=text("importance.chart.share", lang), format=".0%", tickCount=5)
    chart = whiskers.bars(labels, groups.share, whiskers.share, axis, lang)
    title = text(f"importance.chart.{what}", lang)
    lines = [
        text("importance.chart.alt_share", lang, label=label, share=f"{share:.0%}")
        for label, share in zip(names, groups.share.value, strict=True)
    ]
    said = text("importance.chart.alt", lang, title=title, lines=text("chart.list", lang).join(lines))
    return theme.finish(chart, title, subtitle(whole, lang), said)


def subtitle(whole: Whole, lang: str, columns: int = NARROW) -> list[str]:
    """What the whiskers are, and of how many rows."""
    told = text("importance.chart.whiskers", lang, length=whole.blocks.length)
    rows = text("importance.chart.rows", lang, **counted(whole))
    return theme.wrap(text("importance.chart.two", lang, one=rows, other=told), columns)


def drawn_from(whole: Whole, how: str, lang: str, columns: int = COLUMNS) -> list[str]:
    """Of how many rows a figure without error bars is, and how it draws them."""
    rows = text("importance.chart.rows", lang, **counted(whole))
    return theme.wrap(text("importance.chart.two", lang, one=rows, other=how), columns)


def counted(whole: Whole) -> dict[str, str]:
    """How many of how many rows."""
    return {"rows": f"{len(whole.rows):,}", "of": f"{whole.of:,}"}


def chosen(means: Means, order: Ints) -> Means:
    """Some of the means, in this order."""
    return Means(means.value[order], means.std_error[order], means.low[order], means.high[order])


def feature_labels(whole: Whole, order: Sequence[int] | Ints, lang: str) -> list[str]:
    """The features' labels, those that repeat numbered."""
    panel, sections = whole.bundle.panel, whole.bundle.manifest.features
    return theme.unique([theme.clean(feature_label(panel.features[i], lang, sections)) for i in order])
