"""The page of adoption: the break of a planted log, and the worked example where a bundle has no log, called what it is."""

import pytest
from screen import keep, settle
from test_adoption import log

from workbench.adoption import examine
from workbench.text import say, text

EVERY_LOOK = [("en", "light"), ("zh", "dark")]


def opened(look, bundle, lang, scheme):
    page = look(f"/?bundle={bundle}&lang={lang}", scheme)
    page.get_by_role("link", name=text("adoption.page.name", lang)).click()
    page.wait_for_selector(f"text={text('adoption.page.how', lang)}")
    page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    settle(page)
    return page


@pytest.mark.parametrize(("lang", "scheme"), EVERY_LOOK)
def test_a_break_is_shown(look, lang, scheme):
    page = opened(look, "logged", lang, scheme)
    shown = page.locator("[data-testid=stMain]").inner_text()
    assert say(examine(log(drop=0.63)).sentence, lang) in shown.replace("\u2060", "")
    assert page.locator("[data-testid=stVegaLiteChart] svg").count() == 2
    assert page.locator("[data-testid=stMetric]").count() == 4
    keep(page, f"adoption-{lang}-{scheme}")


@pytest.mark.parametrize(("lang", "scheme"), [("en", "light"), ("zh", "dark")])
def test_the_example_is_called_an_example(look, lang, scheme):
    page = opened(look, "us_rates_plus_tilt", lang, scheme)
    shown = page.locator("[data-testid=stMain]").inner_text().replace("\u2060", "")
    assert text("adoption.students", lang, rows=2455, units=118) in shown
    assert "800" not in page.locator("[data-testid=stVegaLiteChart]").first.inner_text()
    keep(page, f"adoption-example-{lang}-{scheme}")
