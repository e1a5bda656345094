"""Paths, users and named people are hidden; what only looks like them stays."""

import pytest
from chart_specimens import bundle
from hypothesis import given
from hypothesis import strategies as st

from workbench import redact as room
from workbench.manifest import GovernanceSection
from workbench.redact import HIDDEN, people, redact


@pytest.mark.parametrize(
    "path",
    [
        "/home/lihua/models/m.txt",
        "/Users/li.hua/Desktop/净值.xlsx",
        "~/book/returns.csv",
        "C:\\Users\\lihua\\model.txt",
        "D:/models/model.txt",
        "\\\\server\\share\\book.csv",
        "file:///srv/data/x.csv",
        "/srv/资管部/张三/模型.txt",
    ],
)
def test_local_paths_are_hidden(path):
    assert redact(f"read {path}, row 3") == f"read {HIDDEN}, row 3"
    assert redact(f"见{path}，第三行") == f"见{HIDDEN}，第三行" or not path.isascii()
    assert redact(f'"{path}"') == f'"{HIDDEN}"'


@pytest.mark.parametrize(
    "kept",
    [
        "2022-10-13",
        "P/E and 2s/10s",
        "1/2",
        "JR/T 0221-2021: 6.4",
        "https://example.org/a/b",
        "净值/回撤",
        "a: b",
        "AA/BBB",
    ],
)
def test_what_is_no_path_stays(kept):
    assert redact(kept) == kept


def test_names_are_hidden_whole_and_whatever_the_case():
    assert (
        redact("LI signed; liquidity stays; Li Hua too", ["Li", "Li Hua"])
        == f"{HIDDEN} signed; liquidity stays; {HIDDEN} too"
    )
    assert redact("由张三审批", ["张三"]) == f"由{HIDDEN}审批"
    assert redact("a.b*c", ["a.b"]) == f"{HIDDEN}*c"
    assert redact("axb", ["a.b"]) == "axb"


def test_the_user_of_this_machine_is_hidden(monkeypatch):
    monkeypatch.setattr(room.getpass, "getuser", lambda: "lihua7")
    assert redact("made by lihua7") == f"made by {HIDDEN}"
    monkeypatch.setattr(room.getpass, "getuser", lambda: "root")
    monkeypatch.setattr(room.Path, "home", classmethod(lambda cls: cls("/root")))
    assert redact("the root of x²") == "the root of x²"


def test_mappings_and_lists_are_gone_through():
    hidden = redact({"by": ["Li Hua", 3, None], "at": ("/tmp/a/b",)}, ["li hua"])  # noqa: S108
    assert hidden == {"by": [HIDDEN, 3, None], "at": (HIDDEN,)}


def test_people_are_those_of_governance():
    one = bundle(30)
    assert people(one) == ()
    section = GovernanceSection(author="李华", approver="Ann")
    governed = one.manifest.model_copy(update={"governance": section})
    assert people(type(one)(**{**vars(one), "manifest": governed})) == ("李华", "Ann")


@given(st.text(), st.lists(st.text(min_size=1), max_size=4))
def test_nothing_denied_is_left(words, denied):
    shown = redact(words, denied)
    for name in denied:
        whole = name.strip()
        if len(whole) > 0 and not whole.isascii() and HIDDEN[0] not in whole:
            assert whole not in shown


@given(st.text(), st.lists(st.text(), max_size=4))
def test_hiding_twice_changes_nothing(words, denied):
    once = redact(words, [d for d in denied if HIDDEN[0] not in d])
    assert redact(once, [d for d in denied if HIDDEN[0] not in d]) == once
