"""What the cells of a column mean: numbers, moments or text. Nothing is coerced without a count, nothing is guessed.

Text becomes numbers only where that is certain (thousands, per cent, brackets for negative, full-width digits, a decimal comma), and
each such kind is counted in a note. A date whose day and month could be exchanged, a serial number or a mixed time zone is refused.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.foreign import shown
from workbench.schema import BadInputError, Fault, Floats, Message

MISSING = {"nan", "na", "n/a", "#n/a", "null", "none", "-", "--", "—", "——"}

_PLAIN = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$"
_PLAIN_WHOLE = r"^-?(0|[1-9]\d*)$"
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_INFINITE = re.compile(r"[-+]?inf(?:inity)?", re.IGNORECASE)

_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_FORMATS = {
    "iso": r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}$",
    "iso_clock": rf"^\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}[ T]{_CLOCK}$",
    "zoned": rf"^\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}[ T]{_CLOCK} ?(?:Z|[-+]\d{{2}}:?\d{{2}})$",
    "chinese": r"^\d{4}年\d{1,2}月\d{1,2}日$",
    "compact": r"^(?:19|20|21)\d{6}$",
    "slashed": rf"^\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{4}}(?:[ T]{_CLOCK})?$",
    "serial": r"^[2-7]\d{4}(?:\.\d+)?$",
    "epoch": r"^\d{9,19}$",
}
_REFUSED = {"serial": "time_serial", "epoch": "time_epoch"}


@dataclass(frozen=True)
class Column:
    """A column of a file as it stands; `first_row` is the row number of its first cell as the user sees it."""

    file: str
    name: str
    data: pa.ChunkedArray
    first_row: int
    decimal_comma: bool = False

    def fault(self, key: str, at: int | None = None, **values: object) -> BadInputError:
        """A fault in this column, at cell `at`."""
        row = None if at is None else self.first_row + at
        return BadInputError([Fault(f"fault.column.{key}", self.file, shown(self.name), row=row, values=values)])

    def cell(self, at: int) -> str:
        """Cell `at` as it may stand in a message."""
        return shown(self.data[at].as_py(), 40)


def numbers(column: Column) -> tuple[Floats, tuple[Message, ...]]:
    """The column as float64 (n,), missing as NaN, with a note for each kind of conversion and its count."""
    data, kind = _decoded(column), _decoded(column).type
    if pa.types.is_null(kind):
        return np.full(len(data), np.nan), ()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _numbers_from_text(column, data)
    if not (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    ):
        raise column.fault("not_numbers", found=str(kind))
    if pa.types.is_boolean(kind):
        data = pc.cast(data, pa.int8())
    return _floats(pc.cast(data, pa.float64(), safe=False)), ()


def _decoded(column: Column) -> pa.ChunkedArray:
    data = column.data
    return pc.cast(data, data.type.value_type) if pa.types.is_dictionary(data.type) else data


def _floats(data: pa.ChunkedArray) -> Floats:
    return np.array(data.to_numpy(), np.float64)


def _trimmed(data: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells without the white space around them; empty ones are null."""
    trimmed = pc.utf8_trim_whitespace(data)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, trimmed.type), trimmed)


def _numbers_from_text(column: Column, data: pa.ChunkedArray) -> tuple[Floats, tuple[Message, ...]]:
    cells = _trimmed(data)
    plain = pc.match_substring_regex(cells, _PLAIN_WHOLE if column.decimal_comma else _PLAIN)
    values = _floats(pc.cast(pc.if_else(plain, cells, pa.scalar(None, cells.type)), pa.float64()))
    others = np.flatnonzero(~np.asarray(pc.fill_null(plain, True)))
    kinds: Counter[str] = Counter()
    bad: list[int] = []
    per_cent = np.zeros(len(values), bool)
    for at, cell in zip(others.tolist(), cells.take(pa.array(others)).to_pylist(), strict=True):
        read = _number(cell, decimal_comma=column.decimal_comma)
        if read is None:
            bad.append(at)
        else:
            values[at] = read[0]
            per_cent[at] = "percent" in read[1]
            kinds.update(read[1])
    if bad:
        raise column.fault("text_in_numbers", bad[0], cell=column.cell(bad[0]), count=len(bad))
    bare = np.flatnonzero(~per_cent & np.isfinite(values) & (values != 0))
    if per_cent.any() and bare.size:
        raise column.fault("percent_mixed", int(bare[0]), cell=column.cell(int(bare[0])), count=int(per_cent.sum()))
    return values, tuple(_converted(column, kind, count) for kind, count in sorted(kinds.items()))


def _converted(column: Column, kind: str, count: int) -> Message:
    values = {"file": column.file, "column": shown(column.name), "count": count, "kind": Message(f"fault.kind.{kind}")}
    return Message("fault.note.converted", values)


def _number(cell: str, *, decimal_comma: bool) -> tuple[float, set[str]] | None:
    """A cell that is not plainly a number -> its value and the kinds of conversion it took; None if it is no number."""
    text = unicodedata.normalize("NFKC", cell).strip().replace("\u2212", "-")
    kinds = {"full_width"} if text != cell else set()
    if text.lower() in MISSING:
        return np.nan, {"missing"}
    if text.startswith("(") and text.endswith(")") and text[1:2] not in "+-":
        text = f"-{text[1:-1]}"
        kinds.add("brackets")
    if text.endswith("%"):
        text = text[:-1].rstrip()
        kinds.add("percent")
    group, mark = (".", ",") if decimal_comma else (",", ".")
    if re.fullmatch(rf"[-+]?[1-9]\d{{0,2}}(?:\{group}\d{{3}})+(?:\{mark}\d*)?", text):
        text = text.replace(group, "")
        kinds.add("thousands")
    if decimal_comma and "." in text:
        return None
    if decimal_comma and "," in text:
        text = text.replace(",", ".")
        kinds.add("decimal_comma")
    if _INFINITE.fullmatch(text):
        return float(text), kinds
    if not _NUMBER.fullmatch(text):
        return None
    return float(text) / (100 if "percent" in kinds else 1), kinds


def anything(column: Column) -> NDArray[np.float64] | NDArray[np.object_] | pd.DatetimeIndex:
    """A column that nobody asked for: numbers where every cell is plainly one, else as it stands; codes such as 000001 stay text."""
    data = _decoded(column)
    if pa.types.is_string(data.type) or pa.types.is_large_string(data.type):
        cells = _trimmed(data)
        if not pc.all(pc.match_substring_regex(cells, _PLAIN), min_count=0).as_py():
            return np.array(cells.to_pylist(), object)
        return _floats(pc.cast(cells, pa.float64()))
    if pa.types.is_temporal(data.type) or pa.types.is_binary(data.type):
        return np.array([None if cell is None else str(cell) for cell in data.to_pylist()], object)
    return numbers(column)[0]


def texts(column: Column) -> NDArray[np.str_]:
    """The column as text (n,), codes as they stand; a missing cell is a fault."""
    data = _decoded(column)
    if not (pa.types.is_string(data.type) or pa.types.is_large_string(data.type)):
        data = pc.cast(data, pa.string())
    cells = _trimmed(data)
    missing = np.flatnonzero(np.asarray(pc.is_null(cells)))
    if missing.size:
        raise column.fault("missing_text", int(missing[0]), count=int(missing.size))
    return np.array(cells.to_pylist(), np.str_)


def times(column: Column, *, missing: bool = False) -> tuple[pd.DatetimeIndex, tuple[Message, ...]]:
    """The column as moments (n,), without time zone (the file's own clock); where `missing`, an empty cell is NaT."""
    data, notes = _decoded(column), []
    if pa.types.is_timestamp(data.type) and data.type.tz is not None:
        notes.append(
            Message("fault.note.zone", {"file": column.file, "column": shown(column.name), "zone": data.type.tz})
        )
        data = pc.local_timestamp(data)
    if pa.types.is_timestamp(data.type) or pa.types.is_date(data.type):
        index = pd.DatetimeIndex(data.to_numpy().astype("datetime64[us]"))
    else:
        index, said = _times_from_text(column, _digits(column, data))
        notes += said
    gaps = np.flatnonzero(index.isna())
    if gaps.size and not missing:
        raise column.fault("missing_time", int(gaps[0]), count=int(gaps.size))
    years = index[index.notna()].year
    if len(years) and (years == 1970).all():  # noqa: PLR2004
        raise column.fault("epoch_1970", 0, cell=column.cell(0))
    return index, tuple(notes)


def _digits(column: Column, data: pa.ChunkedArray) -> list[str | None]:
    """Cells as text, full-width digits as plain ones; whole numbers without a decimal point."""
    if pa.types.is_floating(data.type):
        return [None if v is None or v != v else f"{v:.10g}" for v in data.to_pylist()]  # noqa: PLR0124 - NaN
    if pa.types.is_integer(data.type):
        return [None if v is None else str(v) for v in data.to_pylist()]
    if pa.types.is_string(data.type) or pa.types.is_large_string(data.type):
        cells = _trimmed(data).to_pylist()
        return [c if c is None or c.isascii() else unicodedata.normalize("NFKC", c) for c in cells]
    if pa.types.is_null(data.type):
        return [None] * len(data)
    raise column.fault("not_times", found=str(data.type))


def _times_from_text(column: Column, cells: Sequence[str | None]) -> tuple[pd.DatetimeIndex, list[Message]]:
    there = [at for at, cell in enumerate(cells) if cell is not None]
    if not there:
        return pd.DatetimeIndex([pd.NaT] * len(cells)), []
    full = [cell for cell in cells if cell is not None]
    name = next((name for name, pattern in _FORMATS.items() if re.match(pattern, full[0])), None)
    if name is None or name in _REFUSED:
        raise column.fault(_REFUSED.get(str(name), "time_unreadable"), there[0], cell=column.cell(there[0]))
    pattern = re.compile(_FORMATS[name])
    odd = next((at for at, cell in zip(there, full, strict=True) if not pattern.match(cell)), None)
    if odd is not None:
        zoned = any(re.match(_FORMATS["zoned"], str(cells[at])) for at in (there[0], odd))
        key = "time_zones" if zoned else "time_formats"
        raise column.fault(key, odd, cell=column.cell(odd), first=column.cell(there[0]))
    notes: list[Message] = []
    if name == "zoned":
        full = _without_zone(column, there, full, notes)
    if name == "slashed":
        full = _year_first(column, there, full, notes)
    days, clocks = zip(*(_parts(cell) for cell in full), strict=True)
    dates = pd.to_datetime(pd.Series(days), format="%Y-%m-%d", errors="coerce")
    wrong = np.flatnonzero(dates.isna())
    if wrong.size:
        at = there[int(wrong[0])]
        raise column.fault("no_such_day", at, cell=column.cell(at), count=int(wrong.size))
    moments = np.full(len(cells), np.datetime64("NaT", "us"))
    moments[there] = (dates + pd.to_timedelta(pd.Series(clocks))).to_numpy().astype("datetime64[us]")
    return pd.DatetimeIndex(moments), notes


def _parts(cell: str) -> tuple[str, str]:
    """A year-first moment as `Y-M-D` and `H:M:S`."""
    if cell.isdigit():
        return f"{cell[:4]}-{cell[4:6]}-{cell[6:]}", "0:0:0"
    day, _, clock = cell.replace("T", " ").partition(" ")
    clock = clock or "0:0:0"
    return re.sub(r"[/.年月]", "-", day).rstrip("日"), clock if clock.count(":") > 1 else f"{clock}:00"


def _without_zone(column: Column, there: list[int], cells: list[str], notes: list[Message]) -> list[str]:
    split = [re.fullmatch(r"(.*?) ?(Z|[-+]\d{2}:?\d{2})", cell) for cell in cells]
    zones = [match[2].replace(":", "").replace("Z", "+0000") for match in split if match]
    odd = next((at for at, zone in zip(there, zones, strict=True) if zone != zones[0]), None)
    if odd is not None:
        raise column.fault("time_zones", odd, cell=column.cell(odd), first=column.cell(there[0]))
    notes.append(Message("fault.note.zone", {"file": column.file, "column": shown(column.name), "zone": zones[0]}))
    return [match[1] for match in split if match]


def _year_first(column: Column, there: list[int], cells: list[str], notes: list[Message]) -> list[str]:
    """Day and month in the order that the column itself proves; refused where it proves none or both."""
    fields = [re.split(r"[-/. T]", cell, maxsplit=3) for cell in cells]
    pairs = np.array([[int(field[0]), int(field[1])] for field in fields])
    day_first, month_first = pairs[:, 0] > 12, pairs[:, 1] > 12  # noqa: PLR2004
    if day_first.any() and month_first.any():
        at, other = there[int(np.argmax(day_first))], there[int(np.argmax(month_first))]
        raise column.fault(
            "day_month_mixed", max(at, other), cell=column.cell(max(at, other)), first=column.cell(min(at, other))
        )
    if not (day_first.any() or month_first.any()):
        raise column.fault("day_month_unclear", there[0], cell=column.cell(there[0]))
    key = "fault.note.day_first" if day_first.any() else "fault.note.month_first"
    notes.append(Message(key, {"file": column.file, "column": shown(column.name)}))
    swapped = [(f[1], f[0]) if day_first.any() else (f[0], f[1]) for f in fields]
    return [" ".join([f"{f[2]}-{m}-{d}", *f[3:]]) for f, (m, d) in zip(fields, swapped, strict=True)]
