"""The page of the promise: what it shows is what the ledger says, in both languages, wide and narrow."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from screen import SCREENS, keep, settle

from workbench.ledger import Ledger
from workbench.text import text

ROOT = Path(__file__).parent.parent.parent
BUNDLE = "us_rates_plus_tilt"
METHODS = {"tree_shap": (2.3, 0.4), "shap": (5.6, 0.5), "lime": (6.2, 0.25)}  # log-milliseconds: middle and spread


@pytest.fixture
def no_ledger(app_home):
    """The app without its ledger for the length of a test."""
    for file in app_home.glob("ledger.sqlite*"):
        file.rename(file.with_name(f"aside-{file.name}"))
    yield app_home / "ledger.sqlite"
    for file in app_home.glob("ledger.sqlite*"):
        file.unlink()
    for file in app_home.glob("aside-*"):
        file.rename(file.with_name(file.name.removeprefix("aside-")))


def made_up(rng, method):
    """An answer's record for the looks of the page only: nothing like it is ever shipped."""
    came = rng.random() > 0.002
    ms = rng.lognormvariate(*METHODS[method]) if came else 800.6
    stages = {"queue": 0.4, "load": 900.0, "compute": ms - 2 if came else 0.0, "return": 1.6 if came else ms - 0.4}
    return {
        "bundle": rng.choice(["us_rates_plus_tilt", "fixture_of_the_test"]),
        "model": "model_2022.txt",
        "method": method,
        "row": {"time": "2022-10-13", "entity": None},
        "elapsed_ms": ms,
        "budget_ms": 800.0,
        "within_budget": came and ms <= 800,
        "features": [{"name": "y10"}] if came else [],
        "stages_ms": stages,
        "reason": None if came else "the deadline of 800 ms passed before the model had answered; its worker was ended",
    }


@pytest.fixture
def full(no_ledger):
    rng = random.Random(11)
    ledger = Ledger(no_ledger)
    rows = [
        (f"2026-10-{day:02d}T02:{i % 60:02d}:00.000+00:00", "explanation", json.dumps(made_up(rng, method)))
        for day in range(1, 31)
        for i, method in enumerate(["tree_shap"] * 90 + ["shap"] * 25 + ["lime"] * 12)
    ]
    ledger._write(rows, 0)
    return ledger


def told(home, *words):
    """What the command line says of the ledger in `home`."""
    command = [sys.executable, "-m", "workbench.cli", *words, "--json", "-"]
    environment = os.environ | {"WORKBENCH_HOME": str(home)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


def visit(look, lang, scheme="light"):
    """The page as one comes to it: from another one, here one that asks for no explanation."""
    page = look(f"/?bundle=broken&lang={lang}", scheme)
    page.get_by_role("link", name=text("page.latency.name", lang)).click()
    page.wait_for_url(re.compile("/latency"))
    settle(page)
    return page


def metrics(page):
    cards = page.locator("[data-testid=stMetric]").all_inner_texts()
    return {lines[0]: lines[1:] for lines in (re.split(r"\n+", card) for card in cards)}


@pytest.mark.usefixtures("no_ledger")
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_without_any_record_the_page_says_so_and_leads_to_explain(look, lang):
    page = visit(look, lang)
    assert text("page.latency.empty", lang) in page.locator("[data-testid=stAlert]").inner_text()
    assert page.locator("[data-testid=stMetric]").count() == 0
    keep(page, f"latency-empty-{lang}")
    page.get_by_role("link", name=text("page.latency.open", lang)).click()
    page.wait_for_selector(f"text={text('page.faults.again', lang)}")


def test_real_answers_are_counted_and_the_late_one_is_listed(look, no_ledger):
    home = no_ledger.parent
    look(f"/?bundle={BUNDLE}&at=2022-10-13&lang=en").wait_for_selector("[data-testid=stVegaLiteChart] svg")
    late = told(home, "explain", BUNDLE, "--budget-ms", "1")
    page = visit(look, "en")
    page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    (method,) = told(home, "records", "--by", "method")
    shown = metrics(page)
    assert shown["Requests"][0] == str(method["count"]) == "2"
    assert shown["Over budget"][0] == str(method["over"]) == "1"
    assert shown["Kept their budget"][0] == "50%"
    assert shown["p50, ms"][0] == f"{method['p50']['ms']:,.0f}"
    assert shown["p99, ms"] == ["–", "too few requests"]
    assert late["reason"] in page.locator("[data-testid=stMain]").text_content()


@pytest.mark.parametrize(("lang", "scheme"), [("en", "light"), ("zh", "dark")])
def test_the_promise_is_shown(look, full, lang, scheme):
    page = visit(look, lang, scheme)
    page.wait_for_selector("[data-testid=stVegaLiteChart] svg")
    settle(page)
    by_method = told(full.path.parent, "records", "--by", "method")
    shown, requests = metrics(page), sum(one["count"] for one in by_method)
    assert shown[text("page.latency.requests", lang)] == [f"{requests:,}", text("page.latency.days", lang, count=30)]
    assert shown[text("page.latency.over", lang)][0] == str(sum(one["over"] for one in by_method))
    drawn = page.locator("[data-testid=stVegaLiteChart]").first.text_content()
    assert text("latency.chart.promise", lang, ms="800") in drawn
    keep(page, f"latency-{lang}-{scheme}")
    page.set_viewport_size({"width": 800, "height": 1400})
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    page.screenshot(path=SCREENS / f"latency-{lang}-{scheme}-800.png")


def test_one_method_alone(look, full):
    page = visit(look, "en")
    page.get_by_role("combobox", name="Method").click()
    page.get_by_role("option", name="LIME (local linear fit)").click()
    settle(page)
    (lime,) = [one for one in told(full.path.parent, "records", "--by", "method") if one["method"] == "lime"]
    page.wait_for_selector(f"text={lime['count']:,}")
    settle(page)
    assert metrics(page)["Requests"][0] == f"{lime['count']:,}"
    assert metrics(page)["p95, ms"][0] == f"{lime['p95']['ms']:,.0f}"
