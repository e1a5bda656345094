"""A skops file is refused by type and place before scikit-learn sees it; what is accepted predicts as scikit-learn does."""

import io
import json
import random
import time
import zipfile
from functools import cache
from pathlib import Path

import house
import numpy as np
import pytest
import skops.io
from builders_networks import NAMES, damaged, fitted, labels, outcomes, rows, table
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNetCV,
    HuberRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from workbench.formats import skops_file, skops_trust
from workbench.models import find
from workbench.models.sklearn import inspect, load, notes, recognises
from workbench.schema import BadInputError, ModelFailedError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::FutureWarning")

MLP = {"hidden_layer_sizes": (8, 4), "max_iter": 8, "random_state": 0}
SMALL = {"n_estimators": 5, "random_state": 0}
REGRESSORS = [
    *(LinearRegression(), Ridge(), ElasticNetCV(cv=3), HuberRegressor(max_iter=1000), PoissonRegressor(), SVR()),
    *(MLPRegressor(**MLP), MLPRegressor(**MLP, solver="lbfgs", activation="tanh"), MLPRegressor(**MLP, solver="sgd")),
    *(DecisionTreeRegressor(max_leaf_nodes=9), RandomForestRegressor(**SMALL), ExtraTreesRegressor(**SMALL)),
    *(GradientBoostingRegressor(**SMALL), GradientBoostingRegressor(**SMALL, loss="huber")),
    *(HistGradientBoostingRegressor(max_iter=5), HistGradientBoostingRegressor(max_iter=5, loss="poisson")),
    make_pipeline(StandardScaler(), MLPRegressor(**MLP)),
    make_pipeline(MinMaxScaler(clip=True), "passthrough", Ridge()),
    make_pipeline(SimpleImputer(strategy="median"), make_pipeline(RobustScaler(), Ridge())),
    make_pipeline(SimpleImputer(missing_values=0.0), Ridge()),
    make_pipeline(PCA(3, whiten=True), PolynomialFeatures(2), Ridge()),
    make_pipeline(QuantileTransformer(n_quantiles=20), MaxAbsScaler(), RandomForestRegressor(**SMALL)),
]
CLASSIFIERS = [
    *(LogisticRegression(), RidgeClassifier(), SGDClassifier(), SGDClassifier(loss="log_loss"), LinearSVC(), SVC()),
    *(MLPClassifier(**MLP), MLPClassifier(**MLP, activation="logistic"), DecisionTreeClassifier(max_depth=3)),
    *(RandomForestClassifier(**SMALL), ExtraTreesClassifier(**SMALL), GradientBoostingClassifier(**SMALL)),
    HistGradientBoostingClassifier(max_iter=5),
    make_pipeline(StandardScaler(), LogisticRegression()),
]


def saved(folder: Path, model) -> Path:
    path = folder / "model.skops"
    skops.io.dump(model, path)
    return path


@cache
def small() -> bytes:
    """A pipeline that ends in a forest, as a file."""
    return skops.io.dumps(fitted(make_pipeline(StandardScaler(), RandomForestRegressor(**SMALL, max_depth=3))))


def rewritten(content: bytes, edit=None, members=None) -> bytes:
    """The file with its schema or its members changed, and every checksum right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = members(name, old.read(name)) if members else old.read(name)
            if edit and name == "schema.json":
                schema = json.loads(data)
                edit(schema)
                data = json.dumps(schema).encode()
            new.writestr(name, data)
    return out.getvalue()


def told(path: Path) -> list[tuple[str, str | None]]:
    """Key and place of each fault; each must be a sentence in both languages."""
    with pytest.raises(BadInputError) as caught:
        inspect(path)
    assert all(fault.spoken("en") and fault.spoken("zh") and fault.file == path.name for fault in caught.value.faults)
    return [(fault.key.removeprefix("fault."), fault.place) for fault in caught.value.faults]


def refused(folder: Path, content: bytes) -> list[tuple[str, str | None]]:
    path = folder / "model.skops"
    path.write_bytes(content)
    return told(path)


def test_the_format_is_found_by_its_name(tmp_path):
    assert find("sklearn").LIBRARY == "sklearn"
    assert recognises(saved(tmp_path, fitted(Ridge())))
    (tmp_path / "a.skops").write_bytes(b"tree\n")
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04")
    assert not recognises(tmp_path / "a.skops")
    assert not recognises(tmp_path / "b.zip")


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda m: repr(m)[:40].replace("\n", ""))
def test_a_regressor_predicts_as_the_library_does(tmp_path, model):
    model = fitted(model)
    held = load(saved(tmp_path, model), features=NAMES)
    assert inspect(tmp_path / "model.skops") == held.feature_names == NAMES
    assert held.scale == "raw"
    assert np.allclose(held.predict(rows()), model.predict(table()), rtol=1e-12, atol=1e-12)
    assert held.predict(rows()[:1]).shape == (1,)
    assert held.predict(rows()[:0]).shape == (0,)


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: repr(m)[:40].replace("\n", ""))
def test_a_classifier_gives_its_probability_or_its_decision(tmp_path, model):
    model = fitted(model)
    held = load(saved(tmp_path, model))
    boosted = type(model).__name__ in {"GradientBoostingClassifier", "HistGradientBoostingClassifier"}
    probable = hasattr(model, "predict_proba") and not boosted  # boosters give log-odds, which leaves add up to
    expected = model.predict_proba(table())[:, 1] if probable else model.decision_function(table())
    assert held.scale == ("probability" if probable else "raw")
    assert np.allclose(held.predict(rows()), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_an_isolation_forest_scores_stranger_rows_higher(tmp_path, share):
    model = IsolationForest(n_estimators=9, max_features=share, random_state=0).fit(table())
    held = load(saved(tmp_path, model))
    assert np.allclose(held.predict(rows()), -model.score_samples(table()), rtol=1e-12)
    assert held.predict(np.full((1, 5), 9.0)) > held.predict(np.zeros((1, 5)))


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        (Ridge(), False),
        (MLPRegressor(**MLP), False),
        (GradientBoostingRegressor(**SMALL), False),
        (RandomForestRegressor(**SMALL), True),
        (HistGradientBoostingRegressor(max_iter=3), True),
        (make_pipeline(StandardScaler(), Ridge()), False),
        (make_pipeline(SimpleImputer(), Ridge()), True),
    ],
    ids=lambda v: repr(v)[:30].replace("\n", ""),
)
def test_whether_gaps_are_taken_is_what_the_model_really_does(tmp_path, model, takes):
    assert load(saved(tmp_path, fitted(model))).takes_missing is takes


@pytest.mark.parametrize(
    "model",
    [
        RandomForestRegressor(**SMALL),
        HistGradientBoostingRegressor(max_iter=5),
        make_pipeline(SimpleImputer(add_indicator=True), Ridge()),
    ],
    ids=["forest", "boosted", "indicator"],
)
def test_gaps_are_dealt_with_as_the_library_does(tmp_path, model):
    frame = table().mask(np.random.default_rng(0).random((200, 5)) < 0.1)
    model.fit(frame, labels())
    held = load(saved(tmp_path, model))
    assert held.takes_missing
    assert np.allclose(held.predict(frame.to_numpy()), model.predict(frame), rtol=1e-12)


def test_a_model_of_a_plain_array_has_no_names(tmp_path):
    assert inspect(saved(tmp_path, fitted(Ridge(), named=False))) == tuple(f"Column_{i}" for i in range(5))


def test_rows_of_another_width_are_refused_before_native_code_sees_them(tmp_path):
    path = saved(tmp_path, fitted(RandomForestRegressor(**SMALL)))
    for width in (1, 4, 6, 100):
        with pytest.raises(ModelFailedError, match=r"model\.width"):
            load(path).predict(np.zeros((2, width)))
    with pytest.raises(ModelFailedError, match=r"model\.width"):
        load(path, features=NAMES[:3])


def test_a_constant_column_and_numbers_beyond_float32_are_predicted(tmp_path):
    held = load(saved(tmp_path, fitted(RandomForestRegressor(**SMALL))))
    assert np.isfinite(held.predict(np.full((3, 5), 1e300))).all()


def test_every_trusted_type_is_there_and_has_a_reason():
    assert set(skops_trust.REASONS) == set(skops_trust.ROLES)
    assert all(len(why) > 15 for why in skops_trust.REASONS.values())
    module = find("sklearn")
    module.preload()
    newest = {"Log", "Huber", "SquaredLoss", "HalfLogitLink"}  # some versions only
    for kind, role in skops_trust.ROLES.items():
        home, _, name = kind.rpartition(".")
        if role != "forgotten" and name not in newest:
            assert hasattr(module._import(home), name), kind


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (KNeighborsRegressor(), "KNeighborsRegressor"),
        (TransformedTargetRegressor(Ridge()), "TransformedTargetRegressor"),
        (GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=2), "GridSearchCV"),
        (make_pipeline(FunctionTransformer(np.exp), Ridge()), "FunctionTransformer"),
        (make_pipeline(FunctionTransformer(time.sleep), Ridge()), "FunctionTransformer"),
        (make_pipeline(ColumnTransformer([("a", StandardScaler(), ["y10"])]), Ridge()), "ColumnTransformer"),
        (SVR(kernel=np.dot), "numpy.dot"),
    ],
    ids=lambda v: str(v)[:30].replace("\n", ""),
)
def test_types_that_are_not_on_the_list_are_refused_by_name(tmp_path, model, kind):
    model = model if isinstance(model, SVR) or "sleep" in repr(model) else fitted(model)
    path = saved(tmp_path, model)
    with pytest.raises(BadInputError) as caught:
        inspect(path)
    assert {fault.key for fault in caught.value.faults} == {"fault.sklearn.type"}
    assert any(kind in fault.values["found"] for fault in caught.value.faults)


def test_boosters_of_other_libraries_are_sent_to_their_own_format(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(rows(), labels())
    ((key, _), *_) = [fault for fault in told(saved(tmp_path, model)) if "booster" in fault[0]]
    assert key == "sklearn.booster"


def forged(**node: object):
    """An edit that puts a node of the schema in place of the pipeline's first step."""

    def edit(schema: dict) -> None:
        step = schema["content"]["content"]["steps"]["content"][0]["content"][1]
        schema["content"]["content"]["steps"]["content"][0]["content"][1] = {**node, "inner": step}

    return edit


@pytest.mark.parametrize(
    "node",
    [
        {"__class__": "methodcaller", "__module__": "operator", "__loader__": "OperatorFuncNode", "attrs": {}},
        {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"},
        {"__class__": "system", "__module__": "os", "__loader__": "TypeNode"},
        {"__class__": "Ridge", "__module__": "sklearn.linear_model._ridge", "__loader__": "TypeNode"},
        {"__class__": "Ridge", "__module__": "sklearn.linear_model._ridge", "__loader__": "MethodNode"},
        {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode", "content": None},
        {"__class__": "Popen", "__module__": "subprocess", "__loader__": "ConstructorFromReduceNode"},
        {"__class__": "partial", "__module__": "functools", "__loader__": "PartialNode"},
    ],
    ids=lambda n: f"{n['__loader__']}-{n['__class__']}",
)
def test_whatever_would_act_is_refused_by_name(tmp_path, node):
    ((key, place), *_) = refused(tmp_path, rewritten(small(), forged(**node)))
    assert (key, place) == ("sklearn.type", "steps[0][1]")


def nodes_changed(**fields: object):
    """Arrays of tree nodes with fields set at the root."""

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith(".npy"):
            return data
        array = np.load(io.BytesIO(data)).copy()
        if array.dtype.names is None or not set(fields) <= set(array.dtype.names):
            return data
        for field, value in fields.items():
            array[field][0] = value
        out = io.BytesIO()
        np.save(out, array)
        return out.getvalue()

    return change


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"left_child": 0}, "child"),
        ({"right_child": 10**6}, "child"),
        ({"left_child": -7}, "child"),
        ({"feature": 5}, "feature"),
        ({"feature": -3}, "feature"),
        ({"left_child": 2}, "parents"),
        ({"threshold": np.nan}, "infinite"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "model", [DecisionTreeRegressor(max_depth=3), GradientBoostingRegressor(**SMALL), IsolationForest(**SMALL)], ids=str
)
def test_trees_that_would_be_walked_out_of_bounds_are_refused(tmp_path, fields, key, model):
    content = skops.io.dumps(fitted(model))
    ((found, place), *_) = refused(tmp_path, rewritten(content, members=nodes_changed(**fields)))
    assert found == f"sklearn.{key}"
    assert "tree_" in place


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"left": 0}, "child"),
        ({"right": 10**6}, "child"),
        ({"feature_idx": 5}, "feature"),
        ({"is_categorical": 1, "bitset_idx": 10**6}, "categorical"),
        ({"value": np.inf}, "infinite"),
    ],
    ids=str,
)
def test_boosted_trees_too(tmp_path, fields, key):
    content = skops.io.dumps(fitted(HistGradientBoostingRegressor(max_iter=2)))
    ((found, place), *_) = refused(tmp_path, rewritten(content, members=nodes_changed(**fields)))
    assert (found, place[:11]) == (f"sklearn.{key}", "_predictors")


def attributes(schema: dict) -> dict:
    return schema["content"]["content"]


def number(value: object) -> dict:
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(value)}


@pytest.mark.parametrize(
    ("model", "name", "value", "key"),
    [
        (DecisionTreeRegressor(max_depth=2), "n_features_in_", 4, "shape"),
        (DecisionTreeRegressor(max_depth=2), "n_outputs_", 2, "multi_output"),
        (Ridge(), "n_features_in_", None, "not_fitted"),
        (Ridge(), "intercept_", float("nan"), "infinite"),
        (Ridge(), "alpha", 10**30, "odd"),
        (SVR(), "kernel", "precomputed", "svm"),
        (SVR(), "_sparse", True, "svm"),
        (SVR(), "_impl", "c_svc", "svm"),
        (GradientBoostingRegressor(**SMALL), "n_trees_per_iteration_", 2, "shape"),
        (IsolationForest(**SMALL, max_features=3), "_max_features", 5, "shape"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_sizes_that_do_not_fit_are_refused(tmp_path, model, name, value, key):
    def edit(schema: dict) -> None:
        attributes(schema)[name] = number(value)

    assert refused(tmp_path, rewritten(skops.io.dumps(fitted(model)), edit))[0][0] == f"sklearn.{key}"


def test_a_product_of_too_many_columns_is_refused(tmp_path):
    model = fitted(make_pipeline(PolynomialFeatures(2), Ridge()))

    def edit(schema: dict) -> None:
        step = attributes(schema)["steps"]["content"][0]["content"][1]
        step["content"]["content"]["_max_degree"] = number(60)

    assert refused(tmp_path, rewritten(skops.io.dumps(model), edit)) == [("sklearn.shape", "steps[0][1]")]


@pytest.mark.parametrize(
    ("y", "key"),
    [
        (np.digitize(labels(), [-1, 1]), "multiclass"),
        (np.where(labels() > 0, "up", "down"), "classes"),
        (np.column_stack([labels(), labels()]), "multi_output"),
    ],
    ids=["three classes", "words", "two outputs"],
)
def test_what_has_not_one_output_is_refused_by_name(tmp_path, y, key):
    model = Ridge() if y.ndim > 1 else LogisticRegression()
    assert told(saved(tmp_path, model.fit(table(), y)))[0][0] == f"sklearn.{key}"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"", "model.empty"),
        (b"\x80\x04\x95\x00", "sklearn.not_this"),
        (b"date,y10\n", "sklearn.not_this"),
        (small()[:3000], "sklearn.container"),
        (small()[: len(small()) // 2], "sklearn.container"),
    ],
    ids=["empty", "pickle", "table", "cut", "half"],
)
def test_what_is_no_skops_file_is_told_so(tmp_path, content, key):
    assert [found for found, _ in refused(tmp_path, content)] == [key]


def test_a_bomb_is_refused_from_its_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(skops_file, "MOST_UNPACKED", 20 << 20)
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(3):
            archive.writestr(f"{i}.npy", bytes(7 << 20))
    assert path.stat().st_size < 1 << 17
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    assert told(path)[0][0] == "model.large"


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 5, }",
        "__import__('os')",
    ],
)
def test_arrays_whose_header_does_not_account_for_their_bytes_are_refused(tmp_path, header):
    def change(name: str, data: bytes) -> bytes:
        if not name.endswith(".npy"):
            return data
        line = (header + " " * 128)[:117].encode() + b"\n"
        return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + bytes(16)

    assert refused(tmp_path, rewritten(small(), members=change))[0][0] in {"sklearn.odd", "sklearn.container"}


def test_deep_nesting_ends(tmp_path):
    def edit(schema: dict) -> None:
        deep = number(1)
        for _ in range(400):
            deep = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [deep]}
        attributes(schema)["verbose"] = deep

    assert refused(tmp_path, rewritten(small(), edit))[0][0] == "sklearn.odd"


def test_threads_chatter_and_caches_are_not_the_files_to_set(tmp_path):
    model = fitted(make_pipeline(StandardScaler(), RandomForestRegressor(**SMALL), memory=None))
    model.memory, model[-1].n_jobs, model[-1].verbose = str(tmp_path / "cache"), 64, 3
    held = load(saved(tmp_path, model))
    assert (held._whole.memory, held._whole[-1].n_jobs, held._whole[-1].verbose) == (None, None, 0)


def test_another_version_is_said(tmp_path):
    def edit(schema: dict) -> None:
        attributes(schema)["_sklearn_version"] = number("1.5.2")

    path = saved(tmp_path, fitted(Ridge()))
    assert notes(path) == ()
    path.write_bytes(rewritten(path.read_bytes(), edit))
    (note,) = notes(path)
    assert (note.key, note.values["written"]) == ("fault.sklearn.version", "1.5.2")
    assert np.isfinite(load(path).predict(rows())).all()


def test_a_model_that_lacks_what_it_needs_fails_in_words(tmp_path):
    def edit(schema: dict) -> None:
        del attributes(schema)["coef_"]

    path = tmp_path / "model.skops"
    path.write_bytes(rewritten(skops.io.dumps(fitted(Ridge())), edit))
    with pytest.raises(ModelFailedError, match="does_not_run"):
        load(path)


def test_a_file_is_checked_without_its_library(tmp_path):
    path = saved(tmp_path, fitted(RandomForestRegressor(**SMALL)))
    statement = f"from pathlib import Path\nfrom workbench.models.sklearn import inspect\ninspect(Path({str(path)!r}))"
    assert house.loaded_by(statement, house.ONLY_IN_WORKERS, Path(__file__).parents[2]) == []


MUTATED = [
    RandomForestRegressor(**SMALL, max_depth=3),
    HistGradientBoostingRegressor(max_iter=3, max_leaf_nodes=5),
    make_pipeline(StandardScaler(), SVC()),
    GradientBoostingClassifier(n_estimators=3, max_depth=2),
    IsolationForest(n_estimators=3, max_samples=20),
    MLPRegressor(**MLP),
]


def mutants(folder: Path, count: int, seed: int) -> list[Path]:
    """Files damaged in the zip, or inside one member with the checksums right."""
    dice = random.Random(seed)
    seeds = [skops.io.dumps(fitted(model)) for model in MUTATED]
    paths = []
    for i in range(count):
        content = seeds[i % len(seeds)]
        if dice.random() < 0.2:
            content = damaged(content, dice)
        else:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                chosen = dice.choice([*archive.namelist(), "schema.json"])
            content = rewritten(
                content, members=lambda name, data, chosen=chosen: damaged(data, dice) if name == chosen else data
            )
        paths.append(folder / f"{i}.skops")
        paths[-1].write_bytes(content)
    return paths


def tried(path: Path) -> str:
    try:
        names = inspect(path)
    except BadInputError:
        return "refused"
    try:
        load(path).predict(np.random.default_rng(0).normal(size=(8, len(names))))
    except ModelFailedError:
        return "failed"
    return "predicted"


def test_slightly_damaged_files_are_refused_or_predict(tmp_path):
    told = outcomes(mutants(tmp_path, 100, seed=1), tried)
    assert set(told) <= {"refused", "failed", "predicted"}
    assert told.count("refused") > 20
