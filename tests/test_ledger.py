import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from workbench import ledger as module
from workbench.ledger import Ledger
from workbench.schema import BadInputError
from workbench.shipped import home
from workbench.text import say

ROOT = Path(__file__).parent.parent
OPEN = "import sys; from pathlib import Path; from workbench.ledger import Ledger; led = Ledger(Path(sys.argv[1]))\n"


def program(code, path, **more):
    """A process of its own that writes to the ledger at `path`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", OPEN + code, str(path)], env=environment, text=True, **more)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite")


def fill(ledger, count=5):
    for i in range(count):
        ledger.append("explanation", {"bundle": "b", "number": i})
    ledger.flush()


def forge(ledger, statement):
    database = sqlite3.connect(ledger.path)
    database.executescript(f"DROP TRIGGER IF EXISTS no_update; DROP TRIGGER IF EXISTS no_delete; {statement}")
    database.close()


def test_records_come_back_in_order_and_the_chain_holds(ledger):
    fill(ledger)
    ledger.append("audit", {"verdict": "pass"})
    ledger.flush()
    assert [r.body["number"] for r in ledger.records("explanation")] == [0, 1, 2, 3, 4]
    assert [r.kind for r in ledger.records(limit=2)] == ["explanation", "audit"]
    assert ledger.verify().holds()


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE records SET body = replace(body, '2', '9') WHERE id = 3", 3),
        ("UPDATE records SET written = '2020' WHERE id = 2", 2),
        ("DELETE FROM records WHERE id = 4", 5),
        ("UPDATE records SET kind = 'audit' WHERE id = 1", 1),
    ],
)
def test_whatever_was_touched_is_found(ledger, statement, first):
    fill(ledger)
    forge(ledger, statement)
    assert ledger.verify().broken == first


def test_records_cannot_be_changed_or_deleted(ledger):
    fill(ledger)
    database = sqlite3.connect(ledger.path)
    for statement in ("UPDATE records SET body = '{}'", "DELETE FROM records"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
    database.close()


def test_processes_that_begin_a_ledger_at_once_write_one_chain(ledger):
    code = "for i in range(20): led.append('explanation', {'i': i})\nsys.exit(led.flush() and 1)"
    writers = [program(code, ledger.path) for _ in range(3)]
    assert [w.wait() for w in writers] == [0] * 3
    assert len(ledger.records()) == 60
    assert ledger.verify().holds()


KILLING = """
import json, os, random, signal, time
rng, told = random.Random(7), {}
for _ in range(25):
    ours, theirs = os.pipe()
    writer = os.fork()
    if not writer:
        number = 0
        while True:
            for _ in range(3):
                number += 1
                led.append("explanation", {"by": os.getpid(), "number": number})
            assert led.flush() is None
            os.write(theirs, b"x")
    os.close(theirs)
    os.read(ours, 1)
    time.sleep(rng.random() / 20)
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    told[writer] = 3
    while more := os.read(ours, 1000):
        told[writer] += 3 * len(more)
    os.close(ours)
print(json.dumps(told))
"""


def test_twenty_five_kills_lose_nothing_that_was_flushed(ledger):
    process = program(KILLING, ledger.path, stdout=subprocess.PIPE)
    told = json.loads(process.communicate()[0])
    assert process.returncode == 0
    assert len(told) == 25
    kept = [(r.body["by"], r.body["number"]) for r in ledger.records()]
    for writer, count in told.items():
        mine = [number for by, number in kept if by == int(writer)]
        assert mine == list(range(1, len(mine) + 1))
        assert len(mine) >= count
    assert ledger.verify().holds()


def test_ctrl_c_loses_nothing(ledger):
    code = "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it\nfor i in range(300): led.append('explanation', {'i': i})\nprint('go', flush=True); time.sleep(60)"
    process = program(code, ledger.path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert len(ledger.records()) == 300
    assert ledger.verify().holds()


def test_a_full_disk_is_told_and_the_records_are_written_once_there_is_room(ledger, monkeypatch):
    fill(ledger, 1)
    opened = Ledger._open

    def full(self):
        database = opened(self)
        database.execute("PRAGMA max_page_count = 1")
        return database

    monkeypatch.setattr(Ledger, "_open", full)
    ledger.append("explanation", {"text": "x" * 100_000})
    why = ledger.flush()
    assert "the disk is full" in say(why)
    assert "1 record(s) wait in memory" in say(why)
    assert "磁盘已满" in say(why, "zh")
    ledger.append("explanation", {"number": 2})
    monkeypatch.undo()
    assert ledger.flush() is None
    assert ledger.failure is None
    assert [r.body.get("number") for r in ledger.records()] == [0, None, 2]
    assert ledger.verify().holds()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "ledger.sqlite")
    ledger.append("explanation", {})
    assert str(ledger.path) in say(ledger.flush())
    assert "cannot be written" in say(ledger.failure)


def test_a_read_only_ledger_is_told(ledger, monkeypatch):
    fill(ledger, 1)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(f"file:{path}?mode=ro", uri=True, **more))
    ledger.append("explanation", {})
    assert "may not be written to" in say(ledger.flush())


def test_what_waits_is_bounded_and_the_gap_is_on_record(ledger, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    with ledger._disk:
        for number in range(15):
            ledger.append("explanation", {"number": number})
    assert ledger.flush() is None
    kept = ledger.records()
    assert [r.body.get("number") for r in kept] == [*range(10), None]
    assert (kept[-1].kind, kept[-1].body) == ("gap", {"lost": 5})
    assert ledger.verify().holds()


def test_a_burst_is_few_transactions(ledger, monkeypatch):
    written, write = [], Ledger._write
    monkeypatch.setattr(
        Ledger, "_write", lambda self, batch, lost: (written.append(len(batch)), write(self, batch, lost))
    )
    with ledger._disk:
        for number in range(1200):
            ledger.append("explanation", {"number": number})
    ledger.flush()
    assert written == [500, 500, 200]
    assert [r.body["number"] for r in ledger.records()] == list(range(1200))


def test_what_is_no_json_is_kept_as_well_as_it_can_be(ledger):
    ledger.append(
        "explanation",
        {
            "ms": np.float64("nan"),
            "low": -np.inf,
            "path": Path("a"),
            "half": "a\ud800",
            "n": [np.float64(1.5), np.bool_(True)],
        },
    )
    assert ledger.flush() is None
    (record,) = ledger.records()
    assert record.body == {"ms": None, "low": None, "path": "a", "half": "a\ud800", "n": [1.5, True]}
    assert ledger.verify().holds()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 40, None])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "ledger.sqlite"
    if content:
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE bookmarks (url TEXT)")
        database.close()
    before, ledger = path.read_bytes(), Ledger(path)
    ledger.append("explanation", {})
    assert "not a ledger of the workbench" in say(ledger.flush())
    with pytest.raises(BadInputError) as refused:
        ledger.verify()
    assert "not a ledger" in refused.value.faults[0].spoken("en")
    assert path.read_bytes() == before


def test_a_damaged_ledger_is_told(ledger):
    fill(ledger, 200)
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInputError) as damaged:
        ledger.verify()
    assert "the file is damaged" in damaged.value.faults[0].spoken("en")


def test_an_end_that_was_cut_is_seen(ledger):
    fill(ledger)
    head = ledger.verify().head
    forge(ledger, "DELETE FROM records WHERE id > 3")
    assert ledger.verify().cut == 2
    assert not ledger.verify().holds()
    forge(ledger, "PRAGMA user_version = 3")
    assert ledger.verify().holds()
    assert not ledger.verify(head).holds(head)


def test_a_head_that_was_kept_is_found_again(ledger):
    fill(ledger)
    head = ledger.verify().head
    fill(ledger)
    assert ledger.verify(head).kept == 5
    assert ledger.verify(head).holds(head)


def test_a_ledger_of_an_earlier_version_is_taken_on(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE records ({module._COLUMNS})")
        bodies = ('{"bundle": "b", "elapsed_ms": 3.5}', '{"bundle": NaN}')
        digest = module._FIRST
        for number, body in enumerate(bodies, start=1):
            row = ("2026-01-02", "explanation", body)
            digest = module._digest(digest, *row)
            database.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?)", (number, *row, digest))
    database.close()
    ledger = Ledger(path)
    fill(ledger, 1)
    assert [r.body["elapsed_ms"] for r in ledger.records(bundle="b", limit=9) if "elapsed_ms" in r.body] == [3.5]
    assert ledger.verify().count == 3
    assert ledger.verify().holds()


def test_records_are_filtered(ledger):
    late = {"bundle": "late", "within_budget": False, "features": [], "method": "lime"}
    for body in ({"bundle": "b", "within_budget": True, "method": "shap"}, late):
        ledger.append("explanation", body)
    ledger.append("audit", {"bundle": "late"})
    ledger.flush()
    assert [r.id for r in ledger.records(over=True)] == [2]
    assert [r.id for r in ledger.records(bundle="late")] == [2, 3]
    assert [r.id for r in ledger.records("explanation", method="shap")] == [1]
    assert ledger.records(since="2999-01-01") == []


def test_reading_makes_no_file(ledger):
    assert ledger.records() == []
    assert ledger.verify().count == 0
    assert not ledger.path.parent.joinpath("ledger.sqlite").exists()


def test_appending_does_not_wait_for_the_disk(ledger):
    blocker = sqlite3.connect(ledger.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    before = time.monotonic()
    ledger.append("explanation", {})
    assert time.monotonic() - before < 1
    blocker.execute("ROLLBACK")
    blocker.close()
    ledger.flush()
    assert len(ledger.records()) == 1


def test_home_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("WORKBENCH_HOME")
    assert home().name == ".workbench"
