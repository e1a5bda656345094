"""Which column plays which role: guessed from types, names and what the cells themselves show. Nothing that only the author knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from workbench.beginning import names as vocabulary
from workbench.beginning.draft import Draft
from workbench.beginning.names import plain
from workbench.foreign import shown
from workbench.reading.columns import Column, numbers, texts, times
from workbench.reading.roles import Sheet
from workbench.schema import BadInputError, Fault, Floats

# Of the rows in which a lagged column and its base can be compared, so many must agree.
AGREE = 0.99
FIRST = 100
HOPELESS = {f"fault.column.{key}" for key in ("time_unreadable", "time_serial", "time_epoch", "not_times")}


@dataclass
class PanelGuesser:
    """One table beside one model's feature names (empty: the file holds none), and the roles found so far."""

    sheet: Sheet
    names: tuple[str, ...]
    width: int
    draft: Draft
    moments: pd.DatetimeIndex = field(init=False)
    time: str = field(init=False)
    entity: str | None = None
    label: str | None = None
    columns: tuple[str, ...] = ()
    _read: dict[str, Floats | None] = field(default_factory=dict)

    def panel(self, file: str) -> None:
        """Fill [panel]; `BadInputError` where no column tells the time."""
        self.draft.guess(("panel", "file"), file, "copied")
        self.time, self.moments = find_time(self.sheet, set(self.names), self.draft, "panel")
        self._find_entity()
        self._find_label()
        self._find_features()
        if self.label:
            self.draft.guess(("panel", "label"), self.label, "label")
            self._find_horizon(self.label)

    def features(self) -> None:
        """Fill [features.NAME] for every feature that is in the table."""
        unclear = []
        for name in self.columns:
            family = vocabulary.family_of(name)
            if family:
                self.draft.guess(("features", name, "family"), family[0], "family", word=shown(family[1]))
            else:
                unclear.append(name)
            self._find_lag(name)
            unit = vocabulary.unit_of(name)
            if unit:
                self.draft.guess(("features", name, "unit"), unit, "unit")
        if unclear:
            self.draft.ask(("features", "family"), "family", count=len(unclear), names=_listed(unclear))
        self.draft.ask(("features", "published_lag_days"), "published")

    def binary_label(self) -> bool:
        """Whether the label takes the values 0 and 1 only."""
        values = self._numbers(self.label) if self.label else None
        return values is not None and set(np.unique(values[np.isfinite(values)])) == {0.0, 1.0}

    def _free(self) -> list[str]:
        """Columns that play no role yet."""
        taken = {*self.names, self.time, self.entity, self.label}
        return [name for name in self.sheet.names if name not in taken and plain(name) not in vocabulary.COUNTERS]

    def _numbers(self, name: str) -> Floats | None:
        """The column's numbers, read once; None if it holds anything else."""
        if name not in self._read:
            try:
                self._read[name] = numbers(self.sheet.column(name))[0]
            except BadInputError:
                self._read[name] = None
        return self._read[name]

    def _find_entity(self) -> None:
        """A column of names by which rows of one moment are told apart, where moments are shared."""
        shared = int(self.moments.duplicated().sum())
        if not shared:
            return
        found = []
        for name in self._free():
            named = plain(name) in vocabulary.ENTITIES
            if not named and self._numbers(name) is not None:
                continue
            try:
                cells = texts(self.sheet.column(name))
            except BadInputError:
                continue
            if not pd.MultiIndex.from_arrays([self.moments, cells]).has_duplicates:
                found.append((not named, len(np.unique(cells)), name))
        if found:
            _, count, self.entity = min(found)
            self.draft.guess(("panel", "entity"), self.entity, "entity", count=count, shared=shared)
        else:
            self.draft.ask(("panel", "entity"), "entity", shared=shared)

    def _find_label(self) -> None:
        """The label by its name; the column that ends in missing values where names leave a choice."""
        found = []
        for at, name in enumerate(self._free()):
            likeness = vocabulary.label_like(name)
            if likeness is not None and self._numbers(name) is not None:
                found.append((likeness, not self._tail(name), at, name))
        if not found:
            self.draft.ask(("panel", "label"), "label")
            return
        self.label, *others = [name for *_, name in sorted(found)]
        if others:
            self.draft.ask(("panel", "label"), "others", names=_listed(others))

    def _find_features(self) -> None:
        missing = [name for name in self.names if name not in self.sheet.names]
        if not self.names:
            self._features_by_position()
        elif not missing:
            self.columns = self.names
            self.draft.guess(("panel", "features"), self.columns, "features_own", count=len(self.columns))
        else:
            columns = {plain(name): name for name in self.sheet.names}
            near = [(name, columns[plain(name)]) for name in missing if plain(name) in columns]
            for name, column in near[:20]:
                values = {"name": shown(name), "column": shown(column)}
                self.draft.ask(("panel", "features"), "spelling", **values)
            lost = [name for name in missing if plain(name) not in columns]
            if lost:
                self.draft.ask(("panel", "features"), "lost", count=len(lost), names=_listed(lost))

    def _features_by_position(self) -> None:
        columns = [name for name in self._free() if self._numbers(name) is not None]
        if columns and len(columns) == (self.width or len(columns)):
            self.columns = tuple(columns)
            self.draft.guess(("panel", "features"), self.columns, "features_order", count=len(columns))
        else:
            self.draft.ask(("panel", "features"), "unnamed", width=self.width, count=len(columns))

    def _groups(self) -> list[NDArray[np.intp]]:
        """Row numbers of each entity, by time."""
        order = np.argsort(self.moments.to_numpy(), kind="stable")
        if self.entity is None:
            return [order]
        codes = np.unique(texts(self.sheet.column(self.entity)), return_inverse=True)[1]
        return [order[codes[order] == code] for code in range(codes.max() + 1)]

    def _tail(self, label: str) -> int:
        """How many labels are missing at the end, which most entities agree on."""
        values = self._numbers(label)
        if values is None:
            return 0
        known = [np.flatnonzero(np.isfinite(values[rows])) for rows in self._groups()]
        gaps = [len(rows) - 1 - there[-1] for rows, there in zip(self._groups(), known, strict=True) if len(there)]
        return int(np.bincount(gaps).argmax()) if gaps else 0

    def _find_horizon(self, label: str) -> None:
        """By the name and by the labels that are missing at the end; where they differ the longer, which is the careful one."""
        named = vocabulary.horizon_in(label, days_apart(self.moments))
        tail = self._tail(label)
        place = ("panel", "horizon")
        if named and tail:
            self.draft.guess(
                place, max(named, tail), "horizon_both" if named == tail else "horizon_differ", named=named, tail=tail
            )
        elif named:
            self.draft.guess(place, named, "horizon_name", named=named)
        elif tail:
            self.draft.guess(place, tail, "horizon_tail", tail=tail)
        else:
            self.draft.ask(place, "horizon")

    def _find_lag(self, name: str) -> None:
        found = vocabulary.lag_of(name)
        if found is None:
            return
        base, rows = found
        column = next((other for other in self.sheet.names if other == base or plain(other) == plain(base)), None)
        why, values = "lag_name", dict[str, object]()
        if column is not None and column != name:
            agreeing, compared = self._compare(name, column, rows)
            if agreeing < AGREE * compared or not compared:
                values = {"name": shown(name), "base": shown(column), "agreeing": agreeing, "compared": compared}
                self.draft.ask(("features", name, "lag_of"), "lag", rows=rows, **values)
                return
            base, why, values = column, "lag_measured", {"agreeing": agreeing, "compared": compared}
        self.draft.guess(("features", name, "lag_of"), base, why, base=shown(base), rows=rows, **values)
        self.draft.guess(("features", name, "lag"), rows, "lag_rows")

    def _compare(self, name: str, base: str, rows: int) -> tuple[int, int]:
        """In how many rows the column equals its base `rows` earlier, and how many could be compared."""
        late, early = self._numbers(name), self._numbers(base)
        if late is None or early is None:
            return 0, 0
        agreeing = compared = 0
        for group in self._groups():
            pairs = np.column_stack([late[group][rows:], early[group][: max(len(group) - rows, 0)]])
            pairs = pairs[np.isfinite(pairs).all(axis=1)]
            agreeing += int(np.isclose(pairs[:, 0], pairs[:, 1], rtol=1e-6, atol=1e-12).sum())
            compared += len(pairs)
        return agreeing, compared


def find_time(sheet: Sheet, taken: set[str], draft: Draft, section: str) -> tuple[str, pd.DatetimeIndex]:
    """The column of moments, put into the draft; the fault of a column that is called a date and is none, or one that names all."""
    found, faults = [], list[Fault]()
    for at, name in enumerate(sheet.names):
        named, kind = plain(name) in vocabulary.TIMES, sheet.raw.data[name].type
        typed = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
        if name in taken or not (named or typed or text):
            continue  # a number is a date only where it is called one
        try:
            index = _moments(sheet.column(name))
        except BadInputError as error:
            faults += error.faults if named else ()
        else:
            found.append((not named, not typed, not index.is_monotonic_increasing, at, name, index))
    if not found:
        values = {"columns": _listed(sheet.names)}
        raise BadInputError(faults or [Fault("init.fault.no_time", sheet.file, values=values)])
    found.sort(key=lambda candidate: candidate[:4])
    unnamed, *_, name, index = found[0]
    draft.guess((section, "time"), name, "time_cells" if unnamed else "time_name")
    if found[1:]:
        draft.ask((section, "time"), "others", names=_listed([other[4] for other in found[1:]]))
    return name, index


def _moments(column: Column) -> pd.DatetimeIndex:
    """The column as moments; a few cells tell of most columns that they hold none."""
    try:
        times(replace(column, data=column.data.slice(0, FIRST)))
    except BadInputError as error:
        if error.faults[0].key in HOPELESS:
            raise
    return times(column)[0]


def _listed(names: Sequence[str], most: int = 12) -> str:
    """Names for a sentence, the first few of many."""
    return ", ".join(shown(name, 30) for name in names[:most]) + (" …" if len(names) > most else "")


def days_apart(moments: pd.DatetimeIndex) -> float:
    """Median days from one moment to the next."""
    steps = np.diff(moments.unique().sort_values().to_numpy().astype("datetime64[s]").astype(np.float64))
    return float(np.median(steps)) / 86400 if len(steps) else 0.0


_PERIODS = ((0.5, 4, 252), (5, 9, 52), (25, 35, 12), (80, 100, 4), (350, 380, 1))


def guess_returns(sheet: Sheet, file: str, draft: Draft) -> None:
    """Fill [returns], or leave all of it open where no column is one of net returns."""
    trial = Draft()
    time, moments = find_time(sheet, set(), trial, "returns")
    columns = {plain(name): name for name in sheet.names if name != time}
    named = {
        role: next((columns[key] for key in columns if key in words), None)
        for role, words in vocabulary.RETURNS.items()
    }
    if named["strategy"] is None and len(columns) == 1:
        (named["strategy"],) = columns.values()
    strategy = named["strategy"]
    if strategy is None:
        draft.ask(("returns", "strategy"), "strategy", columns=_listed(list(columns.values())))
        return
    if not _are_returns(sheet, strategy):
        draft.ask(("returns", "strategy"), "not_returns", column=shown(strategy))
        return
    draft.guess(("returns", "file"), file, "copied")
    draft.guesses += trial.guesses
    for role, column in named.items():
        if column is not None:
            draft.guess(("returns", role), column, "role")
    apart = days_apart(moments)
    periods = next((periods for low, high, periods in _PERIODS if low <= apart <= high), None)
    if periods:
        draft.guess(("returns", "periods_per_year"), periods, "periods", days=apart)
    else:
        draft.ask(("returns", "periods_per_year"), "periods", days=apart)


def _are_returns(sheet: Sheet, name: str) -> bool:
    """Fractions around nought: not levels of a fund, not per cents."""
    try:
        values = numbers(sheet.column(name))[0]
    except BadInputError:
        return True  # the reader will say what is wrong with the cells
    values = values[np.isfinite(values)]
    return not len(values) or bool(np.median(np.abs(values)) < 0.1 and np.abs(values).max() <= 1)  # noqa: PLR2004
