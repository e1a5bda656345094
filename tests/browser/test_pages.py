"""Both pages as a person sees them: what they show is what the command line says, in both languages, by day and by night."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from screen import HOSTILE, keep, settle

from workbench.charts import theme
from workbench.text import text

ROOT = Path(__file__).parent.parent.parent
BUNDLE, DAY = "us_rates_plus_tilt", "2022-10-13"
AUDITED = "equity_in_a_bond_coat"
EVERY_LOOK = [("en", "light"), ("zh", "dark")]
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(14, 17, 23)"}


def told(*words: str) -> dict:
    """What the command line says, in its machine form."""
    command = [sys.executable, "-m", "workbench.cli", *words, "--json", "-"]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout)


@pytest.fixture(scope="session")
def explanation():
    return told("explain", BUNDLE, "--at", DAY)


def metrics(page) -> dict[str, str]:
    cards = page.locator("[data-testid=stMetric]").all_inner_texts()
    return dict(re.split(r"\n+", card, maxsplit=1) for card in cards)


def table(page) -> list[list[str]]:
    """The rows of the page's table that are in sight, as a screen reader gets them."""
    page.wait_for_selector("[data-testid=stDataFrame] td", state="attached")
    lines = page.locator("[data-testid=stDataFrame] tr").filter(has=page.locator("td")).all()
    return [line.locator("td").all_inner_texts() for line in lines]


@pytest.mark.parametrize(("lang", "scheme"), EVERY_LOOK)
def test_a_decision_is_explained(look, explanation, lang, scheme):
    page = look(f"/?bundle={BUNDLE}&at={DAY}&lang={lang}", scheme)
    page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    page.wait_for_selector("[data-testid=stCode]")
    settle(page)
    shown, finest = metrics(page), max(abs(f["contribution"]) for f in explanation["features"])
    for key, name in (("chart.output.return", "prediction"), ("page.explain.base", "base_value")):
        assert shown[text(key, lang)] == theme.amount(explanation[name], "return", step=finest)
    assert shown[text("page.explain.kind", lang)] == text("page.explain.exact", lang)
    assert shown[text("page.explain.model", lang)] == "model_2022.txt"
    rows = table(page)
    largest = sorted(explanation["features"], key=lambda f: -abs(f["contribution"]))
    for row, feature in zip(rows, largest, strict=False):
        assert row[-1] == feature["name"]
        assert float(row[1]) == pytest.approx(feature["value"], rel=1e-5)
        assert float(row[3]) == pytest.approx(100 * feature["contribution"], rel=1e-9)
        assert row[4] == text(f"family.{feature['family']}", lang)
    assert len(rows) > 5
    told_words = page.locator("[data-testid=stAlert]").all_inner_texts()
    assert len(told_words) == len(explanation["warnings"])
    assert explanation["model_sha256"] in page.locator("[data-testid=stCode]").text_content()
    colour = page.locator("[data-testid=stApp]").evaluate("e => getComputedStyle(e).backgroundColor")
    assert colour == BACKGROUNDS[scheme]
    keep(page, f"explain-{lang}-{scheme}")


@pytest.mark.parametrize(("method", "kinds"), [("shap", ("sampled", "cut")), ("lime", ("fitted", "cut"))])
def test_a_sampled_answer_comes_early_and_is_refined_to_its_end(look, method, kinds):
    page = look(f"/?bundle={BUNDLE}&at={DAY}&lang=en")
    page.locator(".st-key-method input").click()
    page.get_by_role("option", name=text(f"chart.method.{method}", "en")).click()
    page.wait_for_function(
        f"document.querySelector('[data-testid=stCode]')?.textContent.includes('{method} (asked: {method})')"
    )
    settle(page)
    shown = metrics(page)
    assert shown[text("page.explain.kind", "en")] in {text(f"page.explain.{kind}", "en") for kind in kinds}
    told_words = page.locator("[data-testid=stCode]").text_content()
    assert re.search(r"samples +\d{2,}", told_words)
    assert re.search(r"background +\d{3,} / \d{3,}, 20", told_words)
    assert "Refining" not in page.locator("[data-testid=stMain]").inner_text()
    keep(page, f"explain-{method}-en")


def test_the_chart_says_the_same_as_the_figures(look, explanation):
    page = look(f"/?bundle={BUNDLE}&at={DAY}&lang=en")
    page.wait_for_selector("[data-testid=stVegaLiteChart] svg text")
    drawn = page.locator("[data-testid=stVegaLiteChart]").first.text_content()
    finest = max(abs(f["contribution"]) for f in explanation["features"])
    largest = max(explanation["features"], key=lambda f: abs(f["contribution"]))
    for value, signed in ((explanation["prediction"], False), (largest["contribution"], True)):
        assert theme.amount(value, "return", signed=signed, step=finest) in drawn


def test_one_decision_back_is_another_decision(look):
    page = look(f"/?bundle={BUNDLE}&at={DAY}&lang=en")
    page.locator(".st-key-left button").first.click()
    page.wait_for_url(re.compile("at=2022-10-12"))
    settle(page)
    earlier = told("explain", BUNDLE, "--at", "2022-10-12")
    finest = max(abs(f["contribution"]) for f in earlier["features"])
    assert metrics(page)["Predicted return"] == theme.amount(earlier["prediction"], "return", step=finest)


def test_the_language_is_changed_on_the_page_and_kept_on_the_other(look):
    page = look(f"/?bundle={BUNDLE}&at={DAY}&lang=en")
    page.get_by_role("radio", name="中文").click()
    page.wait_for_url(re.compile("lang=zh"))
    page.get_by_role("link", name=text("page.audit.name", "zh")).click()
    page.wait_for_url(re.compile("/audit"))
    page.wait_for_selector(f"text={text('page.bundle', 'zh')}")


@pytest.fixture(scope="session")
def report():
    return told("audit", AUDITED)


@pytest.mark.parametrize(("lang", "scheme"), EVERY_LOOK)
def test_an_audit_is_shown(look, report, lang, scheme):
    page = look(f"/?bundle={AUDITED}&lang={lang}", scheme)
    page.get_by_role("link", name=text("page.audit.name", lang)).click()
    page.wait_for_selector(f"text={text('page.audit.pdf', lang)}")
    settle(page)
    assert text(f"outcome.{report['verdict']}", lang) in page.locator("h1").last.inner_text()
    labels = page.locator("[data-testid=stExpander] summary").all_inner_texts()
    for finding in report["findings"]:
        (label,) = [one for one in labels if re.search(rf"\b{finding['code']}\b", one)]
        if not finding["timed"]:
            assert text(f"outcome.{finding['adjusted_outcome']}", lang) in label
            assert f"{theme.digits(finding['value'], 3)}" in label or "%" in label
    counted = {text(f"outcome.{name}", lang): str(n) for name, n in report["counts"].items()}
    assert set(metrics(page)) == set(counted)
    assert page.locator("[data-testid=stVegaLiteChart] svg").count() > 0
    keep(page, f"audit-{lang}-{scheme}")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_report_comes_on_paper(look, lang):
    page = look(f"/?bundle={AUDITED}&lang=en")
    page.get_by_role("link", name="Audit").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=text("page.audit.pdf", lang)).click()
    assert waiting.value.suggested_filename == f"{AUDITED}.{lang}.pdf"
    assert Path(waiting.value.path()).read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_bad_bundle_shows_its_faults_and_the_app_goes_on(look, broken_bundle, lang):
    page = look(f"/?bundle=broken&lang={lang}")
    faults = told("validate", str(broken_bundle), "--lang", lang)["faults"]
    shown = page.locator("[data-testid=stMain]").inner_text()
    assert text("page.faults.title", lang, count=len(faults)) in shown
    keep(page, f"faults-{lang}")
    page.get_by_role("combobox", name=text("page.bundle", lang)).click()
    page.get_by_role("option", name=BUNDLE).click()
    page.wait_for_selector("[data-testid=stVegaLiteChart]")


def test_words_of_a_bundle_are_never_markup(look):
    page = look("/?bundle=hostile&lang=en")
    page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    assert page.locator("h1").first.inner_text().replace("\u2060", "") == HOSTILE
    assert page.locator("[data-testid=stMain] img, [data-testid=stMain] a[href]:not([href^='#'])").count() == 0
    keep(page, "hostile")


@pytest.mark.parametrize(
    "query", ["bundle=../../etc", "bundle=%2Fetc%2Fpasswd&lang=../en", "lang=xx&at=nonsense", "at=1066-10-14"]
)
def test_what_the_address_asks_for_is_looked_up(look, query):
    page = look(f"/?{query}")
    page.wait_for_selector(
        "[data-testid=stMain] [data-testid=stVegaLiteChart], [data-testid=stMain] [data-testid=stAlert]"
    )
    assert "Traceback" not in page.content()
    assert "/etc" not in page.locator("[data-testid=stMain]").inner_text()
