"""`workbench records`: filters, groups, verification, and what it says where the ledger is none."""

import json

import pytest
from builders import make_bundle

from workbench.ledger import Ledger


@pytest.fixture
def ledger():
    """The home's ledger: an answer in time, one late in the queue, an audit."""
    made = Ledger()
    answer = {"bundle": "b", "method": "shap", "model": "m.txt", "budget_ms": 800.0, "features": [{"name": "a"}]}
    stages = {"queue": 1.0, "compute": 4.0, "load": 9000.0}
    made.append("explanation", answer | {"elapsed_ms": 5.0, "within_budget": True, "stages_ms": stages})
    late = {"elapsed_ms": 900.0, "within_budget": False, "stages_ms": stages | {"queue": 895.0}}
    made.append("explanation", answer | late | {"bundle": "c"})
    made.append("audit", {"bundle": "b", "verdict": "pass", "elapsed_ms": 4000.0})
    assert made.flush() is None
    return made


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ((), [1, 2, 3]),
        (("--kind", "audit"), [3]),
        (("--bundle", "b"), [1, 3]),
        (("--over",), [2]),
        (("--since", "2999-01-01"), []),
        (("--limit", 1), [3]),
    ],
)
def test_filters(run, words, ids):
    status, out, _ = run("records", *words, "--json", "-")
    assert status == 0
    assert [line["id"] for line in json.loads(out)] == ids


@pytest.mark.usefixtures("ledger")
def test_an_answer_over_budget_bears_its_stage(run):
    assert [line["late_stage"] for line in json.loads(run("records", "--json", "-")[1])] == [None, "queue", None]
    (late,) = [line for line in run("records")[1].splitlines() if "over budget" in line]
    assert late.rstrip().endswith("waiting 895 ms")
    assert "排队 895 毫秒" in run("records", "--over", "--lang", "zh")[1]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(("by", "groups"), [("model", 2), ("method", 1), ("day", 1)])
def test_percentiles_by(run, by, groups):
    status, out, err = run("records", "--by", by)
    assert status == 0
    assert len(out.splitlines()) == 1 + groups
    assert "nearest rank" in err
    told = json.loads(run("records", "--by", by, "--json", "-")[1])
    assert sum(one["count"] for one in told) == 2
    assert {"p50", "p95", "p99", "over_budget", "by_800_ms", "unanswered"} <= set(told[0])


@pytest.mark.usefixtures("ledger")
def test_what_does_not_go_together_is_bad_input(run):
    assert run("records", "--by", "day", "--over")[0] == 2
    assert run("records", "--since", "soon")[0] == 2


@pytest.mark.usefixtures("ledger")
def test_no_record_fits(run):
    status, out, err = run("records", "--bundle", "nobody")
    assert (status, out) == (0, "")
    assert "no such record" in err


def test_the_head_is_printed_and_found_again(run, ledger):
    head = ledger.verify().head
    status, out, _ = run("records", "--verify")
    assert (status, head in out) == (0, True)
    assert run("records", "--digest", head)[0] == 0
    assert run("records", "--digest", "0" * 64)[0] == 1
    told = json.loads(run("records", "--verify", "--json", "-")[1])
    assert told == {"count": 3, "head": head, "broken": None, "cut": 0, "kept": None, "holds": True}


def test_a_foreign_file_is_a_sentence(run, ledger):
    ledger.path.write_text("my own notes\n" * 100)
    for words in (("records",), ("records", "--verify"), ("records", "--by", "day")):
        status, _, err = run(*words)
        assert status == 2
        assert "not a ledger of the workbench" in err


def test_an_explanation_is_given_where_the_ledger_cannot_be_written(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file"))
    status, out, err = run("explain", make_bundle(tmp_path / "bundle"))
    assert status == 0
    assert "prediction" in out
    assert "cannot be written" in err
