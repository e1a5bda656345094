import re

import pytest
from pydantic import ValidationError

from workbench.audit import find_measure
from workbench.checklist import Check, load_checklist
from workbench.schema import BadInputError
from workbench.shipped import shipped
from workbench.text import LANGUAGES, words

CHECKS = load_checklist()
WORDS = {"en": "a", "zh": "一"}
SOURCE = (shipped("audits") / "fixed_income_plus" / "explanation_integrity.toml").read_text("utf-8")
TWICE = SOURCE.replace('"X2"', '"X1"')
TABLE = {
    "name": "additivity",
    "family": "explanation_integrity",
    "code": "X2",
    "severity": "major",
    "pattern": "support",
    "unit": "sd",
    "warn_above": 1.0,
    "fail_above": 2.0,
    "source": {"en": "here", "zh": "此处"},
    "mark": "D",
    "title": WORDS,
    "why": WORDS,
    "remedy": WORDS,
}


def make_check(**changes):
    return Check.model_validate({k: v for k, v in (TABLE | changes).items() if v is not None})


def test_the_order_is_that_of_the_codes():
    order = [("TRVXBG".index(c.code[0]), int(c.code[1:])) for c in CHECKS]
    assert order == sorted(order)
    assert len({c.code for c in CHECKS}) == len(CHECKS) > 0


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.code)
def test_every_check_has_its_measure(check):
    assert find_measure(check).__doc__


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.code)
def test_the_words_of_reasons_units_and_patterns_exist(check):
    keys = [f"audit.unit.{check.unit}", f"audit.pattern.{check.pattern}", f"audit.definition.{check.pattern}"]
    keys += [f"audit.severity.{check.severity}", f"audit.mark.{check.mark}"]
    keys += [f"audit.also_warn.{fact}" for fact in check.also_warn]
    assert not [key for key in keys if key not in words()]


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.code)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_words_are_whole_sentences_in_their_language(check, lang):
    for sentence in (check.why, check.remedy):
        said = getattr(sentence, lang)
        assert said.endswith((".", "?", "。", "？"))
        assert bool(re.search(r"[一-鿿]", said)) == (lang == "zh")
    for word in (check.title, *check.words.values()):
        assert getattr(word, lang).strip()


def test_headline_checks_belong_to_a_pattern():
    assert all(check.pattern != "support" for check in CHECKS if check.headline)


def test_what_is_recalled_and_not_verified_is_not_printed():
    assert all(check.mark in "VMD" for check in CHECKS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"warn_abov": 1},
        {"code": "Z1"},
        {"title": {"en": "a"}},
        {"warn_above": None},
        {"warn_below": 1.0, "fail_below": 0.0},
        {"warn_above": 3.0},
        {"fail_p": 0.01},
        {"warn_p": 0.01, "fail_p": 0.05},
        {"severity": "grave"},
    ],
)
def test_a_wrong_table_is_refused(wrong):
    with pytest.raises(ValidationError):
        make_check(**wrong)


def test_lines_from_below():
    check = make_check(warn_above=None, fail_above=None, warn_below=0.8, fail_below=0.5)
    assert (check.warn, check.fail) == (0.8, 0.5)
    assert check.beyond(0.4, check.fail)
    assert not check.beyond(0.5, check.fail)


def test_another_folder_of_checks(tmp_path):
    source = (shipped("audits") / "fixed_income_plus" / "explanation_integrity.toml").read_text("utf-8")
    (tmp_path / "explanation_integrity.toml").write_text(
        source.replace("fail_above = 1e-3", "fail_above = 1e-2"), "utf-8"
    )
    assert {c.code: c.fail for c in load_checklist(tmp_path)}["X2"] == 1e-2


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ("latency = 3", [("audit.bad_check", "latency")]),
        ("[latency", [("audit.no_toml", None)]),
        (TWICE, [("audit.code_twice", "latency"), ("audit.code_twice", "additivity")]),
        (
            f"[latency]\nfamily = 'os'\n{TWICE.split(']', 1)[1]}",
            [("audit.bad_check", "latency.family (set by the file)")],
        ),
        (
            TWICE.replace("warn_above = 0.8", "warn_abov = 0.8").replace('"X2"', '"X3"'),
            [("audit.bad_check", "latency.warn_abov")],
        ),
    ],
)
def test_a_wrong_folder_says_where(tmp_path, content, faults):
    (tmp_path / "explanation_integrity.toml").write_text(content, "utf-8")
    with pytest.raises(BadInputError) as raised:
        load_checklist(tmp_path)
    found = [(fault.key, fault.place) for fault in raised.value.faults]
    assert [fault for fault in faults if fault not in found] == []
    assert all(fault.spoken(lang) for fault in raised.value.faults for lang in LANGUAGES)


@pytest.mark.parametrize("name", ["fixed_incom_plus", "..", "/"])
def test_an_unknown_checklist_names_the_shipped_ones(name):
    with pytest.raises(BadInputError) as raised:
        load_checklist(name)
    assert "fixed_income_plus" in raised.value.faults[0].spoken()
