"""Bars with whiskers: what several figures of means with an error bar have in common."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from workbench.charts import theme
from workbench.importance.blocks import Means
from workbench.text import text

ROW, LABELS, PALE = 24, 300, 0.4
KNOWN = "isValid(datum.low)"
PLOT = theme.WIDTH - 200
SIGNIFICANT = 3


def records(labels: Sequence[str], means: Means, spell: Any) -> list[dict[str, Any]]:
    """A row a bar: its label, value, ends of the interval, and both as words."""
    return [
        {"row": label, "value": v, "low": a, "high": b, "shown": spell(v), "range": f"{spell(a)} – {spell(b)}"}
        for label, v, a, b in zip(labels, means.value, means.low, means.high, strict=True)
    ]


def share(value: float) -> str:
    """A share in percent with one decimal."""
    return theme.amount(value, "probability", step=0.01)


def bars(
    labels: Sequence[str], means: Means, spell: Any, axis: alt.Axis, lang: str, *, room: int = LABELS
) -> alt.LayerChart:
    """Bars of non-negative means from the top, each with its 95 % interval; `spell` says a number in words, `room` is the labels' width in pixels."""
    data = theme.rows(records(theme.unique([theme.clean(label) for label in labels]), means, spell))
    y = alt.Y("row:N", sort=None, title=None, axis=named_rows(room))
    top = float(max([*data["high"].dropna(), *data["value"].dropna()], default=0.0)) or 1.0
    scale = alt.Scale(domain=[0, 1.04 * top], nice=False)
    x = alt.X("value:Q", scale=scale, axis=axis)
    base = alt.Chart(data).encode(y=y, tooltip=tips(lang))
    known = base.transform_filter(KNOWN)
    return theme.stack(
        base.mark_bar(height={"band": 0.6}, color=theme.UP, opacity=PALE).encode(x=x),
        known.mark_rule(color=theme.UP, strokeWidth=2.4).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"),
        base.mark_point(color=theme.UP, filled=True, size=50, opacity=1).encode(x=x),
        *(
            known.mark_tick(color=theme.UP, thickness=2.4, size=9).encode(x=alt.X(end, scale=scale, axis=axis))
            for end in ("low:Q", "high:Q")
        ),
    ).properties(width=PLOT, height=ROW * max(len(labels), 1))


def named_rows(room: int = LABELS) -> alt.Axis:
    """The axis of a list: names only."""
    return alt.Axis(labelLimit=room, ticks=False, domain=False, labelPadding=8, labelOverlap=False)


def tips(lang: str) -> list[alt.Tooltip]:
    """What a bar says when it is pointed at."""
    named = {"row": "feature", "shown": "value", "range": "interval"}
    return [alt.Tooltip(f"{field}:N", title=text(f"importance.table.{word}", lang)) for field, word in named.items()]
