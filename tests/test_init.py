"""A bundle begun from a model file and a table: what is guessed, what is asked, and that the folder is whole or absent."""

import json
import pickle
import tomllib
from pathlib import Path

import catboost
import numpy as np
import pandas as pd
import pytest
import xgboost
from builders import FEATURES, HORIZON, MANIFEST, model_text, panel_table, returns_table
from onnx import TensorProto, helper, save
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io import dump

from workbench import models
from workbench.beginning.folder import begin
from workbench.beginning.names import family_of, horizon_in, lag_of
from workbench.bundles import load_bundle, shipped_bundles
from workbench.schema import BadInputError
from workbench.shipped import shipped

FIT = panel_table().dropna()
X, Y = FIT[list(FEATURES)], FIT["target"]


def save_lightgbm(path, *, named=True):
    text = model_text()
    path.write_text(text if named else unnamed(text))


def unnamed(text: str) -> str:
    """The same model as if fitted on a plain array."""
    before = f"feature_names={' '.join(FEATURES)}"
    return text.replace(before, f"feature_names={' '.join(f'Column_{i}' for i in range(len(FEATURES)))}")


def save_xgboost(path, *, named=True):
    data = xgboost.DMatrix(X if named else X.to_numpy(), Y)
    xgboost.train({"max_depth": 3, "nthread": 1}, data, 5).save_model(path)


def save_catboost(path, *, named=True):
    model = catboost.CatBoostRegressor(iterations=5, depth=3, verbose=False, thread_count=1, allow_writing_files=False)
    model.fit(X if named else X.to_numpy(), Y).save_model(path)


def save_sklearn(path, *, named=True):
    dump(Ridge().fit(X if named else X.to_numpy(), Y), path)


def save_onnx(path, *, named=True):
    del named  # an ONNX graph takes one array
    shape = [None, len(FEATURES)]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [len(FEATURES), 1], np.linspace(-1, 1, len(FEATURES)))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weights],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


SAVERS = {
    "lightgbm": (save_lightgbm, "m.txt"),
    "xgboost": (save_xgboost, "m.json"),
    "catboost": (save_catboost, "m.cbm"),
    "sklearn": (save_sklearn, "m.skops"),
    "onnx": (save_onnx, "m.onnx"),
}
THERE = [name for name in SAVERS if name in models.formats()]


@pytest.fixture
def start(tmp_path):
    """Begin a bundle from the small model and an edited table; `save` says how the table is written."""

    def go(edit=lambda t: t, model=None, name="table.csv", save=None, **how):
        path = tmp_path / "model.txt"
        path.write_text(model or model_text())
        table = edit(panel_table().copy())
        (save or (lambda t, p: t.to_csv(p, index=False)))(table, tmp_path / name)
        return begin(path, tmp_path / name, tmp_path / "out", **how)

    return go


def guessed(made, *place):
    """The value and the reason's key of one entry, or None."""
    found = [(g.value, g.why.key.removeprefix("init.why.")) for g in made.draft.guesses if g.place == place]
    return found[0] if found else None


def asked(made):
    return {(*q.place, q.why.key.removeprefix("init.ask.")) for q in made.draft.questions}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("kind", THERE)
def test_every_format_gives_a_bundle_that_can_be_explained(tmp_path, desk, kind, named):
    saver, file = SAVERS[kind]
    saver(tmp_path / file, named=named)
    panel_table().drop(columns="target").to_parquet(tmp_path / "rows.parquet")
    made = begin(tmp_path / file, tmp_path / "rows.parquet", tmp_path / "out")
    assert made.faults == ()
    assert guessed(made, "model", "format") == (kind, "format")
    assert made.bundle.panel.features == FEATURES
    answer = desk.explain(made.bundle, record=False)
    assert len(answer.values) == len(FEATURES), answer.reason


def test_the_small_bundle_is_found_again(start):
    made = start()
    manifest = tomllib.loads((made.folder / "bundle.toml").read_text("utf-8"))
    panel = MANIFEST["panel"] | {"file": "panel.csv", "features": list(FEATURES)}
    assert manifest["panel"] == panel
    assert manifest["model"] == MANIFEST["model"]
    assert guessed(made, "panel", "horizon") == (HORIZON, "horizon_tail")
    assert guessed(made, "panel", "features")[1] == "features_own"
    assert manifest["features"]["y10_lag5"] == {"family": "rates", "lag_of": "y10", "lag": 5}
    assert guessed(made, "features", "y10_lag5", "lag_of") == ("y10", "lag_measured")
    assert guessed(made, "model", "task") == ("regression", "task_model")
    assert ("features", "published_lag_days", "published") in asked(made)
    assert "published_lag_days =" not in (made.folder / "bundle.toml").read_text("utf-8")


def test_the_files_given_are_copied_and_left_alone(start, tmp_path):
    made = start()
    assert sorted(file.name for file in made.folder.iterdir()) == ["bundle.toml", "model.txt", "panel.csv"]
    assert (made.folder / "panel.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()
    assert (tmp_path / "model.txt").read_text() == model_text()


@pytest.mark.parametrize("name", ["us_rates_plus_tilt", "l_income_replica", "fair_weather_model"])
def test_shipped_bundles_are_found_again_from_model_and_tables(tmp_path, name):
    bundle = load_bundle(name)
    made = begin(
        bundle.models[-1].path,
        bundle.folder / bundle.manifest.panel.file,
        tmp_path / "out",
        returns=bundle.folder / bundle.manifest.returns.file,
    )
    assert made.faults == ()
    for key in ("time", "entity", "label"):
        assert getattr(made.bundle.manifest.panel, key) == getattr(bundle.manifest.panel, key)
    assert made.bundle.panel.features == bundle.panel.features
    assert made.bundle.manifest.returns.strategy == bundle.manifest.returns.strategy
    assert made.bundle.manifest.returns.periods_per_year == bundle.manifest.returns.periods_per_year
    for feature, table in made.bundle.manifest.features.items():
        theirs = bundle.manifest.features.get(feature)
        if theirs and theirs.lag_of:
            assert (table.lag_of, table.lag) == (theirs.lag_of, theirs.lag)


def test_most_families_of_the_shipped_bundles_are_guessed_and_few_wrongly():
    right = wrong = 0
    for name in shipped_bundles():
        manifest = tomllib.loads((shipped("datasets") / name / "bundle.toml").read_text("utf-8"))
        for feature, table in manifest["features"].items():
            found = family_of(feature)
            right += bool(found) and found[0] == table.get("family", "other")
            wrong += bool(found) and found[0] != table.get("family", "other")
    assert right >= 0.75 * (right + wrong)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("y10", "rates"),
        ("us2y", "rates"),
        ("slope_2s10s", "rates"),
        ("期限利差", "rates"),
        ("十年期国债收益率", "rates"),
        ("DR007", "rates"),
        ("baa_spread", "credit"),
        ("信用利差", "credit"),
        ("CPI_yoy", "macro"),
        ("社融增速", "macro"),
        ("VIX", "volatility"),
        ("vol20", "volatility"),
        ("mom_5", "momentum"),
        ("沪深300动量", "momentum"),
        ("usdcny", "fx"),
        ("美元指数", "fx"),
        ("可转债溢价率", "convertible"),
        ("hs300_pe", "equity"),
        ("volume", None),
        ("x1", None),
        ("", None),
    ],
)
def test_families_by_name(name, family):
    assert (family_of(name) or (None,))[0] == family


@pytest.mark.parametrize(
    ("name", "apart", "rows"),
    [
        ("fwd_ret_20d", 1, 20),
        ("ret_fwd_5", 1, 5),
        ("y10_fwd_20d", 1, 20),
        ("fwd_20d_y10", 1, 20),
        ("target_h10", 1, 10),
        ("未来20日收益", 1, 20),
        ("fwd_4w", 7, 4),
        ("fwd_4w", 1, None),
        ("y10_fwd", 1, None),
        ("next_month", 30, None),
        ("target", 1, None),
        ("fwd_0d", 1, None),
    ],
)
def test_horizons_by_name(name, apart, rows):
    assert horizon_in(name, apart) == rows


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("y10_lag5", ("y10", 5)),
        ("y10_L5", ("y10", 5)),
        ("y10.lag.5", None),
        ("lag5_y10", ("y10", 5)),
        ("利率滞后5期", ("利率", 5)),
        ("y10(t-5)", ("y10", 5)),
        ("y10_lag0", None),
        ("flag5", None),
        ("level_2", None),
    ],
)
def test_lags_by_name(name, found):
    assert lag_of(name) == found


def test_the_longer_of_two_horizons_is_taken_and_said(start):
    made = start(lambda t: t.rename(columns={"target": "fwd_ret_5d"}))
    assert guessed(made, "panel", "label") == ("fwd_ret_5d", "label")
    assert guessed(made, "panel", "horizon") == (HORIZON, "horizon_differ")


def test_a_horizon_that_nothing_tells_is_asked(start):
    made = start(lambda t: t.dropna())
    assert guessed(made, "panel", "horizon") is None
    assert ("panel", "horizon", "horizon") in asked(made)
    assert made.faults == ()


def test_a_label_of_noughts_and_ones_is_a_classification(start):
    binary = model_text(objective="binary")
    made = start(lambda t: t.assign(target=(t["target"] > 0) * 1.0), model=binary)
    assert guessed(made, "model", "task") == ("classification", "task_model")


@pytest.mark.parametrize(
    ("estimator", "task"),
    [
        (Ridge(), "regression"),
        (LogisticRegression(), "classification"),
        (make_pipeline(StandardScaler(), IsolationForest(n_estimators=5)), "anomaly"),
    ],
)
def test_the_estimator_tells_the_task(tmp_path, estimator, task):
    dump(estimator.fit(X, Y > 0), tmp_path / "m.skops")
    panel_table().to_csv(tmp_path / "p.csv", index=False)
    made = begin(tmp_path / "m.skops", tmp_path / "p.csv", tmp_path / "out")
    assert guessed(made, "model", "task") == (task, "task_model")
    assert made.faults == ()


def test_names_that_differ_in_case_are_told_and_not_matched(start):
    made = start(lambda t: t.rename(columns={"y10": "Y10", "slope": "slope "}), name="t.parquet", save=to_parquet)
    spelling = [q.why.values for q in made.draft.questions if q.why.key == "init.ask.spelling"]
    assert {(v["name"], v["column"]) for v in spelling} == {("y10", "Y10"), ("slope", "slope ")}
    assert guessed(made, "panel", "features") is None
    assert {fault.key for fault in made.faults} == {"fault.column.missing"}
    assert made.bundle is None
    assert (made.folder / "bundle.toml").exists()


def test_features_that_the_table_lacks_are_told(start):
    made = start(lambda t: t.drop(columns=["slope", "spread"]))
    assert ("panel", "features", "lost") in asked(made)
    assert len(made.faults) == 2


def test_a_model_without_names_takes_the_tables_order_and_says_so(start):
    made = start(model=unnamed(model_text()))
    assert guessed(made, "panel", "features") == (FEATURES, "features_order")
    made = begin_again(made, panel_table().assign(extra=1.0))
    assert guessed(made, "panel", "features") is None
    assert ("panel", "features", "unnamed") in asked(made)
    assert {fault.key for fault in made.faults} == {"fault.features.unnamed"}


def begin_again(made, table):
    """The same model with another table, in another folder."""
    path = made.folder.parent / "again.csv"
    table.to_csv(path, index=False)
    return begin(made.folder / "model.txt", path, made.folder.parent / "again")


def test_a_lag_that_the_values_deny_is_asked(start):
    made = start(lambda t: t.assign(y10_lag5=t["y10"].shift(4)))
    assert guessed(made, "features", "y10_lag5", "lag_of") is None
    assert ("features", "y10_lag5", "lag_of", "lag") in asked(made)


def test_a_lag_whose_base_is_not_there_rests_on_its_name(start):
    table = panel_table().rename(columns={"y10": "renamed"})
    made = start(lambda _: table, model=model_text().replace(" y10 ", " renamed ").replace("=y10 ", "=renamed "))
    assert guessed(made, "features", "y10_lag5", "lag_of") == ("y10", "lag_name")


def test_instruments_are_found_where_moments_are_shared(start):
    def doubled(table):
        both = pd.concat([table.assign(券="一号"), table.assign(券="二号")])
        return both.sort_values(["date", "券"])

    made = start(doubled)
    assert guessed(made, "panel", "entity") == ("券", "entity")
    assert guessed(made, "panel", "horizon") == (HORIZON, "horizon_tail")
    assert guessed(made, "features", "y10_lag5", "lag_of") == ("y10", "lag_measured")
    assert made.faults == ()


def test_shared_moments_without_names_are_asked(start):
    made = start(lambda t: pd.concat([t, t]).sort_values("date"))
    assert ("panel", "entity", "entity") in asked(made)
    assert {fault.key for fault in made.faults} >= {"fault.column.duplicate_time"}


def to_parquet(table, path):
    table.to_parquet(path)


def to_gbk(table, path):
    path.write_bytes(table.to_csv(index=False).encode("gbk"))


def to_semicolons(table, path):
    table.to_csv(path, index=False, sep=";", decimal=",")


def chinese(table):
    return table.rename(columns={"date": "交易日期", "target": "未来20日收益"})


@pytest.mark.parametrize(("name", "save"), [("表.csv", to_gbk), ("t.CSV", to_semicolons), ("t.parquet", to_parquet)])
def test_tables_come_as_they_are(start, name, save):
    made = start(chinese, name=name, save=save)
    assert made.faults == ()
    assert guessed(made, "panel", "time") == ("交易日期", "time_name")
    assert guessed(made, "panel", "label") == ("未来20日收益", "label")
    assert guessed(made, "panel", "horizon") == (HORIZON, "horizon_both")


@pytest.mark.parametrize("style", ["%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日", "%d/%m/%Y"])
def test_dates_as_spreadsheets_write_them(start, style):
    made = start(lambda t: t.assign(date=pd.to_datetime(t["date"]).dt.strftime(style)))
    assert made.faults == ()


def test_serial_numbers_for_dates_are_refused_with_their_reason(start, tmp_path):
    days = (pd.to_datetime(panel_table()["date"]) - pd.Timestamp("1899-12-30")).dt.days
    with pytest.raises(BadInputError) as bad:
        start(lambda t: t.assign(date=days))
    assert [fault.key for fault in bad.value.faults] == ["fault.column.time_serial"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.txt", "table.csv"]


def test_a_table_without_dates_names_its_columns(start):
    with pytest.raises(BadInputError) as bad:
        start(lambda t: t.drop(columns="date"))
    assert "y10, slope" in bad.value.faults[0].spoken("en")


def test_an_unnamed_date_index_is_found(start):
    made = start(lambda t: t.set_index("date").rename_axis(None), save=lambda t, p: t.to_csv(p))
    assert guessed(made, "panel", "time") == ("", "time_cells")
    assert made.faults == ()


@pytest.mark.parametrize("odd", ['a "b"', "new\nline\\", "情绪 😀", "x.y = [1]", "#", "\u202etxt\x7f", "'''"])
def test_any_name_of_a_column_survives_the_manifest(start, odd):
    made = start(
        lambda t: t.rename(columns={"date": odd, "y10": f"{odd}_x_lag1"}),
        model=unnamed(model_text()),
        name="t.parquet",
        save=to_parquet,
    )
    assert made.faults == ()
    assert made.bundle.manifest.panel.time == odd
    assert made.bundle.panel.features[0] == f"{odd}_x_lag1"
    assert made.bundle.manifest.features[f"{odd}_x_lag1"].lag_of == f"{odd}_x"


@pytest.mark.parametrize("name", ['we "quote".txt', "新\n模型.txt", "模型😀.txt", "noending", "m.tx{}t"])
def test_any_name_of_a_file_will_do(tmp_path, name):
    (tmp_path / name).write_text(model_text())
    panel_table().to_csv(tmp_path / "p.csv", index=False)
    made = begin(tmp_path / name, tmp_path / "p.csv", tmp_path / 'out "x"\n', lang="zh")
    assert made.faults == ()
    assert made.bundle.name == "out_x"


def test_returns_are_guessed(start, tmp_path):
    returns_table().to_csv(tmp_path / "r.csv", index=False)
    made = start(returns=tmp_path / "r.csv")
    returns = made.bundle.manifest.returns
    assert (returns.strategy, returns.gross, returns.benchmark, returns.position) == ("net", "gross", "bench", "weight")
    assert returns.periods_per_year == 252


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda t: t.assign(net=(1 + t["net"]).cumprod()), "not_returns"),
        (lambda t: t.assign(net=t["net"] * 1000), "not_returns"),
        (lambda t: t.rename(columns={"net": "a", "gross": "b"}), "strategy"),
    ],
)
def test_what_are_no_returns_is_left_out_and_asked(start, tmp_path, edit, reason):
    edit(returns_table().copy()).to_csv(tmp_path / "r.csv", index=False)
    made = start(returns=tmp_path / "r.csv")
    assert made.bundle.returns is None
    assert ("returns", "strategy", reason) in asked(made)


def test_a_folder_in_use_is_refused_and_an_empty_one_taken(start, tmp_path):
    (tmp_path / "out").mkdir()
    assert start().faults == ()
    before = {file: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    with pytest.raises(BadInputError) as bad:
        start()
    assert [fault.key for fault in bad.value.faults] == ["init.fault.taken"]
    assert {file: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_is_interrupted_leaves_nothing(start, tmp_path, monkeypatch, error):
    def interrupt(*_, **__):
        raise error

    monkeypatch.setattr("workbench.beginning.folder.manifest_text", interrupt)
    with pytest.raises(error):
        start()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.txt", "table.csv"]


def test_a_pickle_is_refused_with_the_way_out(tmp_path, run):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Ridge()))
    panel_table().to_csv(tmp_path / "p.csv", index=False)
    status, _, err = run("init", tmp_path / "m.pkl", tmp_path / "p.csv", "--out", tmp_path / "out")
    assert status == 2
    assert "skops.io.dump" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "panel", "said"),
    [
        (b"weights", "p.csv", "LightGBM .txt"),
        (b"", "p.csv", "LightGBM .txt"),
        (b"tree\nversion=v4\n", "p.csv", "cut off"),
        (None, "p.xlsx", ".parquet, .csv or .csv.gz"),
        (None, "absent.csv", "no such file"),
    ],
)
def test_bad_files_are_sentences(tmp_path, run, model, panel, said):
    (tmp_path / "m.txt").write_bytes(model_text().encode() if model is None else model)
    panel_table().to_csv(tmp_path / "p.csv", index=False)
    (tmp_path / "p.xlsx").write_bytes(b"PK\x03\x04 no table")
    status, _, err = run("init", tmp_path / "m.txt", tmp_path / panel, "--out", tmp_path / "out")
    assert status == 2
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_guessed_and_what_it_did_not(tmp_path, run):
    (tmp_path / "m.txt").write_text(model_text())
    panel_table().to_csv(tmp_path / "p.csv", index=False)
    status, out, err = run("init", tmp_path / "m.txt", tmp_path / "p.csv", "--out", tmp_path / "one", "--name", "mine")
    assert status == 0
    assert 'panel.time = "date"  # its name and its cells' in out
    assert "published_lag_days" in out
    assert "workbench explain" in err
    assert run("validate", tmp_path / "one")[0] == 0
    status, out, _ = run("init", tmp_path / "m.txt", tmp_path / "p.csv", "--out", tmp_path / "two", "--lang", "zh")
    assert "由列名与内容判断" in out
    assert "由列名与内容判断" in (tmp_path / "two" / "bundle.toml").read_text("utf-8")


def test_the_machines_form(tmp_path, run):
    (tmp_path / "m.txt").write_text(model_text())
    panel_table().drop(columns="slope").to_csv(tmp_path / "p.csv", index=False)
    status, out, _ = run("init", tmp_path / "m.txt", tmp_path / "p.csv", "--out", tmp_path / "out", "--json", "-")
    form = json.loads(out)
    assert status == 2
    assert form["valid"] is False
    assert {"key", "value", "why"} == set(form["guesses"][0])
    assert {"key", "why"} == set(form["open"][0])
    assert [fault["place"] for fault in form["faults"]] == ["slope"]
    assert Path(form["folder"]) == tmp_path / "out"


def test_a_column_whose_order_of_day_and_month_shows_late_is_still_found(start):
    def slashed(table):
        first = table.loc[:0, "date"].repeat(150)
        dates = pd.to_datetime(pd.concat([first, table["date"]])).dt.strftime("%d/%m/%Y")
        return pd.concat([table.iloc[:1]] * 150 + [table]).assign(date=dates.to_numpy(), code=range(len(dates)))

    assert guessed(start(slashed), "panel", "time") == ("date", "time_name")
