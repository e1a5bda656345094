"""The audit on paper: archivable and accessible, the same bytes, no word of a user read as markup, no character lost unseen."""

import io
import re
import xml.etree.ElementTree as ET

import chart_specimens
import paper_specimens
import pikepdf
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st

from workbench import report
from workbench.checklist import load_checklist
from workbench.fonts import FOLDER, MISSING, characters, printable
from workbench.schema import Outcome

HOSTILE = " </script>🚀 #evil[x] $y$ \x00 @ref // * _ ` \\ \u202e\u2028" + "x" * 200
TITLE = {"en": "US rates plus tilt", "zh": "美债利率加权益增强"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return paper_specimens.checklist(tmp_path_factory.mktemp("lists"))


@pytest.fixture(scope="module", params=["en", "zh"])
def paper(request, place):
    bundle = chart_specimens.bundle(120, title=TITLE)
    made = report.pdf(paper_specimens.report(place), bundle, request.param)
    with pikepdf.open(io.BytesIO(made)) as opened:
        yield opened, request.param, made


@pytest.fixture(scope="module", params=["en", "zh"])
def sheet(request, place, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sheet")
    given = paper_specimens.report(place, hostile=HOSTILE)
    return report.content(given, chart_specimens.bundle(120, title=TITLE), request.param, folder), folder


def strings(value):
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [s for part in parts for s in strings(part)]


def test_claims_pdf_a_2a_and_pdf_ua_1(paper):
    metadata = paper[0].open_metadata()
    assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("2", "A")
    assert metadata["pdfuaid:part"] == "1"


def test_is_tagged_and_names_its_language_and_title(paper):
    pdf, lang, _ = paper
    assert pdf.Root.MarkInfo.Marked
    assert "/StructTreeRoot" in pdf.Root
    assert str(pdf.Root.Lang).startswith(lang)
    assert pdf.Root.ViewerPreferences.DisplayDocTitle
    assert TITLE[lang] in pdf.open_metadata()["dc:title"]


def tags(element, found):
    if isinstance(element, pikepdf.Array):
        for child in element:
            tags(child, found)
    elif isinstance(element, pikepdf.Dictionary) and "/S" in element:
        found.append(element)
        tags(element.get("/K", pikepdf.Array()), found)
    return found


def test_every_figure_has_alt_text_and_every_table_a_header_row(paper):
    found = tags(paper[0].Root.StructTreeRoot.K, [])
    figures = [e for e in found if e.S == "/Figure"]
    assert len(figures) == 3
    assert all(len(str(e.Alt)) > 20 for e in figures)
    tables = [e for e in found if e.S == "/Table"]
    assert len(tables) >= 3
    assert all(any(e.S == "/TH" for e in tags(table, [])) for table in tables)
    assert [e for e in found if e.S == "/H1"]


def test_embeds_its_own_fonts_and_no_other(paper):
    fonts = [o for o in paper[0].objects if isinstance(o, pikepdf.Dictionary) and o.get("/Type") == "/FontDescriptor"]
    assert fonts
    for font in fonts:
        assert "WorkbenchSansSC" in str(font.FontName)
        assert "/FontFile2" in font


def test_no_outside_address_and_no_script(paper):
    pdf, _, _ = paper
    raw = b"".join(o.unparse() for o in pdf.objects if isinstance(o, pikepdf.Dictionary))
    assert not re.search(rb"/(JavaScript|JS|Launch|URI|EmbeddedFile)\b", raw)


def test_same_report_same_bytes(place, paper):
    again = report.pdf(paper_specimens.report(place), chart_specimens.bundle(120, title=TITLE), paper[1])
    assert again == paper[2]


def test_creation_date_is_the_audit_s(paper):
    assert str(paper[0].docinfo["/CreationDate"]).startswith("D:20260301093000")


def test_hostile_words_are_printed_and_never_fail_the_build(place, tmp_path):
    for lang in ("en", "zh"):
        bundle = chart_specimens.bundle(60, title={"en": HOSTILE, "zh": HOSTILE}, figures=None)
        report.write_pdf(paper_specimens.report(place, hostile=HOSTILE), bundle, tmp_path / f"{lang}.pdf", lang)
        assert (tmp_path / f"{lang}.pdf").read_bytes().startswith(b"%PDF-1.7")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["en.pdf", "zh.pdf"]


def test_without_returns_the_paper_still_comes(place):
    assert report.pdf(paper_specimens.report(place), chart_specimens.bundle(60, returns=False), "zh").startswith(
        b"%PDF"
    )


def test_every_character_of_the_sheet_is_in_the_font(sheet):
    content, folder = sheet
    known = characters()
    assert all(c in known or c == "\n" for s in strings(content) for c in s)
    drawn = [ET.fromstring(f.read_text("utf-8")) for f in folder.glob("*.svg")]  # noqa: S314
    assert len(drawn) == 3
    assert all(c in known for svg in drawn for e in svg.iter() for c in e.text or "")


def test_what_is_replaced_is_named(sheet):
    content, _ = sheet
    assert "U+1F680" in content["boxed"]
    assert "U+0000" in content["boxed"]
    assert any(f"</script>{MISSING} #evil[x] $y$ {MISSING}" in s for s in strings(content["patterns"]))


def test_clean_report_has_no_such_note(place, tmp_path):
    content = report.content(paper_specimens.report(place), chart_specimens.bundle(60), "en", tmp_path)
    assert content["boxed"] == ""


@given(st.text())
def test_printable_keeps_length_and_leaves_only_the_font_s_characters(words):
    shown = printable(words)
    assert len(shown) == len(words)
    assert all(c in characters() or c == "\n" for c in shown)
    assert all(b == a or a not in characters() for a, b in zip(words, shown, strict=True))


def test_characters_are_those_of_both_font_files():
    for weight in ("Regular", "Bold"):
        assert characters() <= {chr(c) for c in TTFont(FOLDER / f"WorkbenchSansSC-{weight}.ttf").getBestCmap()}
    assert MISSING in characters()


@pytest.mark.parametrize(("lang", "never"), [("en", "never counts as passed"), ("zh", "一律不视为通过")])
def test_says_why_and_that_not_run_is_no_pass(place, tmp_path, lang, never):
    content = report.content(paper_specimens.report(place), chart_specimens.bundle(60), lang, tmp_path)
    said = " ".join(content["verdict_why"])
    assert never in said
    for code in ("T3", "V2", "R1", "V3", "T1"):
        assert code in said
    assert "R4" not in said
    assert [(c["key"], c["n"]) for c in content["counts"]] == [(o.value, 1) for o in Outcome]


def test_holds_every_finding_once_with_lines_and_both_p_values(place, tmp_path):
    content = report.content(paper_specimens.report(place), chart_specimens.bundle(60), "en", tmp_path)
    findings = [f for pattern in content["patterns"] for f in pattern["findings"]]
    assert sorted(f["code"] for f in findings) == sorted(c.code for c in load_checklist(place))
    factor = next(f for f in findings if f["code"] == "R1")
    assert factor["outcome"] == {"key": "warn", "word": "warn (unadjusted: fail)"}
    assert (factor["value"], factor["warn"], factor["fail"]) == ("0.31", "0.15", "0.15")
    assert (factor["p"], factor["p_adjusted"]) == ("0.004", "0.02")
    assert "0.05 (warn) or 0.01 (fail)" in factor["lines"]
    leak = next(f for f in findings if f["code"] == "T3")
    assert leak["value"] == "19%"
    assert leak["source"].endswith("[set from measurements on synthetic data]")
    assert leak["maps_to"] == ["SR 26-2: development", "JR/T 0221-2021: 6.4"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_claims_no_compliance(place, tmp_path, lang):
    content = report.content(paper_specimens.report(place), chart_specimens.bundle(60), lang, tmp_path)
    said = " ".join(strings(content))
    assert "complies with" not in said
    assert ("Maps to" if lang == "en" else "对应条款") in said


def test_a_complaint_of_typst_is_an_error(place, tmp_path, monkeypatch):
    bad = tmp_path / "fixed_income_plus"
    bad.mkdir()
    (bad / "report.typ").write_text('#set text(font: "No Such Font")\nwords', "utf-8")
    monkeypatch.setattr(report, "shipped", lambda _: tmp_path)
    with pytest.raises(report.PaperError):
        report.pdf(paper_specimens.report(place), chart_specimens.bundle(30), "en")
