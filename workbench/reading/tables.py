"""Tables from files as they stand: encoding, delimiter and shape are settled here, the meaning of cells in `columns.py`.

A CSV comes as text, cell for cell; a Parquet file with its own types. What would make a reader guess (a row that is too long, two
columns of one name) is refused with the row, and a file that would unpack to too much is refused before it is unpacked.
"""

import csv
import gzip
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from workbench.reading.pickles import refuse_pickled_table
from workbench.schema import BadInputError, Fault, Message

LARGEST_BYTES = 512 * 2**20
MOST_CELLS = 25_000_000
CSV_ENDINGS = (".csv", ".csv.gz")

_THOUSANDS = re.compile(r"(?<!\d)\d{1,3}(?:,\d{3})+(?!\d)")
_COMMA_NUMBER = re.compile(r"[-+(]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+[%)]?")
_COMMA_UNCLEAR = re.compile(r"[-+(]?[1-9]\d{0,2},\d{3}[%)]?")


@dataclass(frozen=True)
class RawTable:
    """A file's columns. `first_row` is the row number of the first record as the user sees it (a CSV's header is row 1)."""

    file: str
    data: pa.Table
    first_row: int
    decimal_comma: bool = False
    notes: tuple[Message, ...] = ()


def read_table(path: Path, file: str) -> RawTable:
    """Read a CSV (`.csv`, `.csv.gz`) or a Parquet file; `file` is its name in the manifest. Raises `BadInputError`."""
    refuse_pickled_table(path, file)
    if path.name.endswith(".parquet"):
        return _parquet(path, file)
    if path.name.endswith(CSV_ENDINGS):
        return _csv(path, file)
    raise BadInputError([Fault("fault.table.ending", file, values={"ending": path.suffix or path.name})])


def _parquet(path: Path, file: str) -> RawTable:
    try:
        with pyarrow.parquet.ParquetFile(path) as parquet:
            footer, schema = parquet.metadata, parquet.schema_arrow
            unpacked = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
            _refuse_bomb(file, footer.num_rows, footer.num_columns, unpacked)
            check_schema(file, schema)
        # dictionaries stay dictionaries: one long text repeated a million times must not be unpacked
        texts = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        data = pyarrow.parquet.read_table(path, read_dictionary=texts, use_threads=False, partitioning=None)
        data.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInputError([Fault("fault.table.parquet_damaged", file)]) from error
    if not data.num_rows:
        raise BadInputError([Fault("fault.table.no_rows", file)])
    return RawTable(file, data, 1)


def _refuse_bomb(file: str, rows: int, columns: int, unpacked: int) -> None:
    if rows * columns > MOST_CELLS or unpacked > LARGEST_BYTES:
        values = {"rows": rows, "columns": columns, "mb": unpacked >> 20}
        limits = {"most_cells": MOST_CELLS, "limit_mb": LARGEST_BYTES >> 20}
        raise BadInputError([Fault("fault.table.bomb", file, values={**values, **limits})])


def check_schema(file: str, schema: pa.Schema) -> None:
    """Refuse two columns of one name, and cells that are lists or records."""
    _refuse_twins(file, schema.names)
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    if nested:
        raise BadInputError([Fault("fault.table.nested", file, nested[0])])


def _refuse_twins(file: str, names: list[str]) -> None:
    twins = [name for name, count in Counter(names).items() if count > 1]
    if twins:
        raise BadInputError([Fault("fault.table.duplicate_column", file, name, row=1) for name in twins])


def _csv(path: Path, file: str) -> RawTable:
    text, encoding = _decode(file, _content(path, file))
    notes = [] if encoding == "utf-8" else [Message("fault.note.encoding", {"file": file, "encoding": encoding})]
    text = text.rstrip("\r\n\0")
    if not text.strip():
        raise BadInputError([Fault("fault.table.empty", file)])
    if text.count('"') % 2:
        raise BadInputError([Fault("fault.table.quote", file)])
    first, _, rest = text.partition("\n")
    if not rest:
        raise BadInputError([Fault("fault.table.no_rows", file)])
    delimiter = ";" if _unquoted(first, ";") > _unquoted(first, ",") else ","
    header = _header(text, delimiter, file)
    names = [name.strip() for name in header]
    _refuse_twins(file, names)
    data = _records(text, header, delimiter, file).rename_columns(names)
    decimal_comma = delimiter == ";" and _decimal_comma(file, data)
    if delimiter == ";":
        key = "fault.note.semicolon_comma" if decimal_comma else "fault.note.semicolon"
        notes.append(Message(key, {"file": file}))
    return RawTable(file, data, 2, decimal_comma, tuple(notes))


def _content(path: Path, file: str) -> bytes:
    """The file's bytes, unpacked at most to the limit."""
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except (OSError, EOFError) as error:
        raise BadInputError([Fault("fault.table.gzip_damaged", file)]) from error
    if len(content) > LARGEST_BYTES:
        raise BadInputError([Fault("fault.table.large", file, values={"limit_mb": LARGEST_BYTES >> 20})])
    return content


def _decode(file: str, content: bytes) -> tuple[str, str]:
    """Text and the name of its encoding: UTF-8, UTF-16 (by its mark or its zero bytes) or GB18030, of which GBK is a part."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        candidates = ["utf-16"]
    elif b"\0" in content[:1000]:
        candidates = ["utf-16-le" if content[1:2] == b"\0" else "utf-16-be"]
    else:
        candidates = ["utf-8", "gb18030"]
    for encoding in candidates:
        try:
            return content.removeprefix(BOM_UTF8).decode(encoding), encoding
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
    raise BadInputError([Fault("fault.table.encoding", file, row=line)])


def _unquoted(line: str, mark: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(mark)


def _header(text: str, delimiter: str, file: str) -> list[str]:
    try:
        header = next(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:
        header = []
    if not header:
        raise BadInputError([Fault("fault.table.csv_damaged", file, row=1)])
    return header


def _records(text: str, header: list[str], delimiter: str, file: str) -> pa.Table:
    """Every record as text; a record of another width than the header's is a fault."""
    wrong: list[pyarrow.csv.InvalidRow] = []

    def keep(row: pyarrow.csv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    try:
        data = pyarrow.csv.read_csv(
            io.BytesIO(text.encode()),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=1 << 24),
            pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowException as error:
        raise BadInputError([Fault("fault.table.csv_damaged", file)]) from error
    if not wrong and data.num_columns != len(header):
        raise BadInputError([Fault("fault.table.csv_damaged", file, row=1)])
    if wrong:
        raise BadInputError([_width_fault(file, wrong)])
    _refuse_bomb(file, data.num_rows, data.num_columns, len(text))
    return data


def _width_fault(file: str, wrong: list["pyarrow.csv.InvalidRow"]) -> Fault:
    first = wrong[0]
    long = first.actual_columns > first.expected_columns
    key = "thousands" if long and _THOUSANDS.search(first.text) else "long_row" if long else "short_row"
    values = {"found": first.actual_columns, "expected": first.expected_columns, "count": len(wrong)}
    return Fault(f"fault.table.{key}", file, row=first.number, values=values)


def _decimal_comma(file: str, data: pa.Table) -> bool:
    """Whether commas are decimal marks in a table that is delimited by semicolons; refused where `1,234` could be either."""
    seen = [
        (name, at, cell)
        for name in data.column_names
        for at, cell in enumerate(data[name].to_pylist())
        if _COMMA_NUMBER.fullmatch(cell.strip())
    ]
    if seen and all(_COMMA_UNCLEAR.fullmatch(cell.strip()) for _, _, cell in seen):
        name, at, cell = seen[0]
        raise BadInputError([Fault("fault.table.comma_unclear", file, name, row=at + 2, values={"cell": cell[:40]})])
    return bool(seen)
