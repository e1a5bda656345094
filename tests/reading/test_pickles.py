"""Real pickles of every kind are told apart from everything that may be read, and none is ever opened."""

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
import zlib
from pathlib import Path

import cloudpickle
import joblib
import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from builders import FEATURES, make_bundle, model_text, panel_table
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workbench.bundles import load_bundle, shipped_bundles
from workbench.reading.pickles import is_pickle, library_in
from workbench.reading.tables import read_table
from workbench.schema import BadInputError
from workbench.shipped import shipped

RIDGE = make_pipeline(StandardScaler(), Ridge()).fit(np.eye(5), np.arange(5.0))


class Trap:
    """What a pickle can do."""

    def __reduce__(self):
        return (print, ("opened",))


def lz4(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def torch_zip() -> bytes:
    """The members that torch.save writes, in its order, uncompressed."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"weight": 1}, 2))
        archive.writestr("model/version", "3\n")
    return sink.getvalue()


def numpy_objects() -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.array([{"a": 1}, None], object))
    return sink.getvalue()


def legacy_torch() -> bytes:
    """torch.save before 1.6: a magic number, a protocol's version, then the object, each pickled."""
    return pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"a": 1}, 2)


def joblib_dump(model: object, **how: object) -> bytes:
    sink = io.BytesIO()
    joblib.dump(model, sink, **how)
    return sink.getvalue()


OBJECTS = {"model": RIDGE, "dict": {"model": RIDGE}, "list": [RIDGE], "tuple": (1, RIDGE), "trap": Trap()}
PICKLES = {f"{name} {n}": pickle.dumps(o, n) for name, o in OBJECTS.items() for n in range(6)}
PICKLES |= {f"joblib {how}": joblib_dump(RIDGE, compress=how) for how in ("zlib", "gzip", "bz2", "xz", "lzma")}
PICKLES |= {f"joblib {level}": joblib_dump(RIDGE, compress=level) for level in (0, 1, 9)}
PICKLES |= {"cloudpickle": cloudpickle.dumps(lambda x: x + 1), "lz4": lz4(pickle.dumps(RIDGE))}
PICKLES |= {"torch": torch_zip(), "old torch": legacy_torch(), "numpy objects": numpy_objects()}
PICKLES |= {"long": bz2.compress(pickle.dumps(np.random.default_rng(0).normal(size=400_000)))}


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("name", ["model.pkl", "model.txt"])
def test_every_kind_is_told_by_its_content(tmp_path, kind, name):
    (tmp_path / name).write_bytes(PICKLES[kind])
    assert is_pickle(tmp_path / name)


def harmless() -> dict[str, bytes]:
    sink = io.BytesIO()
    np.save(sink, np.arange(5.0))
    table = b"cusip\nAAPL\nMSFT\n"
    skops = io.BytesIO()
    with zipfile.ZipFile(skops, "w") as archive:
        archive.writestr("schema.json", '{"__class__": "Ridge"}')
    return {
        "lightgbm": model_text().encode(),
        "csv": panel_table().to_csv().encode(),
        "one column": table,
        "gbk": "日期,利率\n2022-10-13,2.5\n".encode("gbk"),
        "csv.gz": gzip.compress(table),
        "csv.xz": lzma.compress(table),
        "numbers": sink.getvalue(),
        "skops": skops.getvalue(),
        "empty": b"",
        "json": b'{"learner": {}}',
        "cut gzip": gzip.compress(pickle.dumps(RIDGE))[:12],
        "damaged zlib": b"x\x9c" + b"no such thing",
        "damaged lz4": b"\x04\x22\x4d\x18" + b"\xff" * 40,
        "zstd": b"\x28\xb5\x2f\xfd" + b"\xff" * 40,
        "text": b"closing prices\nof the day.",
        "huge lzma": b"]\0\0\0\xff" + b"\xff" * 40,
    }


@pytest.mark.parametrize("kind", harmless())
def test_nothing_else_is_taken_for_one(tmp_path, kind):
    (tmp_path / "file").write_bytes(harmless()[kind])
    assert not is_pickle(tmp_path / "file")


def test_no_shipped_file_is_taken_for_one():
    for name in shipped_bundles():
        assert not [file for file in (shipped("datasets") / name).iterdir() if is_pickle(file)]


def test_a_bomb_is_unpacked_only_so_far(tmp_path):
    (tmp_path / "bomb").write_bytes(zlib.compress(b"\0" * (200 << 20), 9))
    before = resident()
    assert not is_pickle(tmp_path / "bomb")
    assert resident() - before < 32 << 20


def resident() -> int:
    """Bytes of memory that this process holds."""
    if not Path("/proc/self/statm").exists():
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def fitted_lightgbm():
    return lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(np.eye(40), np.arange(40.0))


@pytest.mark.parametrize(
    ("made", "library"),
    [
        (lambda: RIDGE, "sklearn"),
        (fitted_lightgbm, "lightgbm"),
        (lambda: make_pipeline(StandardScaler(), fitted_lightgbm()), "sklearn"),
        (dict, None),
    ],
)
@pytest.mark.parametrize("protocol", range(6))
def test_the_library_is_seen_in_it(tmp_path, made, library, protocol):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(made(), protocol))
    assert library_in(path) == library


@pytest.mark.parametrize("name", ["torch", "old torch"])
def test_torch_is_seen_in_its_wrapping(tmp_path, name):
    (tmp_path / "m.pt").write_bytes(PICKLES[name])
    assert library_in(tmp_path / "m.pt") == "torch"


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_bundle_with_one_is_refused_unopened(tmp_path, capsys, protocol):
    folder = make_bundle(tmp_path, model=pickle.dumps([Trap(), RIDGE], protocol))
    with pytest.raises(BadInputError) as bad:
        load_bundle(folder)
    (fault,) = bad.value.faults
    assert (fault.key, fault.file) == ("fault.model.pickled", "model.txt")
    assert 'skops.io.dump(model, "model.skops")' in fault.spoken("en")
    assert "opened" not in capsys.readouterr().out
    assert "从不打开" in fault.spoken("zh")


def test_what_cannot_be_seen_gets_all_the_ways(tmp_path):
    folder = make_bundle(tmp_path, model=pickle.dumps({"a": 1}))
    with pytest.raises(BadInputError) as bad:
        load_bundle(folder)
    said = bad.value.faults[0].spoken("en")
    assert all(word in said for word in ("model.skops", "model.txt", "model.json", "model.cbm", "model.onnx"))


@pytest.mark.parametrize("name", ["panel.pkl", "panel.csv", "panel.pkl.gz"])
def test_a_table_that_is_one_is_refused(tmp_path, name):
    pd.DataFrame({name: [1.0] for name in FEATURES}).to_pickle(tmp_path / name)
    with pytest.raises(BadInputError) as bad:
        read_table(tmp_path / name, name)
    assert [fault.key for fault in bad.value.faults] == ["fault.table.pickled"]
    assert "Parquet" in bad.value.faults[0].spoken("en")


def test_cut_anywhere_it_never_raises(tmp_path):
    path, rng = tmp_path / "file", np.random.default_rng(0)
    for content in PICKLES.values():
        for _ in range(3):
            damaged = bytearray(content[: int(rng.integers(1, len(content)))])
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
            path.write_bytes(bytes(damaged[:200_000]))
            assert is_pickle(path) in {True, False}
            assert library_in(path) in {"torch", "sklearn", None}
