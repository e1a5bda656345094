"""A panel in a stream, in the file's order: opened here, checked as a whole in `survey.py`, then read by ranges of rows.

A Parquet file whose columns have the types that are wanted is never held whole. A CSV, or Parquet with text in place of numbers or
dates, is read whole first, within the bounds of `tables.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from workbench.foreign import shown
from workbench.manifest import PanelSection
from workbench.reading.pickles import refuse_pickled_table
from workbench.reading.roles import Sheet
from workbench.reading.tables import MOST_CELLS, RawTable, check_schema, read_table
from workbench.schema import BadInputError, Fault, Floats, Message

# Of each column, so that a row group of a million rows is not held compressed either.
BUFFER_BYTES = 1 << 18

_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary, pa.types.is_integer)
_NUMBERS = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_TIMES = (pa.types.is_timestamp, pa.types.is_date)


@contextmanager
def _readable(file: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInputError([Fault("fault.table.parquet_damaged", file)]) from error


@dataclass(frozen=True)
class Rows:
    """Neighbouring rows: `times` (n,), `entities` (n,) text or None, `X` (n, d) in the model's order, missing is NaN."""

    times: pd.DatetimeIndex
    entities: pa.Array | None
    X: Floats


class Stream:
    """The panel's file: its rows, where its row groups begin, its columns. Raises `BadInputError` where it cannot be opened."""

    def __init__(self, path: Path, section: PanelSection, features: tuple[str, ...]) -> None:
        self.path, self.section, self.features, self.file = path, section, features, section.file
        self.wanted = {section.time: "panel.time"} | ({section.entity: "panel.entity"} if section.entity else {})
        self.wanted |= dict.fromkeys(features, "panel.features")
        self.stamp = stamp(path)
        self.whole: pa.RecordBatch | None = None
        self.footer: Any = None
        self.first_row = 1
        self.notes: list[Message] = []
        refuse_pickled_table(path, self.file)
        if not path.name.endswith(".parquet") or not self._open():
            self._read_whole()

    def _open(self) -> bool:
        """Read the footer; whether every column is of a type that can be read in a stream."""
        with _readable(self.file), pyarrow.parquet.ParquetFile(self.path) as parquet:
            self.footer, schema = parquet.metadata, parquet.schema_arrow
        check_schema(self.file, schema)
        sheet = Sheet(RawTable(self.file, schema.empty_table(), 1))
        for name, key in self.wanted.items():
            sheet.has(name, key)
        sheet.done()
        self.rows = self.footer.num_rows
        if not self.rows:
            raise BadInputError([Fault("fault.table.no_rows", self.file)])
        groups = (self.footer.row_group(i).num_rows for i in range(self.footer.num_row_groups))
        self.groups = tuple(accumulate(groups, initial=0))[:-1]
        fits = dict.fromkeys(self.features, _NUMBERS) | {self.section.time: _TIMES}
        fits |= {self.section.entity: _TEXT} if self.section.entity else {}
        types = {name: schema.field(name).type for name in self.wanted}
        odd = [name for name, kind in types.items() if not any(fit(kind) for fit in fits[name])]
        if odd and self.rows * len(schema) > MOST_CELLS:
            values = {"found": str(types[odd[0]]), "most": MOST_CELLS}
            raise BadInputError([Fault("fault.table.untyped", self.file, shown(odd[0]), values=values)])
        zone = getattr(types[self.section.time], "tz", None)
        if zone is not None:
            facts = {"file": self.file, "column": shown(self.section.time), "zone": zone}
            self.notes.append(Message("fault.note.zone", facts))
        return not odd

    def _read_whole(self) -> None:
        """Text becomes numbers and moments by the rules of `columns.py`, which look at whole columns."""
        raw, section = read_table(self.path, self.file), self.section
        sheet = Sheet(raw)
        index = sheet.times(section.time, "panel.time")
        entities = sheet.texts(section.entity, "panel.entity") if section.entity else None
        columns: dict[str, object] = {name: sheet.numbers(name, "panel.features") for name in self.features}
        sheet.done()
        columns |= {section.time: index} | ({section.entity: pa.array(entities)} if section.entity else {})
        self.whole = pa.record_batch({name: pa.array(columns[name]) for name in self.wanted})
        self.rows, self.groups = len(sheet), (0,)
        self.first_row, self.notes = raw.first_row, sheet.notes


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change, by which a file that is changed while it is read is noticed."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


class Reader:
    """A place in the stream. It goes forward; a range of rows before it, or of a later row group, makes it begin there anew."""

    def __init__(self, stream: Stream, most: int, columns: tuple[str, ...] = ()) -> None:
        self.stream, self._most, self._columns = stream, most, list(columns or stream.wanted)
        self._parquet: Any = None
        self._at, self._batches, self._rest = stream.rows, iter(()), None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._parquet is not None:
            self._parquet.close()

    def rows(self, start: int, stop: int) -> Iterator[Rows]:
        """Rows `start` to `stop` (counted from 0) in pieces of at most `most`. Raises `BadInputError`, for an infinite cell too."""
        section, features = self.stream.section, self.stream.features
        at = start
        for batch in self.batches(start, stop):
            X = np.empty((len(batch), len(features)))
            for j, name in enumerate(features):
                X[:, j] = doubles(batch.column(name))
            if np.isinf(X).any():
                refuse_infinite(self.stream, batch, at)
            entities = texts(batch.column(section.entity)) if section.entity else None
            yield Rows(pd.DatetimeIndex(moments(batch.column(section.time))), entities, X)
            at += len(batch)

    def batches(self, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        """The same as the file's own columns."""
        if self.stream.whole is not None:
            for at in range(start, stop, self._most):
                yield self.stream.whole.slice(at, min(self._most, stop - at))
            return
        with _readable(self.stream.file):
            self._seek(start)
        while self._at < stop:
            yield self._next(stop - self._at)

    def _seek(self, start: int) -> None:
        groups = self.stream.groups
        group = int(np.searchsorted(groups, start, side="right")) - 1
        if not groups[group] <= self._at <= start:
            if self._parquet is None:
                self._parquet = pyarrow.parquet.ParquetFile(
                    self.stream.path, buffer_size=BUFFER_BYTES, pre_buffer=False
                )
            self._batches = self._parquet.iter_batches(
                self._most, list(range(group, len(groups))), columns=self._columns, use_threads=False
            )
            self._at, self._rest = groups[group], None
        while self._at < start:
            self._next(start - self._at)

    def _next(self, most: int) -> pa.RecordBatch:
        with _readable(self.stream.file):
            if not self._rest:
                self._rest = next(self._batches, None)
                if self._rest is None:
                    raise ValueError("fewer rows than the footer says")
                self._rest.validate(full=True)
        piece = self._rest.slice(0, most)
        self._rest = self._rest.slice(len(piece))
        self._at += len(piece)
        return piece


def doubles(data: pa.Array) -> Floats:
    """A column of numbers as float64, missing as NaN."""
    if pa.types.is_boolean(data.type):
        data = pc.cast(data, pa.int8())
    return np.asarray(pc.cast(data, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def moments(data: pa.Array) -> NDArray[np.datetime64]:
    """A column of times by the file's own clock."""
    if pa.types.is_timestamp(data.type) and data.type.tz is not None:
        data = pc.local_timestamp(data)
    return np.asarray(data.to_numpy(zero_copy_only=False)).astype("datetime64[us]")


def texts(data: pa.Array) -> pa.Array:
    """A column of names without the white space around them; empty ones are null."""
    trimmed = pc.utf8_trim_whitespace(pc.cast(data, pa.string()))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def refuse_infinite(stream: Stream, batch: pa.RecordBatch, at: int) -> None:
    """Raise for every column of the batch, whose first row is row `at`, that holds an infinite number."""
    sheet = Sheet(RawTable(stream.file, pa.table(batch), stream.first_row + at))
    for name in set(batch.schema.names) & set(stream.features):
        sheet.refuse(name, "infinite", np.isinf(doubles(batch.column(name))))
    sheet.done()
