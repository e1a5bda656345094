"""Whether the model leans on other things in other weather: shares of mean |SHAP| in thirds of a feature's values."""

import altair as alt

from workbench.charts import theme
from workbench.charts.beeswarm import COLOURS, THIRDS
from workbench.charts.importance import COLUMNS, chosen, feature_labels, subtitle
from workbench.charts.whiskers import KNOWN, PLOT, named_rows, records, share, tips
from workbench.importance.measures import Regimes
from workbench.importance.whole import Whole
from workbench.text import text

MOST, ROW = 10, 40
FORMS = ["circle", "square", "triangle-up"]


def regime_shares(whole: Whole, regimes: Regimes, lang: str) -> alt.LayerChart:
    """The ten most important features' shares of mean |SHAP| where `regimes.by` was low, middle and high, with 95 % intervals."""
    order = whole.importance.order[:MOST]
    labels = feature_labels(whole, order, lang)
    named = [
        text(f"importance.chart.state_{name}", lang, rows=f"{rows:,}")
        for name, rows in zip(THIRDS, regimes.rows, strict=False)
    ]
    data = theme.rows(
        [
            row | {"state": state}
            for state, means in zip(named, regimes.share, strict=True)
            for row in records(labels, chosen(means, order), share)
        ]
    )
    legend = alt.Legend(title=None, orient="bottom", symbolSize=120)
    domain = alt.Scale(domain=named, range=list(COLOURS[: len(named)]))
    axis = alt.Axis(title=text("importance.chart.share", lang), format=".0%", tickCount=6)
    base = alt.Chart(data).encode(
        y=alt.Y("row:N", sort=None, title=None, axis=named_rows(), scale=alt.Scale(padding=0.15)),
        yOffset=alt.YOffset("state:N", sort=named, scale=alt.Scale(paddingOuter=0.3)),
        color=alt.Color("state:N", scale=domain, legend=legend),
        tooltip=[*tips(lang), alt.Tooltip("state:N", title=text("importance.table.third", lang))],
    )
    shape = alt.Shape("state:N", scale=alt.Scale(domain=named, range=FORMS), legend=legend)
    layers = [
        base.transform_filter(KNOWN)
        .mark_rule(strokeWidth=1.8, opacity=0.8)
        .encode(x=alt.X("low:Q", axis=axis), x2="high:Q"),
        base.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("value:Q", axis=axis), shape=shape),
    ]
    chart = theme.stack(*layers).properties(width=PLOT, height=ROW * len(order))
    (by,) = feature_labels(whole, [whole.feature(regimes.by)], lang)
    title = text("importance.chart.regimes", lang, label=by)
    said = text("importance.chart.alt", lang, title=title, lines=_told(regimes, labels, order[:3].tolist(), lang))
    return theme.finish(chart, title, subtitle(whole, lang, COLUMNS), said)


def _told(regimes: Regimes, labels: list[str], features: list[int], lang: str) -> str:
    each = [
        text("importance.chart.alt_state", lang, label=label, low=f"{low:.0%}", high=f"{high:.0%}")
        for label, i in zip(labels, features, strict=False)
        for low, high in [(regimes.share[0].value[i], regimes.share[-1].value[i])]
    ]
    return text("chart.list", lang).join(each)
