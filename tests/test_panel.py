"""Every row explained: the same to the last bit whatever the parts, the workers and what died on the way; fail closed."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from builders import FEATURES, make_bundle, panel_table
from distributed import KilledWorker

from workbench import desk as desks_room
from workbench.bundles import load_bundle, open_bundle
from workbench.desk import Desk
from workbench.panel import cluster
from workbench.panel.folder import MANIFEST, Folder
from workbench.panel.job import prepare
from workbench.panel.part import explain_part
from workbench.panel.run import explain_panel
from workbench.reading.stream import Reader
from workbench.schema import Attributions, BadInputError, ModelFailedError

ROOT = Path(__file__).parents[1]
TILT = "us_rates_plus_tilt"
PARTS = 120  # of five rows


@pytest.fixture(scope="module")
def two():
    """Two desks for all tests that do them no harm."""
    with Desk() as one, Desk() as other:
        yield one, other


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A CSV bundle of 600 rows."""
    return make_bundle(tmp_path_factory.mktemp("small"), returns=None)


@pytest.fixture(scope="module")
def tilt(tmp_path_factory, two):
    """Sixteen models, 5,439 rows in parts of 500."""
    folder = tmp_path_factory.mktemp("tilt") / "out"
    explained(TILT, folder, two, rows_per_part=500)
    return folder


@pytest.fixture(scope="module")
def many(small, tmp_path_factory, two):
    """The small bundle in parts of five rows: what every other such run must give, file by file."""
    folder = tmp_path_factory.mktemp("many") / "out"
    explained(small, folder, two, rows_per_part=5)
    return folder


def explained(bundle, folder, two, **how):
    return explain_panel(*open_bundle(bundle), folder, two, **how)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("part-*")}


def together(folder):
    return pa.concat_tables(pyarrow.parquet.read_table(path) for path in sorted(folder.glob("part-*")))


def faults(call, *given, **how):
    with pytest.raises(BadInputError) as bad:
        call(*given, **how)
    assert all("{" not in fault.spoken(lang) for fault in bad.value.faults for lang in ("en", "zh"))
    return [(fault.key, fault.place or fault.file) for fault in bad.value.faults]


def test_each_row_is_explained_by_the_model_that_was_live(tilt, desk):
    bundle, table = load_bundle(TILT), pd.read_parquet(tilt)
    assert list(table.columns) == ["date", "prediction", "base_value", *bundle.panel.features]
    assert (pd.DatetimeIndex(table["date"]) == bundle.panel.times).all()
    for i, model in enumerate(bundle.models):
        mine = bundle.served_by() == i
        found = desk.attributions(bundle, bundle.panel.X[mine], model)
        np.testing.assert_array_equal(table.loc[mine, list(bundle.panel.features)], found.values)
        np.testing.assert_array_equal(table.loc[mine, "base_value"], found.base_values)
        np.testing.assert_array_equal(table.loc[mine, "prediction"], found.predictions)


def test_a_part_says_what_it_is(tilt):
    bundle, schema = load_bundle(TILT), pyarrow.parquet.read_schema(tilt / "part-00007.parquet")
    facts = json.loads(schema.metadata[b"workbench"])
    assert (facts["method"], facts["panel_sha256"]) == ("tree_shap", bundle.panel_sha256)
    assert [model["sha256"] for model in facts["models"]] == [model.sha256 for model in bundle.models]
    assert set(facts["versions"]) == {"workbench", "lightgbm", "numba"}
    roles = [field.metadata[b"role"].decode() for field in schema]
    assert roles == ["time", "prediction", "base_value", *["contribution"] * len(bundle.panel.features)]


@pytest.mark.parametrize(("rows_per_part", "lanes"), [(7, 2), (7, 1), (1000, 2), (250, 2)])
def test_parts_and_lanes_make_no_difference(small, tmp_path, two, rows_per_part, lanes):
    explained(small, tmp_path / "one", two[:1], rows_per_part=600)
    done = explained(small, tmp_path / "more", two[:lanes], rows_per_part=rows_per_part)
    assert len(done.job.parts) == len(contents(tmp_path / "more")) == -(-600 // rows_per_part)
    assert together(tmp_path / "more").equals(together(tmp_path / "one"))


def test_a_row_a_part(tmp_path, two):
    make_bundle(tmp_path / "b", rows=60, returns=None, split={"train_end": "2018-02-20"}, model="rows of others")
    shutil.copy(make_bundle(tmp_path / "c") / "model.txt", tmp_path / "b" / "model.txt")
    explained(tmp_path / "b", tmp_path / "one", two, rows_per_part=60)
    explained(tmp_path / "b", tmp_path / "sixty", two, rows_per_part=1)
    assert len(contents(tmp_path / "sixty")) == 60
    assert together(tmp_path / "sixty").equals(together(tmp_path / "one"))


def test_instruments_and_the_order_of_the_file_stay(tmp_path, two):
    make_bundle(tmp_path / "b", panel={"file": "panel.parquet", "entity": "bond"}, returns=None)
    panel = panel_table().assign(date=lambda t: pd.to_datetime(t["date"]), bond=["B "] * 300 + ["A"] * 300)
    panel.to_parquet(tmp_path / "b" / "panel.parquet", row_group_size=100)
    explained(tmp_path / "b", tmp_path / "one", two, rows_per_part=64)
    found = together(tmp_path / "one").to_pandas()
    assert (found["date"] == panel["date"]).all()
    assert (found["bond"] == panel["bond"].str.strip()).all()


def test_single_precision_is_the_same_rounded(small, tmp_path, two):
    explained(small, tmp_path / "double", two)
    explained(small, tmp_path / "single", two, single=True)
    double, single = (together(tmp_path / name).to_pandas()[list(FEATURES)] for name in ("double", "single"))
    assert set(single.dtypes.astype(str)) == {"float32"}
    np.testing.assert_array_equal(single, double.astype(np.float32))


def command(*words, **how):
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", "panel", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


def finished(folder):
    try:
        return {f"part-{one['part']:05}.parquet" for one in json.loads((folder / MANIFEST).read_bytes())["finished"]}
    except OSError:
        return set()


def until(holds, seconds=90):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_goes_on_where_it_was(small, many, tmp_path, two, sign):
    process = command(
        small, "--out", tmp_path / "out", "--rows-per-part", 5, "--workers", 2 if sign == signal.SIGKILL else 1
    )
    until(lambda: len(finished(tmp_path / "out")) >= 20 or process.poll() is not None)
    process.send_signal(sign)
    _, said = process.communicate()
    assert process.returncode == (130 if sign == signal.SIGINT else -sign), said
    kept = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in finished(tmp_path / "out")}
    assert 20 <= len(kept) < PARTS
    if sign == signal.SIGINT:
        assert not list((tmp_path / "out").glob(".*"))
        assert "Traceback" not in said
    else:
        (tmp_path / "out" / ".part-00099.parquet.cut").write_bytes(b"PAR1")
    done = explained(small, tmp_path / "out", two, rows_per_part=5)
    assert done.fresh == 600 - 5 * len(kept)
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in kept} == kept
    assert contents(tmp_path / "out") == contents(many)
    assert not list((tmp_path / "out").glob(".*"))


def test_a_damaged_part_is_done_again_and_no_other(small, many, tmp_path, two):
    shutil.copytree(many, tmp_path / "out")
    damaged, cut, gone = (tmp_path / "out" / f"part-{i:05}.parquet" for i in (3, 40, 119))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:-9])
    gone.unlink()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    done = explained(small, tmp_path / "out", two, rows_per_part=5)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert done.fresh == 15
    assert contents(tmp_path / "out") == contents(many)
    assert {name for name in after if after[name] != before.get(name)} == {damaged.name, cut.name, gone.name}


def test_a_second_run_has_nothing_to_do(small, tmp_path, run):
    first = run("panel", small, "--out", tmp_path / "out", "--workers", 1, "--json", "-")
    assert first[0] == 0, first
    told = json.loads(first[1])
    assert (told["rows"], told["explained"], told["parts"], told["withheld"]) == (600, 600, 1, 0)
    assert told["us_per_row"] == pytest.approx(told["seconds"] / 600 * 1e6)
    status, out, _ = run("panel", small, "--out", tmp_path / "out", "--workers", 1)
    assert status == 0
    assert "nothing was left to do" in out


def test_a_folder_of_other_inputs_is_refused_by_name(small, tmp_path, two):
    explained(small, tmp_path / "out", two, rows_per_part=200)
    assert faults(explained, small, tmp_path / "out", two, rows_per_part=100) == [
        ("panel.other_settings", "rows_per_part")
    ]
    other = faults(explained, small, tmp_path / "out", two, rows_per_part=200, single=True)
    assert other == [("panel.other_settings", "numbers")]
    changed = make_bundle(tmp_path / "b", returns=None, panel_edit=lambda t: t.assign(slope=t["slope"] + 1))
    assert ("panel.other_settings", "panel_sha256") in faults(
        explained, changed, tmp_path / "out", two, rows_per_part=200
    )
    assert len(contents(tmp_path / "out")) == 3


@pytest.mark.parametrize("manifest", [None, b"{", b"[]", b'{"settings": 1}'])
def test_a_folder_of_something_else_is_refused(small, tmp_path, two, manifest):
    (tmp_path / "mine.txt").write_text("mine")
    if manifest is not None:
        (tmp_path / MANIFEST).write_bytes(manifest)
    assert faults(explained, small, tmp_path, two) == [("panel.not_ours", str(tmp_path))]
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_file_in_the_folders_place_and_a_folder_in_use_are_refused(small, tmp_path, two):
    (tmp_path / "file").write_text("")
    assert [key for key, _ in faults(explained, small, tmp_path / "file", two)] == ["panel.no_folder"]
    with Folder(tmp_path / "out"):
        assert [key for key, _ in faults(explained, small, tmp_path / "out", two)] == ["panel.busy"]


def test_a_bad_row_is_named_before_anything_is_explained(tmp_path, run):
    make_bundle(tmp_path / "b", panel={"file": "panel.parquet"}, returns=None)
    panel = panel_table().assign(date=lambda t: pd.to_datetime(t["date"]))
    panel.loc[437, "spread"] = np.inf
    panel.to_parquet(tmp_path / "b" / "panel.parquet", row_group_size=100)
    status, _, said = run("panel", tmp_path / "b", "--out", tmp_path / "out")
    assert status == 2
    assert "panel.parquet, spread, row 438" in said
    assert not (tmp_path / "out").exists()


def test_a_panel_that_changes_meanwhile_is_told(small, tmp_path, two):
    bundle, stream = open_bundle(shutil.copytree(small, tmp_path / "b"))
    job = prepare(bundle, stream, tmp_path, two[0], rows_per_part=600, single=False)
    os.utime(stream.path, ns=(1, 1))
    with Reader(stream, 100) as reader:
        assert faults(explain_part, job, two[0], reader, 0) == [("panel.changed", "panel.csv")]


class LyingDesk(Desk):
    """Rows 100 to 102 get what does not add up, row 200 no finite prediction."""

    def attributions(self, bundle, rows, model):
        found = super().attributions(bundle, rows, model)
        values, predictions = found.values.copy(), found.predictions.copy()
        values[100:103, 2] += 1e-3
        predictions[200] = np.inf
        return Attributions(values, found.base_values, predictions)


def test_rows_that_do_not_add_up_are_withheld_counted_and_named(small, tmp_path, two, run, monkeypatch):
    explained(small, tmp_path / "true", two)
    monkeypatch.setattr(desks_room, "Desk", LyingDesk)
    status, out, said = run("panel", small, "--out", tmp_path / "out", "--workers", 1)
    assert status == 3
    assert "4 row(s) are withheld" in said
    assert "102, 103, 104, 202" in said  # as a reader of the CSV counts
    assert "600 rows" in out
    wrong, true = (together(tmp_path / name).to_pandas() for name in ("out", "true"))
    rows = wrong.index.isin([100, 101, 102, 200])
    assert wrong.loc[rows, ["base_value", *FEATURES]].isna().all(axis=None)
    assert wrong.loc[[100, 101, 102], "prediction"].equals(true.loc[[100, 101, 102], "prediction"])
    assert wrong[~rows].equals(true[~rows])
    status, _, said = run(
        "panel", small, "--out", tmp_path / "out", "--workers", 1
    )  # nothing to do, and still not well
    assert status == 3
    assert "102, 103, 104, 202" in said


def test_rows_that_the_model_cannot_take_are_not_put_to_it(small, tmp_path, two):
    bundle, stream = open_bundle(small)
    job = prepare(bundle, stream, tmp_path, two[0], rows_per_part=600, single=False)
    job = replace(job, limits={sha: replace(limit, gaps=False) for sha, limit in job.limits.items()})
    with Reader(stream, 100) as reader:
        receipt = explain_part(job, two[0], reader, 0)
    gaps = panel_table()[list(FEATURES)].isna().any(axis=1).to_numpy()
    found = together(tmp_path).to_pandas()
    assert (receipt.withheld, receipt.named) == (5, (2, 3, 4, 5, 6))
    assert (found[["prediction", "base_value", *FEATURES]].isna().all(axis=1) == gaps).all()


class DyingDesk(Desk):
    """Its worker is killed before the fourth and the fifth question; the first is for the spread."""

    asked, deaths = 0, (4, 5)

    def attributions(self, bundle, rows, model):
        self.asked += 1
        if self.asked in self.deaths:
            self.card(bundle, model)  # a living one
            os.kill(self._posts._held[bundle.bundle_sha256, "batch"].worker.pid, signal.SIGKILL)
        return super().attributions(bundle, rows, model)


def test_a_worker_that_dies_costs_nothing_but_time(small, tmp_path, two):
    explained(small, tmp_path / "true", two, rows_per_part=100)
    with DyingDesk() as dying:
        explained(small, tmp_path / "out", [dying], rows_per_part=100)
        assert dying.asked == 1 + 6 + 2
    assert contents(tmp_path / "out") == contents(tmp_path / "true")


def test_a_part_that_costs_three_workers_is_given_up_and_the_others_stay(small, tmp_path):
    with DyingDesk() as dying:
        dying.deaths = (4, 5, 6)
        with pytest.raises(ModelFailedError) as failed:
            explained(small, tmp_path / "out", [dying], rows_per_part=100)
    assert failed.value.message.key == "desk.crashed"
    assert finished(tmp_path / "out") == {"part-00000.parquet", "part-00001.parquet"}


def test_what_cannot_be_done_is_refused_by_name(tmp_path, two):
    make_bundle(tmp_path / "b", returns=None)
    panel = panel_table().rename(columns={"slope": "base_value"})
    text = (tmp_path / "b" / "model.txt").read_text()
    (tmp_path / "b" / "model.txt").write_text(re.sub(r"\bslope\b", "base_value", text))
    panel.to_csv(tmp_path / "b" / "panel.csv", index=False)
    assert faults(explained, tmp_path / "b", tmp_path / "out", two) == [("panel.name_taken", "base_value")]


def test_too_many_parts_are_refused(small, tmp_path, two, monkeypatch):
    monkeypatch.setattr("workbench.panel.job.MOST_PARTS", 100)
    assert faults(explained, small, tmp_path / "out", two, rows_per_part=5) == [
        ("panel.too_many_parts", "--rows-per-part")
    ]
    explained(small, tmp_path / "out", two, rows_per_part=6)


def test_a_model_without_exact_values_is_refused(tmp_path, two):
    make_bundle(tmp_path / "b", returns=None, model={"format": "python", "entry": "own:score", "file": None})
    (tmp_path / "b" / "own.py").write_text("def score(f):\n    return f['slope'].to_numpy()\n")
    text = (
        (tmp_path / "b" / "bundle.toml").read_text().replace('"date"', f'"date"\nfeatures = {json.dumps(FEATURES)}', 1)
    )
    (tmp_path / "b" / "bundle.toml").write_text(text)
    bundle, stream = open_bundle(tmp_path / "b", trust_code=True)
    assert faults(explain_panel, bundle, stream, tmp_path / "out", two) == [("desk.not_applicable", "own.py")]


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """A scheduler and two workers as people start them: processes of their own."""
    log = tmp_path_factory.mktemp("dask") / "log"
    with contextlib.ExitStack() as stack:
        told = stack.enter_context(log.open("w"))

        def start(name, *words):
            module = [sys.executable, "-m", f"distributed.cli.dask_{name}", *words, "--no-dashboard"]
            process = subprocess.Popen(module, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=told)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show")
        until(lambda: re.search(r"tcp://127\.0\.0\.1:\d+", log.read_text()))
        address = re.search(r"tcp://127\.0\.0\.1:\d+", log.read_text())[0]
        options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")
        yield address, [start("worker", address, *options) for _ in range(2)]


def test_a_cluster_gives_the_same_and_a_lost_worker_costs_nothing(small, many, tmp_path, dask):
    address, workers = dask
    process = command(small, "--out", tmp_path / "out", "--rows-per-part", 5, "--scheduler", address)
    until(lambda: len(finished(tmp_path / "out")) >= 20 or process.poll() is not None)
    kept = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in finished(tmp_path / "out")}
    workers[0].kill()
    out, said = process.communicate()
    assert process.returncode == 0, said
    assert 20 <= len(kept) < PARTS
    assert "600 rows in 120 parts" in out
    assert contents(tmp_path / "out") == contents(many)
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in kept} == kept


def test_an_installation_without_dask_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert faults(cluster._client, "tcp://127.0.0.1:8786") == [("panel.no_library", "--scheduler")]


class Future:
    def __init__(self, outcome):
        self.outcome = outcome

    def result(self):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_what_a_cluster_tells_becomes_sentences(small, tmp_path, two):
    for raised, key in (
        (KilledWorker("serve_part-7", None, {}), "panel.killed"),
        (RuntimeError("no {such} thing"), "panel.cluster"),
    ):
        with pytest.raises(ModelFailedError) as failed:
            cluster._received(Future(raised))
        assert failed.value.message.key == key
    bundle, stream = open_bundle(shutil.copytree(small, tmp_path / "b"))
    job = prepare(bundle, stream, tmp_path, two[0], rows_per_part=600, single=False)
    older = replace(job, version="0.0.1", stamp=(0, 0))
    (tmp_path / "b" / "panel.csv").rename(tmp_path / "b" / "elsewhere.csv")
    moved = replace(job, stamp=(1, 1))
    for wrong, key in ((moved, "panel.not_shared"), (older, "panel.not_shared")):
        assert faults(cluster._received, Future(cluster.serve_part(0, wrong)))[0][0] == key
    (tmp_path / "b" / "elsewhere.csv").rename(tmp_path / "b" / "panel.csv")
    assert faults(cluster._received, Future(cluster.serve_part(0, older)))[0][0] == "panel.other_versions"
    assert cluster._received(Future(cluster.serve_part(0, job))).rows == 600


def test_no_scheduler_is_told(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    assert faults(cluster._client, "tcp://127.0.0.1:9") == [("panel.no_scheduler", "--scheduler")]
    assert faults(cluster._client, "no address") == [("panel.no_scheduler", "--scheduler")]
