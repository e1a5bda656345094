"""The ledger: every explanation and audit, how long it took. SQLite in WAL mode, append-only, each record chained to the last."""

import hashlib
import json
import math
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from workbench.schema import BadInputError, Fault, Message
from workbench.shipped import home

_COLUMNS = "id INTEGER PRIMARY KEY, written TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL"
_TABLE = (
    f"CREATE TABLE IF NOT EXISTS records ({_COLUMNS})",
    "CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END",
)
# What statistics ask for. The columns are computed from the body, so they cannot say anything else than the chained record does,
# and stand in an index, so that a body need not be read again. Older records name no model file.
_COMPUTED = {
    "bundle": "json_extract(body, '$.bundle')",
    "method": "json_extract(body, '$.method')",
    "model": "coalesce(json_extract(body, '$.model'), substr(json_extract(body, '$.model_sha256'), 1, 12))",
    "elapsed_ms": "json_extract(body, '$.elapsed_ms')",
    "budget_ms": "json_extract(body, '$.budget_ms')",
    "within_budget": "coalesce(json_extract(body, '$.within_budget'), 0)",
    "answered": "coalesce(json_array_length(body, '$.features'), 0) > 0",
}
_INDEX = f"CREATE INDEX IF NOT EXISTS timings ON records (kind, written, {', '.join(_COMPUTED)})"
_INSERT = "INSERT INTO records (id, written, kind, body, digest) VALUES (?, ?, ?, ?, ?)"
_FIRST = "0" * 64
BATCH = 500
# A record of 30 features is about 4 kB, so what waits for a disk that is gone stays under about 40 MB.
MOST_WAITING = 10_000
BUSY_S = 30
_WHY = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_CANTOPEN: "no_place",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "foreign",
}
_Row = tuple[str, str, str]
Database = sqlite3.Connection


@dataclass(frozen=True)
class Record:
    """One line of the ledger: `written` in UTC, `body` as it was appended."""

    id: int
    written: str
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Chain:
    """What verification found.

    `broken` is the first record that was touched after it was written; `cut` counts records known to be missing at the end;
    `head` is the last digest, against which a later verification sees any cut; `kept` is the record whose digest was asked for.
    """

    count: int
    head: str
    broken: int | None
    cut: int
    kept: int | None

    def holds(self, digest: str | None = None) -> bool:
        """Whether nothing was touched or cut, as far as can be seen, and the `digest` that was kept elsewhere is in it."""
        return self.broken is None and not self.cut and (digest is None or self.kept is not None)


class Ledger:
    """Appends in the background, so that a record never makes its explanation late, nor loses it where the disk fails.

    What could not be written waits in memory, is tried again with the next record, and is spoken of by `failure`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "ledger.sqlite"
        self._waiting: deque[_Row] = deque()
        self._lost = 0
        self._error: sqlite3.Error | OSError | None = None
        self._door, self._disk = threading.Lock(), threading.Lock()
        # Python waits for it at the program's end, Ctrl-C included.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        """Hand over a record; never waits for the disk and never fails. What is no JSON becomes null or text."""
        written = datetime.now(UTC).isoformat(timespec="milliseconds")
        said = json.dumps(_plain(body), ensure_ascii=False, sort_keys=True)
        row = (written, kind, said.encode("utf-8", "backslashreplace").decode())
        with self._door:
            if len(self._waiting) >= MOST_WAITING:
                self._lost += 1
                return
            called = bool(self._waiting) and self._error is None  # a writer is on its way to what waits
            self._waiting.append(row)
        if called:
            return
        with suppress(RuntimeError):  # the program is ending: `flush` writes it
            self._writer.submit(self._drain)

    def flush(self) -> Message | None:
        """Write all that was handed over; None once it is on disk, else why it is not."""
        self._drain()
        return self.failure

    @property
    def failure(self) -> Message | None:
        """Why records wait in memory and not on disk, or None."""
        error, count = self._error, len(self._waiting)
        if error is None:
            return None
        return Message("ledger.unwritten", {"path": self.path, "count": count, "lost": self._lost, "why": _why(error)})

    def _drain(self) -> None:
        """Write what waits, many records a transaction."""
        with self._disk:
            while self._waiting:
                with self._door:
                    batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
                    lost, self._lost = self._lost, 0
                try:
                    self._write(batch, lost)
                except (sqlite3.Error, OSError) as error:
                    with self._door:
                        self._waiting.extendleft(reversed(batch))
                        self._lost += lost
                        self._error = error
                    return
            self._error = None

    def _write(self, batch: list[_Row], lost: int) -> None:
        """One transaction, one writer at a time across processes: the chain must not fork. A gap in it is a record, too."""
        gap = (
            [(datetime.now(UTC).isoformat(timespec="milliseconds"), "gap", json.dumps({"lost": lost}))] if lost else []
        )
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")
            last = database.execute("SELECT id, digest FROM records ORDER BY id DESC LIMIT 1").fetchone()
            number, digest = last or (0, _FIRST)
            for row in (*batch, *gap):
                number, digest = number + 1, _digest(digest, *row)
                database.execute(_INSERT, (number, *row, digest))
            # Part of the transaction: who cuts the end and knows nothing of it leaves it behind.
            database.execute(f"PRAGMA user_version = {number}")
            database.execute("COMMIT")

    def _open(self) -> Database:
        """The database, made or brought up to date; a foreign one is refused."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            _prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """One state of the ledger, whatever is being written meanwhile; an empty one where there is no file.

        Raises BadInputError where the file is none of ours, is damaged, or cannot be read.
        """
        try:
            exists = self.path.exists()
            with closing(self._open() if exists else sqlite3.connect(":memory:", isolation_level=None)) as database:
                if not exists:
                    _prepare(database)
                database.execute("PRAGMA query_only = ON")
                database.execute("BEGIN")
                yield database
        except (sqlite3.Error, OSError) as error:
            raise BadInputError([Fault("ledger.unreadable", str(self.path), values={"why": _why(error)})]) from error

    def records(
        self,
        kind: str | None = None,
        limit: int | None = None,
        *,
        bundle: str | None = None,
        method: str | None = None,
        since: str | None = None,
        over: bool = False,
    ) -> list[Record]:
        """The newest `limit` records, oldest first; all where no limit is given.

        `since` is an ISO date or time in UTC; `over`: only explanations that were late or never came.
        """
        query = (
            "SELECT id, written, kind, body FROM records WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR bundle = ?2)"
            " AND (?3 IS NULL OR method = ?3) AND (?4 IS NULL OR written >= ?4)"
            " AND (NOT ?5 OR (kind = 'explanation' AND NOT within_budget)) ORDER BY id DESC LIMIT ?6"
        )
        most = -1 if limit is None else limit
        with self.reading() as database:
            rows = database.execute(query, (kind, bundle, method, since, over, most)).fetchall()
        return [Record(number, written, sort, json.loads(body)) for number, written, sort, body in reversed(rows)]

    def verify(self, kept: str | None = None) -> Chain:
        """Recompute the chain, record by record; `kept` is a digest that was written down elsewhere.

        Records cut from the end are seen where the file still counts them. Whoever changes that count as well is seen only
        by a digest kept elsewhere.
        """
        previous, count, place = _FIRST, 0, None
        with self.reading() as database:
            noted = database.execute("PRAGMA user_version").fetchone()[0]
            rows = database.execute("SELECT id, written, kind, body, digest FROM records ORDER BY id")
            for number, written, kind, body, digest in rows:
                if number != count + 1 or digest != _digest(previous, written, kind, body):
                    return Chain(count, previous, int(number), 0, place)
                previous, count = digest, number
                place = count if digest == kept else place
        return Chain(count, previous, None, max(noted - count, 0), place)


def _prepare(database: Database) -> None:
    """Table, triggers, computed columns, index: made where missing."""
    others = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('records')"
    ).fetchall()
    if others:
        raise sqlite3.DatabaseError(f"it holds the table {others[0][0]}")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    names = "SELECT count(*) FROM sqlite_master WHERE name IN ('records', 'no_update', 'no_delete', 'timings')"
    if not _missing(database) and database.execute(names).fetchone()[0] == 1 + len(_TABLE):
        return
    database.execute("BEGIN IMMEDIATE")
    for statement in _TABLE:
        database.execute(statement)
    for name in _missing(database):
        formula = f"CASE WHEN json_valid(body) THEN {_COMPUTED[name]} END"
        database.execute(f"ALTER TABLE records ADD COLUMN {name} GENERATED ALWAYS AS ({formula}) VIRTUAL")
    database.execute(_INDEX)
    database.execute("COMMIT")


def _missing(database: Database) -> list[str]:
    known = {column[1] for column in database.execute("PRAGMA table_xinfo(records)")}
    return [name for name in _COMPUTED if name not in known]


def _digest(previous: str, written: str, kind: str, body: str) -> str:
    return hashlib.sha256(f"{previous}\n{written}\n{kind}\n{body}".encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A JSON value: what is not a finite number is null, what JSON does not know is its text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)


def _why(error: sqlite3.Error | OSError) -> Message:
    """The cause in words; SQLite's extended codes hold the plain one in their last byte."""
    code = getattr(error, "sqlite_errorcode", None)
    name = _WHY.get(code & 0xFF) if code is not None else "foreign" if isinstance(error, sqlite3.Error) else None
    return Message(f"ledger.why.{name or 'other'}", {"text": getattr(error, "strerror", None) or error})
