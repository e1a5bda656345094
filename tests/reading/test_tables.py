"""Files as users have them: each is read right, or refused with the row and what to do."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.reading import tables
from workbench.reading.tables import RawTable, read_table
from workbench.schema import BadInputError

CSV = "date,利率,code\n2020-01-01,1.5,000001\n2020-01-02,2.5,000002\n"
CELLS = {"date": ["2020-01-01", "2020-01-02"], "利率": ["1.5", "2.5"], "code": ["000001", "000002"]}


def read(folder: Path, content: str | bytes, name: str = "t.csv") -> RawTable:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(folder / name, name)


def refused(folder: Path, content: str | bytes, name: str = "t.csv") -> tuple[str, str | None, int | None]:
    """Key, place and row of the only fault."""
    with pytest.raises(BadInputError) as raised:
        read(folder, content, name)
    (fault,) = raised.value.faults
    assert fault.file == name
    assert fault.spoken("en") != fault.spoken("zh")
    return fault.key.removeprefix("fault.table."), fault.place, fault.row


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_encoding_of_a_chinese_desk_is_read(tmp_path, encoding, end):
    table = read(tmp_path, CSV.replace("\n", end).encode(encoding))
    assert table.data.to_pydict() == CELLS
    assert bool(table.notes) == (not encoding.startswith("utf-8"))


def test_a_compressed_csv_is_read(tmp_path):
    assert read(tmp_path, gzip.compress(CSV.encode()), "t.csv.gz").data.to_pydict() == CELLS


@pytest.mark.parametrize(
    ("content", "comma"),
    [
        ("a;b\n0,5;x,y\n1,25;z\n", True),
        ("a;b\n0.5;x\n1.25;z\n", False),
        ("a;b\n1.234,5;x\n", True),
    ],
)
def test_semicolons_and_decimal_commas_are_told_from_the_table(tmp_path, content, comma):
    table = read(tmp_path, content)
    assert table.data.column_names == ["a", "b"]
    assert table.decimal_comma is comma
    assert table.notes[0].key == ("fault.note.semicolon_comma" if comma else "fault.note.semicolon")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ("empty", None, None)),
        ("\n\n", ("empty", None, None)),
        ("a,b\n", ("no_rows", None, None)),
        ("a,b\n1,2\n3\n4,5\n", ("short_row", None, 3)),
        ("a,b\n1,2\n3,4\n5,6,7\n", ("long_row", None, 4)),
        ("a,b\n1,2\n1,234,567\n", ("thousands", None, 3)),
        ("a,b,a\n1,2,3\n", ("duplicate_column", "a", 1)),
        ('a,b\n1,"2\n3,4\n', ("quote", None, None)),
        ("a;b\n1,234;x\n2,500;y\n", ("comma_unclear", "a", 2)),
        (b"a,b\n1,\xff\xff\xff\n", ("encoding", None, 2)),
    ],
)
def test_what_would_be_a_guess_is_refused_with_its_row(tmp_path, content, expected):
    assert refused(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("t.xlsx", b"PK", "ending"),
        ("t.parquet", b"", "parquet_damaged"),
        ("t.parquet", b"PAR1 this is not", "parquet_damaged"),
        ("t.csv.gz", b"a,b\n1,2\n", "gzip_damaged"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-6], "gzip_damaged"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, name, content, key):
    assert refused(tmp_path, content, name)[0] == key


def parquet(folder: Path, table: pa.Table) -> bytes:
    pq.write_table(table, folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_parquet_file_that_was_cut_off_is_refused(tmp_path, share):
    content = parquet(tmp_path, pa.table({"a": np.arange(1000.0)}))
    assert refused(tmp_path, content[: int(len(content) * share)], "t.parquet")[0] == "parquet_damaged"


def test_parquet_keeps_its_types(tmp_path):
    made = pa.table({"a": [1.5, None], "code": ["000001", "000002"]})
    table = read(tmp_path, parquet(tmp_path, made), "t.parquet")
    assert table.first_row == 1
    assert table.data["a"].to_pylist() == [1.5, None]
    assert table.data["code"].to_pylist() == ["000001", "000002"]


def test_a_parquet_bomb_is_refused_from_its_footer(tmp_path, monkeypatch):
    content = parquet(tmp_path, pa.table({"a": pa.array(np.zeros(30_000_000), pa.float32())}))
    assert len(content) < 2**20
    monkeypatch.setattr(tables.pyarrow.parquet, "read_table", lambda *_, **__: pytest.fail("read the whole table"))
    assert refused(tmp_path, content, "t.parquet")[0] == "bomb"


def test_one_long_text_a_million_times_stays_small(tmp_path):
    made = pa.table({"a": pa.DictionaryArray.from_arrays(pa.array(np.zeros(200_000, np.int32)), ["x" * 100_000])})
    assert read(tmp_path, parquet(tmp_path, made), "t.parquet").data.nbytes < 10_000_000


@pytest.mark.parametrize("column", [pa.array([[1], [2]]), pa.array([{"x": 1}, {"x": 2}])])
def test_nested_columns_are_refused(tmp_path, column):
    assert refused(tmp_path, parquet(tmp_path, pa.table({"a": column})), "t.parquet") == ("nested", "a", None)


def test_a_csv_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LARGEST_BYTES", 1000)
    assert refused(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 1000), "t.csv.gz")[0] == "large"


@given(st.binary(max_size=400), st.sampled_from(["t.csv", "t.csv.gz", "t.parquet"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_table_or_bad_input(tmp_path_factory, content, name):
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(content)
    try:
        table = read_table(folder / name, name)
    except BadInputError as error:
        spoken = [fault.spoken("zh") for fault in error.faults]
    else:
        spoken = table.data.column_names
    assert spoken


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_flipped_parquet_byte_is_a_table_or_bad_input(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    content = bytearray(parquet(folder, pa.table({"a": np.arange(200.0), "b": ["x", "y"] * 100})))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / "t.parquet").write_bytes(content)
    try:
        seen = read_table(folder / "t.parquet", "t.parquet").data.num_rows
    except BadInputError as error:
        seen = len(error.faults)
    assert seen
