"""The page of the whole panel: all rows, with error bars, in the background; what a bundle calls its features stays words."""

import pytest
from screen import HOSTILE, keep, settle

from workbench.text import text

TITLED = "title => document.querySelector('[data-testid=stMain]').textContent.includes(title)"
EVERY_LOOK = [("en", "light"), ("zh", "dark")]


def opened(look, bundle, lang, scheme):
    page = look(f"/?bundle={bundle}&lang={lang}", scheme)
    page.get_by_role("link", name=text("importance.page.name", lang)).click()
    page.wait_for_selector(f"text={text('importance.page.how', lang)}")
    page.wait_for_function("document.querySelectorAll('[data-testid=stVegaLiteChart] svg').length === 8")
    settle(page)
    return page


def shown(page):
    return page.locator("[data-testid=stMain]").inner_text().replace("\u2060", "")


@pytest.mark.parametrize(("lang", "scheme"), EVERY_LOOK)
def test_importance_is_of_all_rows(look, lang, scheme):
    page = opened(look, "us_rates_plus_tilt", lang, scheme)
    counted = {"rows": "5,439", "of": "5,439"}
    assert text("importance.rows", lang, **counted, trained="1,477") in shown(page)
    first = page.locator("[data-testid=stVegaLiteChart]").first.inner_text()
    assert text("importance.chart.rows", lang, **counted) in first
    assert text("importance.chart.importance", lang, **counted) in first
    keep(page, f"importance-{lang}-{scheme}")


def test_another_feature_is_drawn_when_it_is_chosen(look):
    page = opened(look, "us_rates_plus_tilt", "en", "light")
    box = page.get_by_label(text("importance.page.dependence", "en"))
    box.click()
    box.press_sequentially("funding")
    box.press("Enter")
    page.wait_for_function(TITLED, arg="Contribution against value: Financial stress: funding", timeout=60_000)


def test_foreign_words_stay_words(look):
    page = opened(look, "hostile", "en", "light")
    assert HOSTILE[:20] in shown(page)
    assert page.locator("[data-testid=stMain] img[src=x]").count() == 0
