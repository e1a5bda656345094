"""A snapshot says what it shows, where it comes from, and nothing that should stay in the house."""

import json
import re
import struct
import xml.etree.ElementTree as ET

import chart_specimens
import paper_specimens
import pytest

from workbench.charts.whole_panel import FIGURES
from workbench.schema import BadInputError
from workbench.snapshot import ENDINGS, chart_names, needs, provenance, write_snapshot
from workbench.text import LANGUAGES, say

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return paper_specimens.report(paper_specimens.checklist(tmp_path_factory.mktemp("lists")))


@pytest.fixture(scope="module")
def bundle():
    return chart_specimens.bundle(60)


def texts(png):
    at, found = 8, {}
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        if kind == b"iTXt":
            name, _, value = png[at + 8 : at + 8 + size].partition(b"\0\0\0\0\0")
            found[name.decode()] = value.decode()
        at += 12 + size
    return found


def shown(svg):
    return " ".join(e.text or "" for e in ET.fromstring(svg).iter(f"{SVG}text"))  # noqa: S314


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("chart", "lang"), [("waterfall", "zh"), ("budget", "en"), ("curve", "zh"), ("R1", "en")])
def test_same_input_same_bytes(chart, lang, ending, report, tmp_path):
    bundle = chart_specimens.bundle(60)
    one, two = (tmp_path / f"{name}{ending}" for name in ("one", "two"))
    for path in (one, two):
        write_snapshot(chart, bundle, path, lang, explanation=chart_specimens.explanation(), report=report)
    assert one.read_bytes() == two.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("lang", "source", "kind"), [("en", "Source:", "public data"), ("zh", "来源：", "公开数据")])
def test_source_stands_under_the_figure(lang, source, kind, bundle, tmp_path):
    path = tmp_path / "w.svg"
    write_snapshot("waterfall", bundle, path, lang, explanation=chart_specimens.explanation())
    words = shown(path.read_text("utf-8"))
    for part in (source, kind, "2022-10-13", "c" * 12, "us_rates_plus_tilt"):
        assert part in words


def test_provenance_is_inside_each_kind_of_file(bundle, tmp_path):
    expected = provenance("waterfall", bundle, chart_specimens.explanation())
    assert {"bundle", "bundle_sha256", "panel_sha256", "model_sha256", "seed", "version", "decision"} <= set(expected)
    for ending in ENDINGS:
        write_snapshot("waterfall", bundle, tmp_path / f"w{ending}", "en", explanation=chart_specimens.explanation())
    root = ET.fromstring((tmp_path / "w.svg").read_text("utf-8"))  # noqa: S314
    assert json.loads(root.find(f"{SVG}metadata").text) == expected
    chunks = texts((tmp_path / "w.png").read_bytes())
    assert {k.removeprefix("workbench:"): v for k, v in chunks.items() if ":" in k} == expected
    assert "Largest contributions" in chunks["Description"]
    page = (tmp_path / "w.html").read_text("utf-8")
    held = json.loads(re.search(r'ld\+json">(.*?)</script>', page, re.DOTALL).group(1))
    assert expected.items() <= held.items()


@pytest.mark.parametrize("ending", ENDINGS)
def test_redacted_words_and_local_paths_are_nowhere_in_the_file(ending, bundle, tmp_path):
    told = chart_specimens.explanation(["/home/lihua/secret/y10", "张三的因子", "vix"], values=[0.1, -0.05, 0.02])
    path = tmp_path / f"w{ending}"
    write_snapshot("waterfall", bundle, path, "zh", explanation=told, redact=["张三", "us_rates_plus_tilt"])
    data = path.read_bytes()
    for word in ("lihua", "张三", "us_rates_plus_tilt", "/secret/"):
        assert word.encode() not in data
        assert json.dumps(word).strip('"').encode() not in data
    assert "▇▇▇".encode() in data


def test_needs_are_known_before_any_work(report, tmp_path):
    names = {name: needs(name, tmp_path / "a.svg", report.checklist) for name in ("curve", "waterfall", "budget", "R1")}
    assert names == {"curve": None, "waterfall": "explanation", "budget": "explanation", "R1": "report"}
    for chart, file in (("R99", "a.svg"), ("curve", "a.gif")):
        with pytest.raises(BadInputError):
            needs(chart, tmp_path / file, report.checklist)


def test_names_are_those_that_the_bundle_can_show(report):
    names = chart_names(chart_specimens.bundle(30), report.checklist)
    assert names == ("waterfall", "budget", "curve", *FIGURES, "T1", "T3", "R1", "R4", "V2", "V3")
    assert "curve" not in chart_names(chart_specimens.bundle(30, returns=False), report.checklist)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("chart", "file", "size", "told"),
    [
        ("pie", "a.png", "blog", "waterfall, budget, curve"),
        ("curve", "a.gif", "blog", ".png, .svg, .html"),
        ("curve", "a", "blog", ".png, .svg, .html"),
        ("curve", "a.png", "huge", "blog, slide, print"),
        ("waterfall", "a.png", "blog", "waterfall"),
        ("X1", "a.png", "blog", "X1"),
    ],
)
def test_bad_input_is_told_with_what_is_known(chart, file, size, told, lang, tmp_path):  # noqa: PLR0917 - pytest's arguments
    with pytest.raises(BadInputError) as raised:
        write_snapshot(chart, chart_specimens.bundle(30), tmp_path / file, lang, size=size)
    assert told in say(raised.value.faults[0], lang)
    assert list(tmp_path.iterdir()) == []


def test_a_finding_without_evidence_says_why(bundle, report, tmp_path):
    with pytest.raises(BadInputError) as raised:
        write_snapshot("T1", bundle, tmp_path / "a.svg", "en", report=report)
    assert "published_lag_days" in say(raised.value.faults[0], "en")


def test_a_finding_bears_its_outcome_and_hostile_words_stay_inert(bundle, tmp_path, report):
    hostile = paper_specimens.report(report.checklist, hostile="</script><script>alert(1)</script>")
    write_snapshot("R1", bundle, tmp_path / "a.html", "en", report=hostile)
    page = (tmp_path / "a.html").read_text("utf-8")
    assert len(re.findall("<script", page)) == 4
    assert "Factor identity: warn" in page


def test_an_explanation_that_never_came_is_still_a_figure(bundle, tmp_path):
    late = chart_specimens.nothing()
    empty = type(late)(**{**vars(late), "values": late.values[:0], "feature_names": (), "reason": None})
    write_snapshot("waterfall", bundle, tmp_path / "a.svg", "en", explanation=empty)
    assert "No explanation came within 800 ms" in shown((tmp_path / "a.svg").read_text("utf-8"))


def test_sizes_change_the_pixels_of_a_png(bundle, tmp_path):
    widths = []
    for size in ("blog", "slide"):
        write_snapshot("curve", bundle, tmp_path / "a.png", "en", size=size)
        widths.append(struct.unpack(">I", (tmp_path / "a.png").read_bytes()[16:20])[0])
    assert widths[1] == pytest.approx(1.5 * widths[0], abs=2)
