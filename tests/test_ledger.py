import sqlite3
import subprocess
import sys
import time

import pytest

from workbench.ledger import Ledger, home


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite")


def fill(ledger, count=5):
    for i in range(count):
        ledger.append("explanation", {"bundle": "b", "number": i})
    ledger.flush()


def forge(ledger, statement):
    database = sqlite3.connect(ledger.path)
    database.executescript(f"DROP TRIGGER no_update; DROP TRIGGER no_delete; {statement}")
    database.close()


def test_records_come_back_in_order_and_the_chain_holds(ledger):
    fill(ledger)
    ledger.append("audit", {"verdict": "pass"})
    ledger.flush()
    assert [r.body["number"] for r in ledger.records("explanation")] == [0, 1, 2, 3, 4]
    assert [r.kind for r in ledger.records(limit=2)] == ["explanation", "audit"]
    assert ledger.verify() is None


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
    assert ledger.verify() == first


def test_records_cannot_be_changed_or_deleted(ledger):
    fill(ledger)
    database = sqlite3.connect(ledger.path)
    for statement in ("UPDATE records SET body = '{}'", "DELETE FROM records"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
    database.close()


def test_two_processes_write_one_chain(ledger):
    code = (
        "import sys; from pathlib import Path; from workbench.ledger import Ledger; led = Ledger(Path(sys.argv[1]))\n"
    )
    code += "for i in range(20): led.append('explanation', {'i': i})\nled.flush()"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(ledger.path)]) for _ in range(2)]
    assert [w.wait() for w in writers] == [0, 0]
    assert len(ledger.records()) == 40
    assert ledger.verify() is None


def test_killing_the_writer_leaves_a_chain_that_holds(ledger):
    code = (
        "import sys; from pathlib import Path; from workbench.ledger import Ledger; led = Ledger(Path(sys.argv[1]))\n"
    )
    code += "i = 0\nwhile True: led.append('explanation', {'i': i}); led.flush(); i += 1; print(i, flush=True)"
    writer = subprocess.Popen([sys.executable, "-c", code, str(ledger.path)], stdout=subprocess.PIPE, text=True)
    acknowledged = 0
    while acknowledged < 25:
        acknowledged = int(writer.stdout.readline())
    writer.kill()
    acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    writer.wait()
    writer.stdout.close()
    assert len(ledger.records()) >= acknowledged
    assert ledger.verify() is None


def test_a_failing_disk_is_reported(ledger):
    fill(ledger, 1)
    forge(ledger, "DROP TABLE records")
    ledger.append("explanation", {})
    with pytest.raises(sqlite3.Error):
        ledger.flush()
    with pytest.raises(sqlite3.Error):
        ledger.append("explanation", {})


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
