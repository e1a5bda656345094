"""A panel in a stream: the same rows and the same faults as when it is read whole, whatever the row groups."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from builders import FEATURES, make_bundle, panel_table
from hypothesis import given
from hypothesis import strategies as st

from workbench.bundles import load_bundle, open_bundle, shipped_bundles
from workbench.manifest import PanelSection
from workbench.reading import stream as streaming
from workbench.reading import survey as surveying
from workbench.reading.stream import Reader, Stream
from workbench.schema import BadInputError

ROWS = 600


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """So that a small table has many of them."""
    monkeypatch.setattr(surveying, "SURVEY_ROWS", 64)


def table(entities: bool = False) -> pd.DataFrame:
    """Typed: times are times. With `entities`, two bonds that take turns."""
    found = panel_table(rows=ROWS).copy()
    found["date"] = pd.to_datetime(found["date"])
    if entities:
        found["date"] = found["date"].to_numpy().repeat(2)[:ROWS]
        found["bond"] = np.resize(["A", "B"], ROWS)
    return found


def bundle(folder, panel: pd.DataFrame, *, group: int = 100, statistics: bool = True, entity=None, **changes):
    """A bundle whose panel is Parquet in row groups."""
    make_bundle(folder, panel={"file": "panel.parquet", "entity": entity}, returns=None, **changes)
    data = pa.Table.from_pandas(panel, preserve_index=False)
    pyarrow.parquet.write_table(data, folder / "panel.parquet", row_group_size=group, write_statistics=statistics)
    return folder


def all_rows(stream: Stream, most: int = 50) -> np.ndarray:
    with Reader(stream, most) as reader:
        return np.concatenate([rows.X for rows in reader.rows(0, stream.rows)])


@pytest.mark.parametrize("name", shipped_bundles())
def test_a_shipped_bundle_opens_as_it_loads(name):
    loaded, (opened, stream) = load_bundle(name), open_bundle(name)
    assert (opened.models, opened.bundle_sha256, opened.notes) == (loaded.models, loaded.bundle_sha256, loaded.notes)
    assert len(opened.panel.times) == 0
    assert stream.whole is None
    np.testing.assert_array_equal(all_rows(stream), loaded.panel.X)


def test_a_csv_is_read_by_the_rules_for_text(tmp_path):
    make_bundle(tmp_path, panel_edit=lambda t: t.assign(slope=[f"{x:.4%}" for x in t["slope"]]))
    loaded, (opened, stream) = load_bundle(tmp_path), open_bundle(tmp_path)
    np.testing.assert_array_equal(all_rows(stream), loaded.panel.X)
    assert set(map(str, opened.notes)) == set(map(str, loaded.notes))
    assert stream.first_row == 2


def test_text_in_parquet_is_read_whole_while_it_is_small(tmp_path, monkeypatch):
    bundle(tmp_path, panel_table(rows=ROWS))
    _, stream = open_bundle(tmp_path)
    assert stream.whole is not None
    np.testing.assert_array_equal(all_rows(stream), load_bundle(tmp_path).panel.X)
    monkeypatch.setattr(streaming, "MOST_CELLS", 1000)
    with pytest.raises(BadInputError) as bad:
        open_bundle(tmp_path)
    assert [(f.key, f.place) for f in bad.value.faults] == [("fault.table.untyped", "date")]


@pytest.mark.parametrize("kind", [pa.float32(), pa.decimal128(12, 4), pa.int16(), pa.bool_()])
def test_numbers_of_any_kind_are_doubles(tmp_path, kind):
    bundle(tmp_path, table())
    data = pyarrow.parquet.read_table(tmp_path / "panel.parquet")
    values = pa.array([None if i % 7 == 0 else i % 2 for i in range(ROWS)]).cast(pa.float64()).cast(kind)
    at = data.column_names.index("spread")
    pyarrow.parquet.write_table(data.set_column(at, "spread", values), tmp_path / "panel.parquet", row_group_size=150)
    np.testing.assert_array_equal(all_rows(open_bundle(tmp_path)[1]), load_bundle(tmp_path).panel.X)


def test_a_zone_is_taken_off_as_in_a_panel_that_is_read_whole(tmp_path):
    bundle(tmp_path, table().assign(date=lambda t: t["date"].dt.tz_localize("Asia/Shanghai")))
    (opened, stream), loaded = open_bundle(tmp_path), load_bundle(tmp_path)
    with Reader(stream, 1000) as reader:
        (rows,) = reader.rows(0, ROWS)
    assert (rows.times == loaded.panel.times).all()
    assert [n.key for n in opened.notes] == ["fault.note.zone"]


@given(st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(1, 200)), min_size=1, max_size=6), st.integers(1, 97))
def test_a_reader_gives_any_ranges_in_any_order(tmp_path_factory, ranges, most):
    stream, whole = typed(tmp_path_factory)
    with Reader(stream, most) as reader:
        for start, length in ranges:
            pieces = list(reader.rows(start, min(start + length, ROWS)))
            assert max(len(piece.X) for piece in pieces) <= most
            np.testing.assert_array_equal(np.concatenate([p.X for p in pieces]), whole[start : start + length])


def typed(factory, kept=[]):  # noqa: B006 - made once for all examples
    if not kept:
        folder = bundle(factory.mktemp("typed"), table(), group=130)
        stream = open_bundle(folder)[1]
        kept += [stream, load_bundle(folder).panel.X]
    return kept


def at(row, column, value):
    def edit(t):
        t.loc[row, column] = value
        return t

    return edit


def swapped(t):
    t.loc[[300, 301], "date"] = t.loc[[301, 300], "date"].to_numpy()
    return t


BAD = {
    "infinite": at(437, "spread", np.inf),
    "two infinite columns": lambda t: at(80, "slope", -np.inf)(at([437, 500], "spread", np.inf)(t)),
    "backwards": swapped,
    "twice, at the edge of a batch": at(64, "date", pd.bdate_range("2018-01-01", periods=ROWS)[63]),
    "no time": at(250, "date", pd.NaT),
    "a column without numbers": lambda t: t.assign(momentum=np.nan),
    "a column less": lambda t: t.drop(columns=["volatility", "slope"]),
    "all in 1970": lambda t: t.assign(date=pd.to_datetime(np.arange(ROWS) * 1000)),
}


@pytest.mark.parametrize("statistics", [True, False], ids=["statistics", "none"])
@pytest.mark.parametrize("edit", BAD.values(), ids=BAD)
def test_faults_are_those_of_a_panel_that_is_read_whole(tmp_path, edit, statistics):
    bundle(tmp_path, edit(table()), statistics=statistics)
    told = []
    for reads in (load_bundle, open_bundle):
        with pytest.raises(BadInputError) as bad:
            reads(tmp_path)
        told.append({fault.spoken() for fault in bad.value.faults})
    assert told[0] == told[1]


def test_each_instrument_has_a_time_of_its_own(tmp_path):
    bundle(tmp_path, table(entities=True), entity="bond")
    assert open_bundle(tmp_path)[1].rows == ROWS
    bundle(
        tmp_path,
        table(entities=True).iloc[:-1].assign(bond=lambda t: np.where(t.index == 401, "A", t["bond"])),
        entity="bond",
    )
    with pytest.raises(BadInputError) as bad:
        open_bundle(tmp_path)
    (fault,) = bad.value.faults
    assert (fault.key, fault.row, fault.values["other"]) == ("fault.column.duplicate_time", 402, 401)
    bundle(tmp_path, table(entities=True).assign(bond=lambda t: t["bond"].where(t.index != 333)), entity="bond")
    with pytest.raises(BadInputError) as bad:
        open_bundle(tmp_path)
    assert ("fault.column.missing_text", 334) in [(f.key, f.row) for f in bad.value.faults]


def test_instruments_one_below_the_other_stay_so(tmp_path):
    panel = table(entities=True).sort_values(["bond", "date"], ignore_index=True)
    bundle(tmp_path, panel, entity="bond")
    stream = open_bundle(tmp_path)[1]
    np.testing.assert_array_equal(all_rows(stream), panel[list(FEATURES)])


@pytest.mark.parametrize("embargo", [0, 20, 10_000])
def test_the_current_model_takes_over_when_it_does_in_a_panel_read_whole(tmp_path, embargo):
    refits = {"model": {"refits": [{"file": "old.txt", "from": "2018-01-01", "train_end": "2017-12-01"}]}}
    bundle(tmp_path, table(), split={"embargo": embargo})
    (tmp_path / "old.txt").write_bytes((tmp_path / "model.txt").read_bytes() + b"\n")
    text = (tmp_path / "bundle.toml").read_text()
    refit = refits["model"]["refits"][0]
    lines = "\n".join(f'{key} = "{value}"' for key, value in refit.items())
    (tmp_path / "bundle.toml").write_text(f"{text}\n[[model.refits]]\n{lines}\n")
    loaded, (opened, _) = load_bundle(tmp_path), open_bundle(tmp_path)
    assert opened.models == loaded.models
    assert len(opened.models) == 2


def test_a_file_that_breaks_off_is_told(tmp_path):
    bundle(tmp_path, table())
    content = (tmp_path / "panel.parquet").read_bytes()
    (tmp_path / "panel.parquet").write_bytes(content[:-200])
    with pytest.raises(BadInputError) as bad:
        open_bundle(tmp_path)
    assert [f.key for f in bad.value.faults] == ["fault.table.parquet_damaged"]
    middle = bytearray(content)
    middle[len(content) // 3 : len(content) // 3 + 4000] = bytes(4000)
    (tmp_path / "panel.parquet").write_bytes(middle)
    section = PanelSection(file="panel.parquet", time="date")
    with pytest.raises(BadInputError) as bad:
        all_rows(Stream(tmp_path / "panel.parquet", section, FEATURES))
    assert [f.key for f in bad.value.faults] == ["fault.table.parquet_damaged"]


def test_faults_of_the_manifest_and_the_panel_come_together(tmp_path):
    bundle(tmp_path, at(437, "spread", np.inf)(table()), split={"train_end": "soon"})
    with pytest.raises(BadInputError) as bad:
        open_bundle(tmp_path)
    assert {f.key for f in bad.value.faults} >= {"fault.value.type", "fault.column.infinite"}
