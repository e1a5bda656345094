"""The tables of a bundle in their roles: the panel, the returns, and the rest under the manifest's names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.foreign import nearest, shown
from workbench.manifest import DatedTable, DecisionsSection, Manifest, PanelSection, PlainTable, ReturnsSection
from workbench.reading.columns import Column, anything, numbers, texts, times
from workbench.reading.tables import RawTable, read_table
from workbench.schema import BadInputError, Fault, Floats, Message, Panel, Returns

SLEEVES = ("cash", "rates", "credit", "convertible", "equity")
REASONS = ("alive", "matured", "called", "delisted", "defaulted")
Reader = Callable[[], tuple[str, "Sheet", pd.DataFrame]]
ROLES = ("strategy", "gross", "benchmark", "position", "underlying", "turnover")


class Sheet:
    """One file's columns by name; faults and notes gather here until the file has been read as far as it can be."""

    def __init__(self, raw: RawTable) -> None:
        self.raw, self.file = raw, raw.file
        self.names: list[str] = raw.data.column_names
        self.faults: list[Fault] = []
        self.notes: list[Message] = list(raw.notes)

    def __len__(self) -> int:
        return int(self.raw.data.num_rows)

    def column(self, name: str) -> Column:
        """The column as it stands."""
        return Column(self.file, name, self.raw.data[name], self.raw.first_row, self.raw.decimal_comma)

    def has(self, name: str, key: str) -> bool:
        """Whether the column that the manifest's `key` names is there; a fault if not."""
        if name in self.names:
            return True
        values = {"column": shown(name), "key": key, "nearest": nearest(name, self.names)}
        self.faults.append(Fault("fault.column.missing", self.file, shown(name), values=values))
        return False

    def numbers(self, name: str, key: str, *, gaps: bool = True) -> Floats:
        """A column of finite numbers; NaN where a cell is missing, which is a fault unless `gaps`."""
        empty = np.full(len(self), np.nan)
        if not self.has(name, key):
            return empty
        try:
            values, notes = numbers(self.column(name))
        except BadInputError as error:
            self.faults += error.faults
            return empty
        self.notes += notes
        self.refuse(name, "infinite", np.isinf(values))
        missing = np.isnan(values)
        if missing.all():
            self.faults.append(Fault("fault.column.all_missing", self.file, shown(name)))
        elif not gaps:
            self.refuse(name, "missing_number", missing)
        return values

    def refuse(self, name: str, key: str, bad: NDArray[np.bool_], **values: object) -> None:
        """One fault for all cells where `bad`: the first one's row and how many there are."""
        rows = np.flatnonzero(bad)
        if rows.size:
            first = int(rows[0])
            values = {"cell": self.column(name).cell(first), "count": int(rows.size), **values}
            self.faults.append(
                Fault(f"fault.column.{key}", self.file, shown(name), row=first + self.raw.first_row, values=values)
            )

    def texts(self, name: str, key: str) -> NDArray[np.str_]:
        """A column of text."""
        if self.has(name, key):
            try:
                return texts(self.column(name))
            except BadInputError as error:
                self.faults += error.faults
        return np.full(len(self), "", np.str_)

    def times(self, name: str, key: str, *, missing: bool = False) -> pd.DatetimeIndex | None:
        """A column of moments; None if it cannot be read."""
        if self.has(name, key):
            try:
                index, notes = times(self.column(name), missing=missing)
            except BadInputError as error:
                self.faults += error.faults
            else:
                self.notes += notes
                return index
        return None

    def in_order(
        self, name: str, index: pd.DatetimeIndex | None, entities: NDArray[np.str_] | None, *, twins: bool
    ) -> None:
        """Times rise strictly (where `twins`: do not fall) within each entity; else a fault with the row."""
        if index is None:
            return
        codes = np.zeros(len(index), np.intp) if entities is None else np.unique(entities, return_inverse=True)[1]
        order = np.argsort(codes, kind="stable")
        step = np.diff(index.to_numpy()[order].astype(np.int64))
        same = np.diff(codes[order]) == 0
        for key, bad in (("backwards", same & (step < 0)), ("duplicate_time", same & (step == 0) & (not twins))):
            marks = np.zeros(len(index), bool)
            marks[order[1:][bad]] = True
            previous = np.empty_like(order)
            previous[order[1:]] = order[:-1]
            first = int(np.argmax(marks))
            self.refuse(name, key, marks, other=int(previous[first]) + self.raw.first_row)

    def done(self) -> None:
        """Raise what has gathered."""
        if self.faults:
            raise BadInputError(self.faults)


@dataclass
class Shelf:
    """The bundle's files, each read once; `paths` are those that may be read, by their names in the manifest."""

    paths: Mapping[str, Path]
    raw: dict[str, RawTable] = field(default_factory=dict)

    def sheet(self, file: str) -> Sheet:
        """A file's columns, to be read in a role."""
        if file not in self.raw:
            self.raw[file] = read_table(self.paths[file], file)
        return Sheet(self.raw[file])


def read_panel(sheet: Sheet, section: PanelSection, features: Sequence[str]) -> Panel:
    """The panel with `features` in the model's order; sorted by time (and entity). Raises `BadInputError`."""
    index = sheet.times(section.time, "panel.time")
    entities = sheet.texts(section.entity, "panel.entity") if section.entity else None
    sheet.in_order(section.time, index, entities, twins=False)
    wanted = dict.fromkeys(features, "panel.features") | ({section.label: "panel.label"} if section.label else {})
    columns: dict[str, object] = {name: sheet.numbers(name, key) for name, key in wanted.items()}
    sheet.done()
    assert index is not None  # noqa: S101 - else done() has raised
    fixed = {section.time: index} | ({section.entity: entities} if section.entity else {})
    table = pd.DataFrame(
        {
            name: fixed[name] if name in fixed else columns[name] if name in columns else anything(sheet.column(name))
            for name in sheet.names
        }
    )
    order = np.lexsort((np.zeros(len(index)) if entities is None else entities, index.to_numpy()))
    if (np.diff(order) != 1).any():
        sheet.notes.append(Message("fault.note.sorted", {"file": sheet.file}))
        table, index = table.iloc[order].reset_index(drop=True), index[order]
        entities = None if entities is None else entities[order]
    return Panel(index, table, tuple(features), entities, section.label, section.horizon)


def read_returns(sheet: Sheet, section: ReturnsSection) -> Returns:
    """Returns and factors by their roles, indexed by time. Raises `BadInputError`."""
    index = sheet.times(section.time, "returns.time")
    sheet.in_order(section.time, index, None, twins=False)
    named = {role: getattr(section, role) for role in ROLES if getattr(section, role)}
    table = {role: sheet.numbers(name, f"returns.{role}", gaps=role != "strategy") for role, name in named.items()}
    factors = {factor: sheet.numbers(name, f"returns.factors.{factor}") for factor, name in section.factors.items()}
    for role in ("strategy", "gross", "benchmark"):
        if role in table:
            sheet.refuse(named[role], "return_below", table[role] < -1) if named[role] in sheet.names else None
    sheet.done()
    return Returns(
        pd.DataFrame(table, index), pd.DataFrame(factors, index), section.periods_per_year, section.valuation
    )


@dataclass(frozen=True)
class Wanted:
    """A column of one of the other tables: how it is read and what may stand in it."""

    read: str
    required: bool = True
    gaps: bool = True
    low: float = -np.inf
    high: float = np.inf
    binary: bool = False
    choices: tuple[str, ...] = ()


_HOLDINGS = {
    "instrument": Wanted("text"),
    "issuer": Wanted("text", required=False),
    "sleeve": Wanted("text", choices=SLEEVES),
    "weight": Wanted("number", gaps=False),
    "delta": Wanted("number", required=False),
    "rating": Wanted("any", required=False),
    "price_date": Wanted("time", required=False),
    "adv": Wanted("number", required=False, low=0),
    "nav": Wanted("number", required=False, low=0),
}
_UNIVERSE = {
    "instrument": Wanted("text"),
    "first_date": Wanted("time", gaps=False),
    "last_date": Wanted("time"),
    "reason": Wanted("text", choices=REASONS),
}
_VINTAGES = {
    "series": Wanted("text"),
    "vintage": Wanted("time", gaps=False),
    "date": Wanted("time", gaps=False),
    "value": Wanted("number"),
}
_DECISIONS = {
    "predicted": Wanted("number", gaps=False, low=0, high=1),
    "latency_ms": Wanted("number", gaps=False, low=0),
    "adopted": Wanted("number", gaps=False, binary=True),
    "outcome": Wanted("number", binary=True),
}


_OTHERS = {"decisions": _DECISIONS, "holdings": _HOLDINGS, "universe": _UNIVERSE, "vintages": _VINTAGES}


def read_tables(shelf: Shelf, manifest: Manifest, returns: Returns | None) -> Iterator[tuple[str, Reader]]:
    """(file, reader) of each of the other tables that the manifest names; a reader gives name, sheet and table, or raises."""
    for name in _OTHERS:
        section = getattr(manifest, name)
        if section is not None:
            yield section.file, partial(_table, shelf, name, section)
    if manifest.split and manifest.split.trial_returns:
        yield manifest.split.trial_returns, partial(_trials, shelf, manifest, returns)


def _table(
    shelf: Shelf, name: str, section: DecisionsSection | DatedTable | PlainTable
) -> tuple[str, Sheet, pd.DataFrame]:
    """One of the other tables, indexed by its time if it has one; [decisions] says what its columns are called."""
    sheet, columns = shelf.sheet(section.file), dict[str, object]()
    for role, want in _OTHERS[name].items():
        column = getattr(section, role, role)
        if column is not None and (want.required or column in sheet.names):
            columns[role] = _column(sheet, column, f"{name}.{role}", want)
    index = None
    if not isinstance(section, PlainTable):
        index = sheet.times(section.time, f"{name}.time")
        entities = np.asarray(columns["instrument"], np.str_) if "instrument" in columns else None
        if not sheet.faults:
            sheet.in_order(section.time, index, entities, twins=entities is None)
    sheet.done()
    return name, sheet, pd.DataFrame(columns, index)


def _column(sheet: Sheet, name: str, key: str, want: Wanted) -> object:
    if want.read == "number":
        values = sheet.numbers(name, key, gaps=want.gaps)
        outside = (values < want.low) | (values > want.high)
        if outside.any():
            sheet.refuse(name, "outside", outside, low=want.low, high=want.high)
        if want.binary and name in sheet.names:
            sheet.refuse(name, "not_binary", np.isfinite(values) & ~np.isin(values, (0, 1)))
        return values
    if want.read == "time":
        return sheet.times(name, key, missing=want.gaps)
    if want.read == "any":
        return anything(sheet.column(name))
    cells = sheet.texts(name, key)
    if want.choices and name in sheet.names and not any(fault.place == shown(name) for fault in sheet.faults):
        sheet.refuse(name, "not_a_choice", ~np.isin(cells, want.choices), expected=", ".join(want.choices))
    return cells


def _trials(shelf: Shelf, manifest: Manifest, returns: Returns | None) -> tuple[str, Sheet, pd.DataFrame]:
    """A column a trial on the same dates as the returns."""
    file = str(manifest.split.trial_returns) if manifest.split else ""
    sheet = shelf.sheet(file)
    time = (manifest.returns or manifest.panel).time
    index = sheet.times(time, "returns.time")
    sheet.in_order(time, index, None, twins=False)
    columns = {name: sheet.numbers(name, "split.trial_returns") for name in sheet.names if name != time}
    if not columns:
        sheet.faults.append(Fault("fault.trials.none", file))
    if index is not None and returns is not None and not sheet.faults and not index.equals(returns.table.index):
        both = min(len(index), len(returns.table))
        first = int(np.argmax(np.append(index[:both] != returns.table.index[:both], True)))
        values = {"rows": len(index), "expected": len(returns.table)}
        sheet.faults.append(Fault("fault.trials.dates", file, time, row=first + sheet.raw.first_row, values=values))
    sheet.done()
    return "trial_returns", sheet, pd.DataFrame(columns, index)
