"""A panel checked as a whole before any of it is used, in one pass that holds little: all its faults at once, with their rows.

Times and entities are looked at row by row. Of a feature the footer's statistics say whether a row group holds an infinite number, and
only where they do not say are its cells looked at.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.foreign import shown
from workbench.reading.roles import Sheet
from workbench.reading.stream import Reader, Stream, doubles, moments, texts
from workbench.reading.tables import RawTable
from workbench.schema import BadInputError, Fault

SURVEY_ROWS = 1 << 16

Ints = NDArray[np.int64]


class Faults(dict[tuple[str, str | None], Fault]):
    """The first fault of each kind in each column, with the count of all."""

    def add(self, found: Iterable[Fault]) -> None:
        """Take in the faults of one batch."""
        for fault in found:
            first = self.setdefault((fault.key, fault.place), fault)
            if first is not fault:
                count = int(str(first.values["count"])) + int(str(fault.values["count"]))
                self[fault.key, fault.place] = replace(first, values={**first.values, "count": count})


class Order:
    """The last time, and its row, of each entity so far."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._time, self._row = np.empty(0, np.int64), np.empty(0, np.int64)

    def before(self, times: Ints, entities: pa.Array | None, at: int) -> tuple[Ints, Ints]:
        """The time and the row of the same entity's row before, for each row of a batch (n,) that begins at row `at`."""
        codes = np.zeros(len(times), np.intp) if entities is None else self._coded(entities)
        grown = max(int(codes.max(initial=-1)) + 1 - len(self._time), 0)
        self._time = np.append(self._time, np.full(grown, np.iinfo(np.int64).min))
        self._row = np.append(self._row, np.full(grown, -1))
        order = np.argsort(codes, kind="stable")
        mine, time, row = codes[order], times[order], at + order
        first, last = np.diff(mine, prepend=-1) != 0, np.diff(mine, append=-1) != 0
        was, where = np.empty_like(times), np.empty_like(times)
        was[order] = np.where(first, self._time[mine], np.roll(time, 1))
        where[order] = np.where(first, self._row[mine], np.roll(row, 1))
        self._time[mine[last]], self._row[mine[last]] = time[last], row[last]
        return was, where

    def _coded(self, entities: pa.Array) -> NDArray[np.intp]:
        found = pc.dictionary_encode(entities, null_encoding="encode")
        known = [self._codes.setdefault(str(name), len(self._codes)) for name in found.dictionary.to_pylist()]
        return np.asarray(np.array(known, np.intp)[found.indices.to_numpy()], np.intp)


def survey(stream: Stream, fitted: pd.Timestamp | None, embargo: int) -> pd.DatetimeIndex:
    """Check the whole panel. Raises `BadInputError` with all its faults.

    Gives as many of its decision times as tell when a model takes over that was `fitted` and waits for `embargo` decisions more: so
    many of the first after it, and the last of all.
    """
    faults = Faults()
    decisions = _times(stream, faults, fitted, embargo)
    if stream.whole is None:
        _features(stream, faults)
    if faults:
        raise BadInputError(list(faults.values()))
    return decisions


def _times(stream: Stream, faults: Faults, fitted: pd.Timestamp | None, embargo: int) -> pd.DatetimeIndex:
    section, order, at = stream.section, Order(), 0
    later, last, first, modern = np.empty(0, "datetime64[us]"), np.datetime64("NaT", "us"), "", False
    columns = (section.time, *([section.entity] if section.entity else []))
    with Reader(stream, SURVEY_ROWS, columns) as reader:
        for batch in reader.batches(0, stream.rows):
            sheet = Sheet(RawTable(stream.file, pa.table(batch), stream.first_row + at))
            times = moments(batch.column(section.time))
            entities = texts(batch.column(section.entity)) if section.entity else None
            sheet.refuse(section.time, "missing_time", np.isnat(times))
            if section.entity:
                sheet.refuse(section.entity, "missing_text", np.asarray(pc.is_null(entities)))
            was, where = order.before(times.astype(np.int64), entities, at)
            for key, bad in (
                ("backwards", times.astype(np.int64) < was),
                ("duplicate_time", times.astype(np.int64) == was),
            ):
                other = int(where[int(np.argmax(bad))]) + stream.first_row
                sheet.refuse(section.time, key, bad & ~np.isnat(times), other=other)
            faults.add(sheet.faults)
            modern = modern or bool((times.astype("datetime64[Y]").astype(np.int64) != 0).any())
            last = np.fmax(last, np.fmax.reduce(times))
            first = first or shown(batch.column(section.time)[0].as_py(), 40)
            if fitted is not None:
                after = np.unique(times[times > fitted.to_datetime64()])
                later = np.unique(np.append(later, after))[: embargo + 1]
            at += len(batch)
    if not modern:
        values = {"cell": first}
        faults.add([Fault("fault.column.epoch_1970", stream.file, shown(section.time), stream.first_row, values)])
    return pd.DatetimeIndex(np.unique(np.append(later, last)))


def _features(stream: Stream, faults: Faults) -> None:
    """Refuse infinite numbers and columns that hold none at all."""
    first = stream.footer.row_group(0)
    place = {first.column(i).path_in_schema: i for i in range(first.num_columns)}
    filled: set[str] = set()
    for group, start in enumerate(stream.groups):
        chunks = stream.footer.row_group(group)
        said = {name for name in stream.features if _finite(chunks.column(place[name]).statistics)}
        filled |= said
        unsaid = tuple(name for name in stream.features if name not in said)
        if unsaid and chunks.num_rows:
            filled |= _looked_at(stream, unsaid, start, start + chunks.num_rows, faults)
    empty = [name for name in stream.features if name not in filled]
    faults.add(Fault("fault.column.all_missing", stream.file, shown(name)) for name in empty)


def _finite(statistics: object) -> bool:
    """Whether they say that there are numbers and that none is infinite; NaN is no bound, so writers leave it out."""
    if statistics is None or not getattr(statistics, "has_min_max", False):
        return False
    bounds = (getattr(statistics, "min", None), getattr(statistics, "max", None))
    try:
        return bool(
            np.isfinite([float(str(bound)) if not isinstance(bound, bool) else bound for bound in bounds]).all()
        )
    except ValueError:
        return False


def _looked_at(stream: Stream, names: tuple[str, ...], start: int, stop: int, faults: Faults) -> set[str]:
    """Those of the columns that hold a number between the rows."""
    filled: set[str] = set()
    with Reader(stream, SURVEY_ROWS, names) as reader:
        at = start
        for batch in reader.batches(start, stop):
            sheet = Sheet(RawTable(stream.file, pa.table(batch), stream.first_row + at))
            for name in names:
                values = doubles(batch.column(name))
                sheet.refuse(name, "infinite", np.isinf(values))
                filled |= {name} if not np.isnan(values).all() else set()
            faults.add(sheet.faults)
            at += len(batch)
    return filled
