"""The curve that a committee sees first: growth of one unit, net and benchmark, and below it how deep each fell."""

from functools import partial

import altair as alt
import numpy as np
import pandas as pd

from workbench.charts import theme
from workbench.schema import StrategyBundle
from workbench.text import text


def nav_curve(bundle: StrategyBundle, lang: str) -> alt.VConcatChart:
    """Cumulative net value and drawdown of strategy and benchmark; whether the figures are real is printed on it.

    Without [returns] the figure says that they are missing.
    """
    title = text("chart.curve.title", lang, bundle=bundle.name)
    words = alt_text(bundle, lang)
    if bundle.returns is None:
        return theme.finish(alt.vconcat(theme.sentence(words)), title, [_marked(bundle, lang)], words)
    nav, drawdown = paths(bundle)
    kept = theme.thin(drawdown["strategy"].to_numpy(np.float64))
    names = {role: text(f"chart.curve.{role}", lang) for role in nav.columns}
    upper = theme.stack(_lines(nav.iloc[kept], names, lang, upper=True)).properties(width=theme.WIDTH, height=240)
    limit = bundle.manifest.mandate.max_drawdown if bundle.manifest.mandate else None
    drawn = [_lines(drawdown.iloc[kept], names, lang, upper=False), *([] if limit is None else _limit(limit, lang))]
    lower = theme.stack(*drawn).properties(width=theme.WIDTH, height=120)
    return theme.finish(alt.vconcat(upper, lower), title, [_marked(bundle, lang)], words)


def paths(bundle: StrategyBundle) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Growth of one unit (product of 1 + return) and drawdown (share below the running peak), a column a role.

    Both start at the unit before the first return; a missing return counts as none.
    """
    if bundle.returns is None:
        raise ValueError("a bundle without [returns] has no curve")
    table = bundle.returns.table
    kept = table[[role for role in ("strategy", "benchmark") if role in table]].astype(np.float64)
    nav = (1 + kept.fillna(0.0)).cumprod()
    drawdown = nav / nav.cummax().clip(lower=1.0) - 1
    return nav, drawdown


def provenance(bundle: StrategyBundle, lang: str) -> str:
    """Real, public data or reconstructed, as the manifest declares; that it declares nothing is said too."""
    return text(f"chart.figures.{bundle.manifest.evidence.figures or 'undeclared'}", lang)


def _marked(bundle: StrategyBundle, lang: str) -> str:
    return text("chart.curve.figures", lang, what=provenance(bundle, lang))


def alt_text(bundle: StrategyBundle, lang: str) -> str:
    """The figure in a sentence: period, growth of each, deepest drawdown against the mandate's limit, provenance."""
    if bundle.returns is None:
        return text("chart.curve.empty", lang)
    nav, drawdown = paths(bundle)
    told = [
        text(
            "chart.curve.alt_line",
            lang,
            name=text(f"chart.curve.{role}", lang),
            nav=f"{nav[role].iloc[-1]:.2f}",
            drawdown=theme.amount(float(drawdown[role].min()), "return"),
        )
        for role in nav.columns
    ]
    said = text(
        "chart.curve.alt",
        lang,
        bundle=bundle.name,
        first=f"{nav.index[0]:%Y-%m-%d}",
        last=f"{nav.index[-1]:%Y-%m-%d}",
        lines=text("chart.list", lang).join(told),
    )
    limit = bundle.manifest.mandate.max_drawdown if bundle.manifest.mandate else None
    if limit is not None:
        said += text("chart.curve.alt_limit", lang, limit=theme.amount(limit, "return"))
    return said + _marked(bundle, lang)


def _lines(frame: pd.DataFrame, names: dict[str, str], lang: str, *, upper: bool) -> alt.Chart:
    index = pd.DatetimeIndex(frame.index)
    spell = partial(theme.fixed, places=3) if upper else partial(theme.amount, output="return")
    records = [
        {"at": theme.milliseconds(when), "day": f"{when:%Y-%m-%d}", "value": value, "name": name, "shown": spell(value)}
        for role, name in names.items()
        for when, value in zip(index, frame[role].tolist(), strict=True)
    ]
    title = text("chart.curve.growth" if upper else "chart.curve.drawdown", lang)
    axis = alt.Axis(format=".2f" if upper else ".1%", tickCount=4, title=title)
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolSize=400) if upper else None
    domain = list(names.values())
    colours = alt.Scale(domain=domain, range=theme.SERIES[: len(domain)])
    dashes = alt.Scale(domain=domain, range=theme.DASHES[: len(domain)])
    drawn: alt.Chart = (
        alt.Chart(theme.rows(records))
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("at:T", title=None, scale=alt.Scale(type="utc"), axis=theme.time_axis(index, labels=not upper)),
            y=alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=not upper, nice=True)),
            color=alt.Color("name:N", scale=colours, legend=legend),
            strokeDash=alt.StrokeDash("name:N", scale=dashes, legend=legend),
            tooltip=[alt.Tooltip(f"{f}:N", title=text(f"chart.curve.tip_{f}", lang)) for f in ("day", "name", "shown")],
        )
    )
    return drawn


def _limit(limit: float, lang: str) -> list[alt.Chart]:
    name = text("chart.curve.limit", lang, limit=theme.amount(-limit, "return"))
    base = alt.Chart(theme.rows([{"at": -limit, "name": name}])).encode(y="at:Q")
    rule = base.mark_rule(color=theme.LIMIT, strokeWidth=1.6, strokeDash=[6, 3])
    label = base.mark_text(align="left", baseline="top", dx=4, dy=3, color=theme.LIMIT, fontWeight="bold")
    return [rule, label.encode(x=alt.value(0), text="name:N")]
