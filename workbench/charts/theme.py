"""One look for every figure: colours that hold on light and on dark and without colour vision, numbers in the reader's terms.

A figure sets no background and no colour of its axes: the page it stands on does (Streamlit's theme), or `render.py`.
Blue and orange are of Okabe and Ito's (2008) colour-blind-safe set, both at least 3:1 against white and against near-black.
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import altair as alt
import numpy as np
import pandas as pd

from workbench.fonts import FAMILY, MISSING
from workbench.schema import Floats

Surface = Literal["light", "dark"]
Chart = TypeVar("Chart", alt.LayerChart, alt.VConcatChart)
LANG = {"en": "en", "zh": "zh-Hans"}

UP = "#1f86c7"
DOWN = "#d55e00"
NEUTRAL = "#7d8590"
LIMIT = "#c2417c"
SERIES = [UP, DOWN, "#009e73", "#a86fb5", NEUTRAL, "#b58900"]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3]]
WIDTH = 620
POINTS = 1500
YEARS, MONTHS = 4 * 366, 90
FONTS = f"{FAMILY}, Noto Sans SC, PingFang SC, Microsoft YaHei, sans-serif"
INK = {
    "light": {"text": "#1d2530", "quiet": "#5b6472", "grid": "#e3e6ea", "paper": "#ffffff"},
    "dark": {"text": "#eef1f5", "quiet": "#a9b2bf", "grid": "#343b46", "paper": "#0e1117"},
}
MINUS = "−"
TINY = 1e-6
alt.data_transformers.enable("default", max_rows=None)  # figures are thinned here, by what must stay visible
STEERING = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def config(surface: Surface | None = None) -> dict[str, Any]:
    """Vega-Lite config: fonts and sizes; with `surface` also the colours of text, axes and grid on it."""
    base: dict[str, Any] = {
        "font": FONTS,
        "axis": {
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "labelLimit": 260,
            "labelOverlap": True,
        },
        "axisX": {"titlePadding": 10},
        "legend": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 320},
        "title": {"fontSize": 16, "subtitleFontSize": 12, "anchor": "start", "offset": 14, "subtitlePadding": 5},
        "text": {"fontSize": 12, "color": NEUTRAL},
        "view": {"stroke": None},
        "mark": {"aria": False},  # the figure speaks once, by its alt text, not mark by mark
        "concat": {"spacing": 10},
    }
    if surface is None:
        return base
    ink = INK[surface]
    base["axis"] |= {"labelColor": ink["text"], "titleColor": ink["quiet"], "gridColor": ink["grid"]}
    base["axis"] |= {"domainColor": ink["grid"], "tickColor": ink["grid"]}
    base["legend"] |= {"labelColor": ink["text"], "titleColor": ink["quiet"]}
    base["title"] |= {"color": ink["text"], "subtitleColor": ink["quiet"]}
    base["text"] |= {"color": ink["text"]}
    return base


def finish(chart: Chart, title: str, subtitle: list[str], alt_text: str) -> Chart:
    """The figure with its title, its alt text (Vega-Lite's `description`) and the house's config, which the page may extend."""
    heading = alt.TitleParams(text=clean(title), subtitle=[clean(line) for line in subtitle if line])
    finished: Chart = chart.properties(title=heading, description=clean(alt_text), config=config())
    return finished


def rows(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of data under neutral field names; what is not a finite number becomes null."""
    return pd.DataFrame([{name: plain(value) for name, value in record.items()} for record in records])


def plain(value: Any) -> Any:
    """A JSON value: numpy scalars as Python's, NaN and infinities as None, anything foreign as text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int)) else clean(str(value))


def clean(words: str) -> str:
    r"""`words` with ⊠ for characters that steer instead of print (controls, direction marks, half pairs): XML forbids most.

    >>> clean("a\x00b")
    'a⊠b'
    """
    return "".join(MISSING if unicodedata.category(c) in STEERING else c for c in words)


def digits(value: float, significant: int = 4) -> str:
    """A number with `significant` digits, a true minus sign and no trailing zeros.

    >>> digits(-0.0123456), digits(1234567.0), digits(3.0), digits(2.14e-15)
    ('−0.01235', '1234567', '3', '2.1e−15')
    """
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) < TINY:
        return f"{value:.1e}".replace("-", MINUS)
    places = max(0, significant - 1 - math.floor(math.log10(abs(value))))
    shown = f"{value:.{min(places, 12)}f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return shown.replace("-", MINUS)


def amount(value: float, output: str, *, signed: bool = False, step: float | None = None) -> str:
    """A model's output in the reader's terms: returns and probabilities in percent, scores as they are.

    `step` is the size that must stay visible (default: the value's own): it sets the decimals of a column of numbers.

    >>> amount(0.00312, "return", signed=True), amount(-0.5, "score", signed=True)
    ('+0.31%', '−0.5')
    """
    if not math.isfinite(value):
        return "–"
    sign = "+" if signed and value > 0 else ""
    if output not in {"return", "probability"}:
        return sign + digits(value, 3)
    size = 100 * abs(value if step is None else step)
    places = 2 if size == 0 else min(max(1 - math.floor(math.log10(size)), 1), 6)
    shown = f"{100 * value:.{min(places, 6)}f}%"
    return sign + shown.replace("-", MINUS)


def axis_format(output: str, span: float) -> str:
    """d3 format of an axis that covers `span` of a model's output."""
    if output not in {"return", "probability"}:
        return "~g"
    places = 0 if span <= 0 else min(max(math.ceil(-math.log10(100 * span / 4)), 0), 6)
    return f".{places}%"


def unique(labels: list[str]) -> list[str]:
    """The labels, those that repeat numbered: two bars must never share a place on an axis.

    >>> unique(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    taken: set[str] = set()
    found = []
    for label in labels:
        name, number = label, 1
        while name in taken:
            number += 1
            name = f"{label} ({number})"
        taken.add(name)
        found.append(name)
    return found


def spoken(words: Mapping[str, Any], key: str, lang: str) -> str:
    """The words of `key` in `lang`, or the key itself where there are none."""
    entry = words.get(key)
    return str(getattr(entry, lang)) if entry is not None else key


def stack(*layers: alt.Chart) -> alt.LayerChart:
    """The layers one over the other."""
    return alt.LayerChart(layer=list(layers))


def sentence(words: str) -> alt.LayerChart:
    """A figure that has nothing to draw, and says so: `words` in its middle, broken into lines of about 60 columns."""
    lines = wrap(words, 60)
    data = rows([{"at": i, "words": line} for i, line in enumerate(lines)])
    mark = alt.Chart(data).mark_text(fontSize=13, align="left", x=0).encode(y=alt.Y("at:O", axis=None), text="words:N")
    return stack(mark).properties(width=WIDTH - 200, height=22 * len(lines))


def wrap(words: str, columns: int) -> list[str]:
    """Lines of at most `columns` columns; a Chinese character fills two and may stand at any line's end.

    >>> wrap("nothing came in time", 12)
    ['nothing came', 'in time']
    """
    lines, line, used = [], "", 0
    for piece in re.findall(r"[⺀-鿿＀-￯　-〿]|[^\s⺀-鿿＀-￯　-〿]+|\s+", words):
        size = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in piece)
        if used and piece.strip() and used + size > columns and piece not in "，。；：、）！？·":
            lines.append(line.rstrip())
            line, used = "", 0
        if line or piece.strip():
            line, used = line + piece, used + size
    return [*lines, line.rstrip()]


def milliseconds(when: pd.Timestamp) -> int:
    """A moment as Vega takes it: milliseconds since 1970 in UTC; a time without a zone is taken as it stands."""
    return (
        int(when.timestamp() * 1000) if when.tzinfo else int(pd.Timestamp(when).tz_localize("UTC").timestamp() * 1000)
    )


def time_axis(index: pd.DatetimeIndex, *, labels: bool = True) -> alt.Axis:
    """Years where the span is long, months where it is short: no name of a month, so the same in every language."""
    days = (index[-1] - index[0]).days if len(index) else 0
    form = "%Y" if days > YEARS else "%Y-%m" if days > MONTHS else "%m-%d"
    return alt.Axis(format=form, labels=labels, grid=False, tickCount=8, labelOverlap=True)


def fixed(value: float, places: int) -> str:
    """A number with a fixed count of decimals and a true minus sign."""
    return f"{value:.{places}f}".replace("-", MINUS)


def thin(series: Floats, points: int = POINTS) -> list[int]:
    """Positions of at most about `points` values that keep the shape: of each stretch the first, the last, the lowest, the highest."""
    if len(series) <= points:
        return list(range(len(series)))
    kept: set[int] = set()
    for stretch in np.array_split(np.arange(len(series)), points // 4):
        part = np.nan_to_num(series[stretch])
        kept |= {int(stretch[0]), int(stretch[-1]), int(stretch[part.argmin()]), int(stretch[part.argmax()])}
    return sorted(kept)
