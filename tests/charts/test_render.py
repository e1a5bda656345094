"""Files: the same bytes each time, alt text inside, nothing from a name ever runs."""

import json
import re
import struct
import xml.etree.ElementTree as ET
import zlib

import pytest
from chart_specimens import HOSTILE, LABELS, explanation

from workbench.charts import render
from workbench.charts.waterfall import waterfall

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def hostile():
    return waterfall(explanation(HOSTILE, bundle=HOSTILE[0]), "en", LABELS)


def chunks(png):
    at, found = 8, []
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        data = png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + data)
        found.append((kind, data))
        at += 12 + size
    return found


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_svg_is_the_same_each_time_and_speaks(lang):
    chart = waterfall(explanation(), lang, LABELS)
    once, twice = (render.svg(chart, {"seed": "0"}) for _ in range(2))
    assert once == twice
    root = ET.fromstring(once)  # noqa: S314
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert "2022-10-13" in title.text
    assert "0.66%" in desc.text
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert json.loads(root.find(f"{SVG}metadata").text) == {"seed": "0"}


def test_two_figures_on_one_page_share_no_id():
    one, two = (render.svg(waterfall(explanation(bundle=b), "en")) for b in ("a", "b"))
    ids = [set(re.findall(r'\bid="([^"]+)"', figure)) for figure in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_hostile_svg_is_well_formed_and_inert(hostile):
    root = ET.fromstring(render.svg(hostile, {"bundle": HOSTILE[4]}))  # noqa: S314
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {
        "svg",
        "title",
        "desc",
        "metadata",
        "g",
        "path",
        "line",
        "text",
        "rect",
        "defs",
        "clipPath",
        "tspan",
    }
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    assert any("</script>" in (element.text or "") for element in root.iter(f"{SVG}text"))


def test_hostile_page_holds_its_own_scripts_only(hostile):
    page = render.html(hostile, "en", {"bundle": HOSTILE[0]})
    assert page == render.html(hostile, "en", {"bundle": HOSTILE[0]})
    assert len(re.findall("<script", page)) == len(re.findall("</script>", page)) == 4
    assert "<img" not in page.replace(render._library(), "")
    spec = json.loads(re.search(r'id="spec">(.*?)</script>', page, re.DOTALL).group(1))
    assert HOSTILE[0] in json.dumps(spec, ensure_ascii=False)


def test_page_names_its_language_and_asks_no_other_host():
    page = render.html(waterfall(explanation(), "zh", LABELS), "zh")
    assert '<html lang="zh-Hans">' in page
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1)
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    own = page.replace(render._library(), "").replace("http://www.w3.org/", "")
    assert re.findall(r"https?://[^\s\"'<]+", own) == ["https://schema.org/"]
    assert not re.findall(r"\b(src|href)=", own)


def test_png_carries_alt_text_and_provenance(hostile):
    image = render.png(hostile, 1, {"bundle": "b", "seed": "0"})
    assert image == render.png(hostile, 1, {"bundle": "b", "seed": "0"})
    texts = [data for kind, data in chunks(image) if kind == b"iTXt"]
    told = {d.split(b"\0", 1)[0].decode(): d.split(b"\0\0\0\0\0", 1)[1].decode() for d in texts}
    assert told["workbench:seed"] == "0"
    assert "Largest contributions" in told["Description"]


def test_surfaces_differ_in_ink_and_not_in_data():
    chart = waterfall(explanation(), "en")
    light, dark = render.svg(chart, surface="light"), render.svg(chart, surface="dark")
    assert "#1d2530" in light
    assert "#1d2530" not in dark
    assert "#eef1f5" in dark
    assert "#1f86c7" in light
    assert "#1f86c7" in dark


def test_a_character_outside_the_font_leaves_a_visible_mark():
    rocket = waterfall(explanation(["🚀"], values=[0.1]), "en")
    boxed = waterfall(explanation(["⊠"], values=[0.1]), "en")
    assert [c for c in chunks(render.png(rocket, 1)) if c[0] == b"IDAT"] == [
        c for c in chunks(render.png(boxed, 1)) if c[0] == b"IDAT"
    ]
