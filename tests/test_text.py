import re
import string
import tomllib
from pathlib import Path

import pytest

from workbench import text as module
from workbench.schema import Fault, Message
from workbench.text import say, text, words

HALF_WIDTH_BESIDE_CHINESE = re.compile(r"[\u4e00-\u9fff][,;:?!()]|[,;:?!()][\u4e00-\u9fff]")


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_both_languages_take_the_same_values():
    assert not {key for key, entry in words().items() if fields(entry["en"]) != fields(entry["zh"])}


def test_chinese_is_set_with_chinese_punctuation():
    wrong = {key: entry["zh"] for key, entry in words().items() if HALF_WIDTH_BESIDE_CHINESE.search(entry["zh"])}
    assert not wrong


def test_checklists_are_set_with_chinese_punctuation():
    for file in Path("audits").rglob("*.toml"):
        for check, table in tomllib.loads(file.read_text("utf-8")).items():
            for name in ("title", "why", "remedy"):
                assert not HALF_WIDTH_BESIDE_CHINESE.search(table[name]["zh"]), (file, check, name)


def test_a_missing_language_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "room.toml").write_text('half = { en = "only one" }')
    monkeypatch.setattr(module, "WORDS", tmp_path)
    words.cache_clear()
    with pytest.raises(ValueError, match=r"room\.half"):
        words()
    monkeypatch.undo()
    words.cache_clear()


def test_values_may_bear_any_name_and_hold_any_braces():
    message = Message("desk.raised", {"file": "m{0}.py", "kind": "K", "text": "{boom!r}"})
    assert say(message) == "the model m{0}.py failed: K: {boom!r}"


def test_a_sentence_inside_a_sentence_is_said_in_the_same_language():
    inner = Message("outcome.fail")
    assert say(Message("desk.raised", {"file": inner, "kind": "", "text": ""}), "zh").startswith("模型 未通过")


def test_a_fault_says_where_it_stands():
    fault = Fault("desk.not_a_time", "panel.csv", "date", 7, {"at": "soon"})
    assert fault.spoken("en") == f"panel.csv, date, row 7: {text('desk.not_a_time', at='soon')}"
    assert "第 7 行" in fault.spoken("zh")
