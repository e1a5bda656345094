"""A bundle is read whole or refused with every fault at once: key, file, place and row."""

import hashlib
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from builders import FEATURES, MANIFEST, make_bundle, model_text, panel_table, returns_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench import models
from workbench.bundles import load_bundle, shipped_bundles
from workbench.manifest import ModelSection
from workbench.models.lightgbm import load
from workbench.schema import BadInputError, Fault
from workbench.text import say


def faults(folder: Path, **how: bool) -> tuple[Fault, ...]:
    with pytest.raises(BadInputError) as raised:
        load_bundle(folder, **how)
    for fault in raised.value.faults:
        assert fault.spoken("en") != fault.spoken("zh")
    return raised.value.faults


def told(folder: Path, **how: bool) -> list[tuple[str, str, str | None, int | None]]:
    return [(f.key.removeprefix("fault."), f.file, f.place, f.row) for f in faults(folder, **how)]


def said(bundle) -> list[str]:
    assert all(say(note, "en") and say(note, "zh") for note in bundle.notes)
    return [note.key.removeprefix("fault.note.") for note in bundle.notes]


def predicted(bundle) -> np.ndarray:
    return load(bundle.models[-1].path).predict(bundle.panel.X)


def test_a_bundle_is_read_whole(tmp_path):
    bundle = load_bundle(make_bundle(tmp_path))
    assert bundle.name == "small"
    assert bundle.panel.features == FEATURES
    assert np.array_equal(bundle.panel.X, panel_table()[list(FEATURES)], equal_nan=True)
    assert np.array_equal(bundle.panel.y, panel_table()["target"], equal_nan=True)
    assert bundle.panel.times[0] == pd.Timestamp("2018-01-01")
    assert list(bundle.returns.table) == ["strategy", "gross", "benchmark", "position", "underlying", "turnover"]
    assert np.array_equal(bundle.returns.table["strategy"], returns_table()["net"])
    assert bundle.returns.table.index.equals(bundle.returns.factors.index)
    assert list(bundle.returns.factors) == ["equity", "duration"]
    assert (bundle.returns.periods_per_year, bundle.returns.valuation) == (252, "third_party_t1")
    (model,) = bundle.models
    assert (model.name, model.since, model.train_end) == ("model.txt", None, pd.Timestamp("2019-08-30"))
    assert not bundle.served_by().any()
    assert not bundle.notes


def test_hashes_are_those_of_the_files(tmp_path):
    bundle = load_bundle(make_bundle(tmp_path))
    sha = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()}
    assert bundle.models[0].sha256 == sha["model.txt"]
    assert bundle.panel_sha256 == sha["panel.csv"]
    listing = "".join(f"{sha[name]}  {name}\n" for name in sorted(sha))
    assert bundle.bundle_sha256 == hashlib.sha256(listing.encode()).hexdigest()
    (tmp_path / "note.txt").write_text("not named in the manifest")
    assert load_bundle(tmp_path).bundle_sha256 == bundle.bundle_sha256
    returns = tmp_path / "returns.csv"
    returns.write_text(returns.read_text().replace("0.1,", "0.2,", 1))
    assert load_bundle(tmp_path).bundle_sha256 != bundle.bundle_sha256


def test_shipped_bundles_load_by_name():
    assert shipped_bundles()
    assert [load_bundle(name).name for name in shipped_bundles()] == list(shipped_bundles())


def test_no_such_bundle(tmp_path):
    assert told(tmp_path / "nowhere")[0][0] == "bundle.not_found"
    assert told(tmp_path) == [("path.missing", "bundle.toml", "bundle.toml", None)]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_cut_model_is_the_only_fault(tmp_path, share):
    text = model_text()
    ((key, file, place, _),) = told(make_bundle(tmp_path, model=text[: int(len(text) * share)]))
    assert (key, file) == ("model.cut", "model.txt")
    assert place.startswith("line ")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (b"", ("model.empty", "model.txt", None, None)),
        (b"date,y10\n2020-01-01,2.5\n", ("lightgbm.not_this", "model.txt", "line 1", None)),
        (
            model_text().replace("num_leaves=7", "num_leaves=9", 1),
            ("lightgbm.length", "model.txt", "Tree=0 split_feature", None),
        ),
    ],
)
def test_a_bad_model_is_named(tmp_path, model, expected):
    assert told(make_bundle(tmp_path, model=model)) == [expected]


@given(st.permutations(["date", *FEATURES, "target"]), st.permutations(FEATURES), st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_columns_never_changes_an_answer(tmp_path, columns, listed, name_them):
    plain = load_bundle(make_bundle(tmp_path / "plain"))
    changes = {"panel": {"features": listed}} if name_them else {}
    moved = load_bundle(make_bundle(tmp_path / "moved", panel_edit=lambda table: table[list(columns)], **changes))
    assert moved.panel.features == FEATURES
    assert np.array_equal(predicted(plain), predicted(moved))
    assert said(moved) == (["reordered"] if name_them and tuple(listed) != FEATURES else [])


def cell(name: str, at: int, value: object):
    """An edit that writes one cell."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table[name] = table[name].astype(object)
        table.loc[at, name] = value
        return table

    return edit


def whole(name: str, value: object):
    return lambda table: table.assign(**{name: value})


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda t: t.rename(columns={"y10": "y_10"}), [("column.missing", "panel.csv", "y10", None)]),
        (lambda t: t.drop(columns="slope"), [("column.missing", "panel.csv", "slope", None)]),
        (lambda t: t.drop(columns="target"), [("column.missing", "panel.csv", "target", None)]),
        (lambda t: t.rename(columns={"date": "day"}), [("column.missing", "panel.csv", "date", None)]),
        (cell("slope", 7, np.inf), [("column.infinite", "panel.csv", "slope", 9)]),
        (cell("slope", 7, "abc"), [("column.text_in_numbers", "panel.csv", "slope", 9)]),
        (whole("slope", np.nan), [("column.all_missing", "panel.csv", "slope", None)]),
        (cell("target", 7, "-inf"), [("column.infinite", "panel.csv", "target", 9)]),
        (cell("date", 7, "2018-01-09"), [("column.duplicate_time", "panel.csv", "date", 9)]),
        (cell("date", 7, "2018-01-02"), [("column.backwards", "panel.csv", "date", 9)]),
        (cell("date", 7, "20180110"), [("column.time_formats", "panel.csv", "date", 9)]),
        (lambda t: t.iloc[::-1], [("column.backwards", "panel.csv", "date", 3)]),
        (lambda t: pd.concat([t, t["slope"]], axis=1), [("table.duplicate_column", "panel.csv", "slope", 1)]),
        (lambda t: t.iloc[:0], [("table.no_rows", "panel.csv", None, None)]),
    ],
)
def test_a_bad_panel_is_named_by_column_and_row(tmp_path, edit, expected):
    assert told(make_bundle(tmp_path, panel_edit=edit)) == expected


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (cell("net", 7, np.nan), [("column.missing_number", "returns.csv", "net", 9)]),
        (cell("gross", 7, "inf"), [("column.infinite", "returns.csv", "gross", 9)]),
        (cell("net", 7, -1.5), [("column.return_below", "returns.csv", "net", 9)]),
        (lambda t: t.rename(columns={"c_fund": "c"}), [("column.missing", "returns.csv", "c_fund", None)]),
        (cell("date", 7, "2018-01-09"), [("column.duplicate_time", "returns.csv", "date", 9)]),
    ],
)
def test_bad_returns_are_named_by_column_and_row(tmp_path, edit, expected):
    assert told(make_bundle(tmp_path, returns_edit=edit)) == expected


def test_what_is_missing_names_what_is_near(tmp_path):
    (fault,) = faults(make_bundle(tmp_path, panel_edit=lambda t: t.rename(columns={"y10": "Y_10"})))
    assert "Y_10" in fault.values["nearest"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_the_same_table_in_any_encoding_gives_the_same_answers(tmp_path, encoding):
    plain = load_bundle(make_bundle(tmp_path / "plain"))
    folder = make_bundle(tmp_path / "other", panel_edit=lambda t: t.assign(备注="利率"))
    panel = folder / "panel.csv"
    panel.write_bytes(panel.read_text("utf-8").encode(encoding))
    other = load_bundle(folder)
    assert np.array_equal(predicted(plain), predicted(other))
    assert other.panel.table["备注"].iloc[0] == "利率"
    assert said(other) == ([] if encoding.startswith("utf-8") else ["encoding"])


def test_semicolons_and_decimal_commas_give_the_same_answers(tmp_path):
    plain, folder = load_bundle(make_bundle(tmp_path / "plain")), make_bundle(tmp_path / "other")
    panel_table().to_csv(folder / "panel.csv", index=False, sep=";", decimal=",")
    other = load_bundle(folder)
    assert np.array_equal(predicted(plain), predicted(other))
    assert said(other)[0] == "semicolon_comma"
    assert set(said(other)[1:]) == {"converted"}


def test_parquet_gives_the_same_answers(tmp_path):
    plain = load_bundle(make_bundle(tmp_path / "plain"))
    folder = make_bundle(tmp_path / "other", panel={"file": "panel.parquet"})
    table = panel_table().assign(date=pd.to_datetime(panel_table()["date"]))
    table.to_parquet(folder / "panel.parquet")
    other = load_bundle(folder)
    assert np.array_equal(predicted(plain), predicted(other))
    assert other.panel.times.equals(plain.panel.times)
    table.loc[5, "date"] = table.loc[4, "date"]
    table.to_parquet(folder / "panel.parquet")
    assert told(folder) == [("column.duplicate_time", "panel.parquet", "date", 6)]


@pytest.mark.parametrize(
    ("changes", "expected", "near"),
    [
        ({"panel": {"labell": "target"}}, [("key.unknown_near", "bundle.toml", "panel.labell", None)], "label"),
        ({"pannel": {"x": 1}}, [("key.unknown_near", "bundle.toml", "pannel", None)], "panel"),
        (
            {"returns": {"factors": {"equty": "c_fund"}}},
            [("key.unknown_near", "bundle.toml", "returns.factors.equty", None)],
            "equity",
        ),
        (
            {"features": {"y10": {"famly": "rates"}}},
            [("key.unknown_near", "bundle.toml", "features.y10.famly", None)],
            "family",
        ),
        ({"panel": {"zzzzz": 1}}, [("key.unknown", "bundle.toml", "panel.zzzzz", None)], "entity"),
        ({"panel": {"time": None}}, [("key.missing", "bundle.toml", "panel.time", None)], ""),
        ({"model": {"file": None}}, [("key.missing", "bundle.toml", "model.file", None)], ""),
        ({"panel": {"horizon": 0}}, [("value.bound", "bundle.toml", "panel.horizon", None)], ""),
        ({"panel": {"horizon": "long"}}, [("value.type", "bundle.toml", "panel.horizon", None)], ""),
        ({"panel": {"features": []}}, [("value.type", "bundle.toml", "panel.features", None)], ""),
        ({"model": {"format": "pickle"}}, [("value.choice", "bundle.toml", "model.format", None)], ""),
        ({"bundle": {"name": "Not A Name"}}, [("value.type", "bundle.toml", "bundle.name", None)], ""),
        ({"split": {"train_end": 20190830}}, [("value.type", "bundle.toml", "split.train_end", None)], ""),
        ({"split": {"train_end": "30/08/2019"}}, [("value.type", "bundle.toml", "split.train_end", None)], ""),
        ({"split": {"train_end": "2019-02-30"}}, [("value.type", "bundle.toml", "split.train_end", None)], ""),
        ({"mandate": {"equity_max": 20}}, [("value.bound", "bundle.toml", "mandate.equity_max", None)], ""),
        ({"bundle": {"title": "one language"}}, [("value.type", "bundle.toml", "bundle.title", None)], ""),
    ],
    ids=str,
)
def test_a_wrong_key_or_value_is_named_by_its_place(tmp_path, changes, expected, near):
    found = faults(make_bundle(tmp_path, **changes))
    assert [(f.key.removeprefix("fault."), f.file, f.place, f.row) for f in found] == expected
    assert near in str(found[0].values.get("known", ""))


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (b"[bundle]\nname = small\n", 2),
        (b"[bundle]\n[bundle]\n", 2),
        (b"[bundle\n", 1),
        (b'[bundle]\nname = "\xff"\n', 2),
    ],
)
def test_what_is_no_toml_is_told_by_line(tmp_path, content, row):
    (make_bundle(tmp_path) / "bundle.toml").write_bytes(content)
    ((key, file, _, found),) = told(tmp_path)
    assert (key in {"manifest.syntax", "manifest.encoding"}, file, found) == (True, "bundle.toml", row)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    manifest = make_bundle(tmp_path) / "bundle.toml"
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\n", b"\r\n"))
    assert load_bundle(tmp_path).name == "small"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("../secret.csv", "path.outside"),
        ("tables/../../secret.csv", "path.outside"),
        ("/etc/passwd", "path.absolute"),
        ("~/secret.csv", "path.absolute"),
        ("C:\\secret.csv", "path.absolute"),
        ("..\\secret.csv", "path.absolute"),
        ("", "path.unreadable"),
        ("panel.csv ", "path.unreadable"),
        ("panel\u202evsc.csv", "path.unreadable"),
        ("nowhere.csv", "path.missing"),
        (".", "path.missing"),
        ("link.csv", "path.link"),
        ("linked/secret.csv", "path.link"),
    ],
)
@pytest.mark.parametrize("section", ["panel", "returns", "model"])
def test_no_path_leaves_the_folder(tmp_path, name, key, section):
    (tmp_path / "secret.csv").write_text("date,y10\n2020-01-01,1\n")
    folder = make_bundle(tmp_path / "bundle", **{section: {"file": name}})
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "linked").symlink_to(tmp_path)
    assert told(folder) == [(key, "bundle.toml", f"{section}.file", None)]


def test_the_manifest_itself_may_not_be_a_link(tmp_path):
    folder = make_bundle(tmp_path / "a")
    (folder / "bundle.toml").rename(tmp_path / "elsewhere.toml")
    (folder / "bundle.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert told(folder)[0][0] == "path.link"


def test_python_models_need_trust(tmp_path):
    changes = {
        "model": {"file": None, "format": "python", "entry": "mine:predict"},
        "panel": {"features": ["y10", "slope"]},
    }
    folder = make_bundle(tmp_path, **changes)
    (folder / "mine.py").write_text("raise SystemExit('this must never run here')")
    assert told(folder) == [("model.untrusted", "bundle.toml", "model.format", None)]
    bundle = load_bundle(folder, trust_code=True)
    assert (bundle.models[0].name, bundle.models[0].entry) == ("mine.py", "mine:predict")
    assert bundle.panel.features == ("y10", "slope")
    (folder / "mine.py").unlink()
    assert told(folder, trust_code=True) == [("path.missing", "bundle.toml", "model.entry", None)]


def test_a_file_of_another_format_is_told_what_it_should_be(tmp_path):
    for other in set(models.formats()) - {"lightgbm", "python"}:
        (fault,) = faults(make_bundle(tmp_path / other, model={"format": other}))
        assert fault.key.startswith(f"fault.{other}.")
        assert fault.file == "model.txt"


def test_every_format_of_the_contract_can_be_read():
    assert set(models.formats()) == set(get_args(ModelSection.model_fields["format"].annotation))


def test_all_faults_come_at_once(tmp_path):
    folder = make_bundle(
        tmp_path,
        model=model_text()[:1000],
        panel={"labell": "target"},
        holdings={"file": "../h.csv", "time": "date"},
        panel_edit=cell("y10_lag5", 9, "abc"),
        returns_edit=cell("net", 3, np.nan),
        split={"train_end": "soon"},
    )
    assert {key for key, *_ in told(folder)} == {
        "key.unknown_near",
        "path.outside",
        "model.cut",
        "value.type",
        "column.missing_number",
    }


@pytest.mark.parametrize(
    ("features", "key"),
    [
        ([*FEATURES[:5]], "features.other"),
        ([*FEATURES, "target"], "features.other"),
        ([*FEATURES, "y10"], "features.twice"),
    ],
)
def test_listed_features_must_be_the_models(tmp_path, features, key):
    assert told(make_bundle(tmp_path, panel={"features": features})) == [(key, "bundle.toml", "panel.features", None)]


def test_a_model_without_names_takes_the_listed_columns_in_order(tmp_path):
    text = model_text()
    bare = text.replace(" ".join(FEATURES), " ".join(f"Column_{i}" for i in range(6)), 1)
    assert told(make_bundle(tmp_path, model=bare)) == [("features.unnamed", "bundle.toml", "panel.features", None)]
    bundle = load_bundle(make_bundle(tmp_path, model=bare, panel={"features": list(FEATURES)}))
    assert said(bundle) == ["by_position"]
    assert np.array_equal(predicted(bundle), predicted(load_bundle(make_bundle(tmp_path / "named"))))


def test_refits_take_over_one_after_the_other(tmp_path):
    refits = [
        {"file": "first.txt", "from": "2018-06-01", "train_end": "2018-05-01"},
        {"file": "second.txt", "from": "2019-01-01", "train_end": "2018-12-01"},
    ]
    folder = make_bundle(tmp_path, model={"refits": refits})
    for i, refit in enumerate(refits):
        (folder / refit["file"]).write_text(model_text(rounds=5 + i))
    bundle = load_bundle(folder)
    days = bundle.panel.times
    current = days[days.searchsorted(pd.Timestamp("2019-08-30"), side="right") + 20]
    assert [m.name for m in bundle.models] == ["first.txt", "second.txt", "model.txt"]
    assert [m.since for m in bundle.models] == [pd.Timestamp("2018-06-01"), pd.Timestamp("2019-01-01"), current]
    served = bundle.served_by()
    assert served[days.get_indexer([pd.Timestamp("2018-12-31"), pd.Timestamp("2019-01-01"), current])].tolist() == [
        0,
        1,
        2,
    ]
    assert served[days.get_loc(current) - 1] == 1
    assert served[0] == 0

    listed = [*refits, {"file": "model.txt", "from": "2019-06-03", "train_end": "2019-05-01"}]
    make_bundle(tmp_path, model={"refits": listed})
    assert load_bundle(folder).models[-1].since == pd.Timestamp("2019-06-03")
    make_bundle(tmp_path, model={"refits": listed[::-1]})
    assert told(folder) == [("refits.order", "bundle.toml", "model.refits.1.from", None)]
    make_bundle(tmp_path, model={"refits": [{**listed[2], "from": "2018-01-02"}, *refits]})
    assert told(folder) == [("refits.current_not_last", "bundle.toml", "model.file", None)]
    make_bundle(tmp_path, model={"refits": [{**refits[0], "from": "2020-01-01"}]})
    assert told(folder) == [("refits.current_when", "bundle.toml", "model.refits", None)]
    make_bundle(tmp_path, model={"refits": refits})
    (folder / "first.txt").write_text(model_text().replace("y10 slope", "slope y10", 1))
    assert told(folder) == [("model.refit_features", "first.txt", None, None)]


def entities(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table.assign(bond="000002"), table.assign(bond="000001")])


def test_entities_are_text_and_sorted_within_a_day(tmp_path):
    bundle = load_bundle(make_bundle(tmp_path, panel={"entity": "bond"}, panel_edit=entities))
    assert bundle.panel.entities[:2].tolist() == ["000001", "000002"]
    assert bundle.panel.times.is_monotonic_increasing
    assert said(bundle) == ["sorted"]
    twice = make_bundle(
        tmp_path,
        panel={"entity": "bond"},
        panel_edit=lambda t: entities(t).drop_duplicates().iloc[[*range(600), *range(600, 1200), 1199]],
    )
    assert told(twice) == [("column.duplicate_time", "panel.csv", "date", 1202)]


DAYS = list(panel_table()["date"])
TABLES = {
    "decisions": pd.DataFrame(
        {"t": DAYS[:3], "p": [0.1, 0.6, 1], "ms": [300, 900, 20], "a": [1, 0, 1], "won": [1, "", 0]}
    ),
    "holdings": pd.DataFrame(
        {
            "date": [DAYS[0], DAYS[0], DAYS[1]],
            "instrument": ["000001", "000002", "000001"],
            "issuer": ["甲", "乙", "甲"],
        }
        | {"sleeve": ["rates", "equity", "rates"], "weight": [0.8, 0.2, 1.0], "rating": ["AAA", "", "AAA"]}
    ),
    "universe": pd.DataFrame(
        {
            "instrument": ["000001", "000002"],
            "first_date": DAYS[:2],
            "last_date": ["", DAYS[9]],
            "reason": ["alive", "defaulted"],
        }
    ),
    "vintages": pd.DataFrame({"series": ["cpi"] * 2, "vintage": DAYS[1:3], "date": DAYS[:2], "value": [1.5, "n/a"]}),
    "trials": pd.DataFrame({"date": DAYS, "a": 0.01, "b": -0.01}),
}
SECTIONS = {
    "decisions": {"time": "t", "predicted": "p", "latency_ms": "ms", "adopted": "a", "outcome": "won"},
    "holdings": {"time": "date"},
    "universe": {},
    "vintages": {},
}


def with_tables(folder: Path, **edits) -> Path:
    sections = {name: {"file": f"{name}.csv", **keys} for name, keys in SECTIONS.items()}
    make_bundle(folder, **sections, split={"trial_returns": "trials.csv"})
    for name, table in TABLES.items():
        edits.get(name, lambda t: t)(table.copy()).to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_the_other_tables_are_read(tmp_path):
    tables = load_bundle(with_tables(tmp_path)).tables
    assert set(tables) == {"decisions", "holdings", "universe", "vintages", "trial_returns"}
    assert list(tables["decisions"]) == ["predicted", "latency_ms", "adopted", "outcome"]
    assert tables["decisions"].index[0] == pd.Timestamp("2018-01-01")
    assert tables["holdings"]["instrument"].tolist() == ["000001", "000002", "000001"]
    assert tables["universe"]["last_date"].isna().tolist() == [True, False]
    assert tables["vintages"]["value"].isna().tolist() == [False, True]
    assert list(tables["trial_returns"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "edit", "expected"),
    [
        ("decisions", cell("p", 1, 60), ("column.outside", "decisions.csv", "p", 3)),
        ("decisions", cell("ms", 1, -5), ("column.outside", "decisions.csv", "ms", 3)),
        ("decisions", lambda t: t.drop(columns="a"), ("column.missing", "decisions.csv", "a", None)),
        ("decisions", cell("t", 2, "2017-01-01"), ("column.backwards", "decisions.csv", "t", 4)),
        ("holdings", lambda t: t.drop(columns="weight"), ("column.missing", "holdings.csv", "weight", None)),
        ("holdings", cell("sleeve", 1, "gold"), ("column.not_a_choice", "holdings.csv", "sleeve", 3)),
        ("holdings", cell("instrument", 1, "000001"), ("column.duplicate_time", "holdings.csv", "date", 3)),
        ("universe", cell("reason", 0, "bored"), ("column.not_a_choice", "universe.csv", "reason", 2)),
        ("universe", cell("first_date", 1, ""), ("column.missing_time", "universe.csv", "first_date", 3)),
        ("vintages", cell("series", 1, ""), ("column.missing_text", "vintages.csv", "series", 3)),
        ("trials", lambda t: t.iloc[1:], ("trials.dates", "trials.csv", "date", 2)),
        ("trials", lambda t: t[["date"]], ("trials.none", "trials.csv", None, None)),
    ],
)
def test_a_bad_other_table_is_named_by_column_and_row(tmp_path, name, edit, expected):
    assert told(with_tables(tmp_path, **{name: edit})) == [expected]


def test_words_are_safe_for_any_text(tmp_path):
    hostile = "{0.__class__}{x!r:>9999999}<script>\x1b[2J"
    folder = make_bundle(tmp_path, panel_edit=cell("slope", 3, hostile), panel={hostile: 1})
    spoken = [fault.spoken(lang) for fault in faults(folder) for lang in ("en", "zh")]
    assert all("{0.__class__}" in sentence and "\x1b" not in sentence and len(sentence) < 500 for sentence in spoken)


def test_the_smallest_manifest_is_enough(tmp_path):
    sections = {name: None for name in MANIFEST if name not in {"bundle", "model", "panel"}}
    bundle = load_bundle(make_bundle(tmp_path, **sections, panel={"label": None, "horizon": None}))
    assert bundle.returns is None
    assert np.isnan(bundle.panel.y).all()
    assert bundle.tables == {}
