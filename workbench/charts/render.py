"""A figure as a file: SVG, PNG or a page of its own, without a browser and the same bytes each time.

Nothing is fetched: the font stands in this package, the scripts come out of `vl_convert`. Words from outside (names of features,
titles) travel as data, never as markup: in SVG and HTML they are escaped, and the page's policy runs no script but its own two.
"""

import base64
import hashlib
import html as markup
import json
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import altair as alt
import vl_convert

from workbench.charts import theme
from workbench.charts.theme import Surface
from workbench.fonts import FOLDER, printable

NAMESPACE = "https://schema.org/"
Figure = alt.TopLevelMixin | Mapping[str, Any]
COLUMNS = 110
SHOWN = frozenset({"datasets", "values", "title", "subtitle", "description", "domain", "text"})
TITLES = frozenset({"title", "text"})


def svg(
    chart: Figure,
    provenance: Mapping[str, str] | None = None,
    *,
    surface: Surface = "light",
    paper: bool = False,
) -> str:
    """The figure as SVG with <title>, <desc> (its alt text) and `provenance` as JSON in <metadata>.

    Ink suits `surface`; the background is clear unless `paper` asks for the surface's own.
    """
    spec = _spec(chart, surface, paper=paper)
    drawn: str = vl_convert.vegalite_to_svg(spec, vl_version=_version(), allowed_base_urls=[], show_warnings=False)
    head, body = re.match(r"(<svg[^>]*>)(.*)\Z", drawn, re.DOTALL).groups()  # type: ignore[union-attr]
    name = "f" + hashlib.sha256(drawn.encode()).hexdigest()[:10]
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    title, alt_text = spoken(chart)
    told = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(alt_text)}</desc>'
    if provenance:
        told += f"<metadata>{escape(json.dumps(dict(provenance), ensure_ascii=False, sort_keys=True))}</metadata>"
    head = head.removesuffix(">") + f' role="img" aria-labelledby="{name}-title {name}-desc">'
    return head + told + body


def png(
    chart: Figure,
    scale: float = 2,
    provenance: Mapping[str, str] | None = None,
    *,
    surface: Surface = "light",
) -> bytes:
    """The figure as PNG on the surface's own background; alt text and `provenance` in iTXt chunks."""
    spec = _spec(respell(chart, printable), surface, paper=True)
    image: bytes = vl_convert.vegalite_to_png(
        spec, vl_version=_version(), scale=scale, allowed_base_urls=[], show_warnings=False
    )
    title, alt_text = spoken(chart)
    notes = {"Title": title, "Description": alt_text} | {f"workbench:{k}": v for k, v in (provenance or {}).items()}
    chunks = b"".join(_itxt(name, notes[name]) for name in notes)
    after_header = 8 + 25
    return image[:after_header] + chunks + image[after_header:]


def html(chart: Figure, lang: str, provenance: Mapping[str, str] | None = None, *, surface: Surface = "light") -> str:
    """The figure as a page of its own that asks nothing of any other host; without scripts it still shows the figure as SVG."""
    spec = _spec(chart, surface, paper=True)
    title, alt_text = spoken(chart)
    library, start = _library(), _START
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
        f"script-src {_hash(library)} {_hash(start)}"
    )
    return _PAGE.format(
        lang=theme.LANG[lang],
        policy=policy,
        title=markup.escape(title),
        alt=markup.escape(alt_text),
        paper=theme.INK[surface]["paper"],
        ink=theme.INK[surface]["text"],
        fonts=theme.FONTS,
        provenance=inert({"@context": NAMESPACE, "@type": "Dataset", "name": title, **(provenance or {})}),
        spec=inert(spec),
        figure=svg(chart, surface=surface),
        library=library,
        start=start,
    )


def respell(chart: Figure, change: Callable[[str], str]) -> dict[str, Any]:
    """The figure with every text that it shows passed through `change`: data, titles, alt text; its grammar stays."""
    changed: dict[str, Any] = _respelled(_plain(chart), change, free=False)
    return changed


def _respelled(node: Any, change: Callable[[str], str], *, free: bool) -> Any:
    if isinstance(node, str):
        return change(node) if free else node
    if isinstance(node, list):
        return [_respelled(entry, change, free=free) for entry in node]
    if not isinstance(node, dict):
        return node
    inside = {key: key in SHOWN and not (isinstance(entry, dict) and key in TITLES) for key, entry in node.items()}
    return {key: _respelled(entry, change, free=free or inside[key]) for key, entry in node.items()}


def with_source(chart: Figure, line: str) -> dict[str, Any]:
    """The figure with a small line of words under it: where it comes from."""
    spec = _plain(chart)
    outer: dict[str, Any] = {
        key: spec.pop(key) for key in ("$schema", "config", "datasets", "title", "description") if key in spec
    }
    lines = [{"at": i, "line": words} for i, words in enumerate(theme.wrap(theme.clean(line), COLUMNS))]
    note = {
        "data": {"values": lines},
        "mark": {"type": "text", "align": "left", "baseline": "middle", "fontSize": 10, "x": 0, "opacity": 0.8},
        "encoding": {
            "y": {"field": "at", "type": "ordinal", "axis": None},
            "text": {"field": "line", "type": "nominal"},
        },
        "width": 10,
        "height": 14 * len(lines),
    }
    own = dict.fromkeys(("color", "strokeDash", "shape"), "independent")
    parts = spec.get("vconcat", [spec])
    return {**outer, "vconcat": [*parts, note], "resolve": {"scale": own, "legend": own}}


def spoken(chart: Figure) -> tuple[str, str]:
    """Title and alt text of a figure."""
    spec = _plain(chart)
    title = spec.get("title", {})
    title = title.get("text", "") if isinstance(title, dict) else title
    return " ".join(title) if isinstance(title, list) else str(title), str(spec.get("description", ""))


def inert(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    told = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        told = told.replace(sign, f"\\u{ord(sign):04x}")
    return told


def _plain(chart: Figure) -> dict[str, Any]:
    """The figure's specification, safe to be changed."""
    return dict(chart) if isinstance(chart, Mapping) else dict(chart.to_dict(validate=False))


def _spec(chart: Figure, surface: Surface, *, paper: bool) -> dict[str, Any]:
    _register_font()
    spec = _plain(chart)
    spec.pop("$schema", None)
    spec["config"] = theme.config(surface)
    spec["background"] = theme.INK[surface]["paper"] if paper else "transparent"
    spec["padding"] = 12 if paper else 2
    return spec


@cache
def _register_font() -> None:
    vl_convert.register_font_directory(str(FOLDER))


@cache
def _version() -> str:
    """The newest Vega-Lite that vl_convert carries of the major version that altair speaks."""
    major = alt.SCHEMA_VERSION.lstrip("v").split(".")[0]
    carried = [tuple(map(int, v.split("."))) for v in vl_convert.get_vegalite_versions() if v.split(".")[0] == major]
    return ".".join(map(str, max(carried)))


@cache
def _library() -> str:
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_version()))


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _itxt(keyword: str, value: str) -> bytes:
    """A PNG text chunk in UTF-8, uncompressed (PNG specification, 11.3.4.5)."""
    data = keyword.encode("latin-1", "replace")[:79] + b"\0\0\0\0\0" + value.encode("utf-8", "replace")
    body = b"iTXt" + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


_START = (
    'const spec = JSON.parse(document.getElementById("spec").textContent);'
    'vegaEmbed("#figure", spec, {mode: "vega-lite", renderer: "svg", ast: true,'
    " actions: {export: true, source: false, compiled: false, editor: false}});"
)
_PAGE = """<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{alt}">
<title>{title}</title>
<style>body {{ margin: 1.5rem; background: {paper}; color: {ink}; font: 15px/1.5 {fonts}; }} figure {{ margin: 0; }}</style>
<script type="application/ld+json">{provenance}</script>
<script type="application/json" id="spec">{spec}</script>
</head>
<body>
<main><figure aria-label="{alt}"><div id="figure">{figure}</div></figure></main>
<script>{library}</script>
<script>{start}</script>
</body>
</html>
"""
