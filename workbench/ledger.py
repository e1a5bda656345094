"""The ledger: every explanation and audit, how long it took. SQLite in WAL mode, append-only, each record chained to the last."""

import hashlib
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_TABLE = """
CREATE TABLE IF NOT EXISTS records (
  id INTEGER PRIMARY KEY, written TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""
_FIRST = "0" * 64


def home() -> Path:
    """Where the workbench keeps what it remembers: $WORKBENCH_HOME, else ~/.workbench."""
    return Path(os.environ.get("WORKBENCH_HOME") or Path.home() / ".workbench")


@dataclass(frozen=True)
class Record:
    """One line of the ledger: `written` in UTC, `body` as it was appended."""

    id: int
    written: str
    kind: str
    body: dict[str, Any]


def _digest(previous: str, written: str, kind: str, body: str) -> str:
    return hashlib.sha256(f"{previous}\n{written}\n{kind}\n{body}".encode()).hexdigest()


class Ledger:
    """Appends in the background, so that a record never makes its explanation late; `flush` waits until all is on disk."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "ledger.sqlite"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(_TABLE)
        database.close()
        self._waiting: queue.Queue[tuple[str, str, str]] = queue.Queue()
        self._failure: Exception | None = None
        threading.Thread(target=self._write, daemon=True).start()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        return database

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        """Hand over a record. Raises the writer's error, should an earlier one not have reached the disk."""
        if self._failure is not None:
            raise self._failure
        written = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._waiting.put((written, kind, json.dumps(body, ensure_ascii=False, sort_keys=True)))

    def flush(self) -> None:
        """Wait until everything that was handed over is on disk. Raises the writer's error if it is not."""
        self._waiting.join()
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        database = self._open()
        while True:
            written, kind, body = self._waiting.get()
            try:
                # One writer at a time across processes: the chain must not fork.
                database.execute("BEGIN IMMEDIATE")
                last = database.execute("SELECT digest FROM records ORDER BY id DESC LIMIT 1").fetchone()
                digest = _digest(last[0] if last else _FIRST, written, kind, body)
                row = (written, kind, body, digest)
                database.execute("INSERT INTO records (written, kind, body, digest) VALUES (?, ?, ?, ?)", row)
                database.execute("COMMIT")
            except sqlite3.Error as error:
                self._failure = error
                if database.in_transaction:
                    database.execute("ROLLBACK")
            finally:
                self._waiting.task_done()

    def records(self, kind: str | None = None, limit: int | None = None) -> list[Record]:
        """The newest `limit` records, oldest first; all where no limit is given."""
        database = self._open()
        rows = database.execute(
            "SELECT id, written, kind, body FROM records WHERE ?1 IS NULL OR kind = ?1 ORDER BY id DESC LIMIT ?2",
            (kind, -1 if limit is None else limit),
        ).fetchall()
        database.close()
        return [Record(number, written, sort, json.loads(body)) for number, written, sort, body in reversed(rows)]

    def verify(self) -> int | None:
        """The id of the first record that was touched after it was written, or None if the chain holds."""
        database = self._open()
        rows = database.execute("SELECT id, written, kind, body, digest FROM records ORDER BY id").fetchall()
        database.close()
        previous = _FIRST
        for expected, (number, written, kind, body, digest) in enumerate(rows, start=1):
            if number != expected or digest != _digest(previous, written, kind, body):
                return int(number)
            previous = digest
        return None
