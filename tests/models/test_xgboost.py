"""An XGBoost model is refused by name and place before the library sees it; what is accepted is the library's own, to the byte."""

import json
from itertools import combinations
from math import factorial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from builders_boosters import NAMES, ends_of_mutants, labels, rows, trained

from workbench.models import find
from workbench.models.xgboost import inspect, load, recognises
from workbench.schema import BadInputError, ModelFailedError
from workbench.trees.xgboost_json import read_document

TREES = "learner.gradient_booster.model.trees"


def write(folder: Path, content: bytes | str, name: str = "model.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else bytes(content))
    return path


def both(folder: Path, booster: xgboost.Booster) -> list[Path]:
    """The model as JSON and as UBJSON."""
    return [write(folder, booster.save_raw(kind), f"model.{kind}") for kind in ("json", "ubj")]


def told(path: Path) -> list[tuple[str, str | None]]:
    """Key and place of each fault; each must be a sentence in both languages."""
    with pytest.raises(BadInputError) as raised:
        inspect(path)
    faults = raised.value.faults
    assert all(fault.spoken("en") and fault.spoken("zh") and fault.file == path.name for fault in faults)
    return [(fault.key.removeprefix("fault."), fault.place) for fault in faults]


def edited(change, booster: xgboost.Booster | None = None) -> str:
    """The JSON model after a change to its document."""
    document = json.loads((booster or trained()).save_raw("json"))
    change(document["learner"])
    return json.dumps(document)


MODELS = {
    "regression": {},
    "numbers": {"categorical": False},
    "logistic": {"objective": "binary:logistic", "label": (labels() > 1).astype(float)},
    "poisson": {"objective": "count:poisson", "label": np.exp(labels() / 4)},
    "quantile": {"objective": "reg:quantileerror", "quantile_alpha": 0.2},
    "huber": {"objective": "reg:pseudohubererror"},
    "absolute": {"objective": "reg:absoluteerror"},
    "base_score": {"base_score": 7.25},
    "dart": {"booster": "dart", "rate_drop": 0.5, "one_drop": 1},
    "forest": {"num_parallel_tree": 3, "subsample": 0.5, "rounds": 2},
    "pruned": {"categorical": False, "tree_method": "exact", "gamma": 4, "max_depth": 5},
    "leafwise": {"grow_policy": "lossguide", "max_leaves": 9},
    "one_hot": {"max_cat_to_onehot": 10},
    "stump": {"gamma": 1e9},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_written_anew_to_the_byte_and_predicts_to_the_bit(tmp_path, name):
    booster = trained(**MODELS[name])
    for path in both(tmp_path, booster):
        model = load(path)
        assert inspect(path) == model.feature_names == NAMES
        assert read_document(path).content == bytes(booster.save_raw("ubj"))
        data = xgboost.DMatrix(
            rows(), feature_names=list(NAMES), feature_types=booster.feature_types, enable_categorical=True
        )
        assert np.array_equal(model.predict(rows()), booster.predict(data, output_margin=True))
        values, base = model.contributions(rows())
        predicted, theirs = model.predict(rows()), booster.predict(data, pred_contribs=True)
        assert np.abs(np.column_stack([values, base]) - theirs).max() <= 1e-5 * (np.ptp(theirs) + 1e-9)
        gap = np.abs(values.sum(axis=1) + base - predicted)
        assert (gap <= model.precision * (np.std(predicted) + np.abs(predicted))).all()


def test_what_an_unnamed_model_is_called(tmp_path):
    data = xgboost.DMatrix(rows(), labels())
    (path, other) = both(tmp_path, xgboost.train({"max_depth": 2, "nthread": 1}, data, 2))
    assert inspect(path) == inspect(other) == ("Column_0", "Column_1", "Column_2", "Column_3")


def test_after_an_early_stop_each_interface_predicts_its_own_way(tmp_path):
    """XGBoost itself predicts with all rounds, its scikit-learn classes with those up to the best; the file says whose it is."""
    pytest.importorskip("sklearn")
    X, noise = rows(), np.random.default_rng(0).normal(size=len(rows()))
    wrapped = xgboost.XGBRegressor(n_estimators=60, early_stopping_rounds=3, max_depth=2, n_jobs=1)
    wrapped.fit(X[:200], noise[:200], eval_set=[(X[200:], noise[200:])], verbose=False)
    wrapped.save_model(tmp_path / "model.json")
    assert wrapped.best_iteration + 1 < wrapped.get_booster().num_boosted_rounds()
    model = load(tmp_path / "model.json")
    assert np.array_equal(model.predict(X), wrapped.predict(X))
    values, base = model.contributions(X)
    assert np.abs(values.sum(axis=1) + base - wrapped.predict(X)).max() < 1e-5
    booster = wrapped.get_booster()
    (path, _) = both(tmp_path, booster)
    assert np.array_equal(load(path).predict(X), booster.predict(xgboost.DMatrix(X)))
    text = (
        path.read_text()
        .replace('"attributes":{', '"attributes":{"scikit_learn":"{}",')
        .replace('"best_iteration":"', '"best_iteration":"9')
    )
    assert told(write(tmp_path, text)) == [("xgboost.value", "learner.attributes.best_iteration")]


def expectation(tree, node, row, known):
    """Path-dependent E[f(x) | x_known] of one tree: where the split's feature is not known, both sides by their covers."""
    left, right = tree["left_children"][node], tree["right_children"][node]
    if left == -1:
        return tree["split_conditions"][node]
    feature = tree["split_indices"][node]
    if feature in known:
        x = row[feature]
        if np.isnan(x):
            goes_left = tree["default_left"][node]
        elif tree["split_type"][node]:
            at = tree["categories_nodes"].index(node)
            start = tree["categories_segments"][at]
            goes_left = int(x) not in tree["categories"][start : start + tree["categories_sizes"][at]]
        else:
            goes_left = np.float32(x) < np.float32(tree["split_conditions"][node])
        return expectation(tree, left if goes_left else right, row, known)
    covers = [tree["sum_hessian"][child] for child in (left, right)]
    return np.average([expectation(tree, child, row, known) for child in (left, right)], weights=covers)


@pytest.mark.parametrize("name", ["regression", "dart", "forest", "pruned"])
def test_contributions_are_the_shapley_values_of_the_trees(tmp_path, name):
    """By summing over all coalitions (Shapley 1953); DART's trees by their weights."""
    booster = trained(**MODELS[name])
    model = load(both(tmp_path, booster)[0])
    boosted = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    trees = boosted.get("gbtree", boosted)["model"]["trees"]
    weights = boosted.get("weight_drop", [1] * len(trees))
    gaps = np.flatnonzero(np.isnan(rows()[:, 1]))
    for position in (int(gaps[0]), 1, 200):
        row, d = rows()[position], len(NAMES)
        worth = {
            coalition: sum(w * expectation(tree, 0, row, coalition) for w, tree in zip(weights, trees, strict=True))
            for size in range(d + 1)
            for coalition in combinations(range(d), size)
        }
        expected = np.zeros(d)
        for j in range(d):
            for c in (c for c in worth if j not in c):
                share = factorial(len(c)) * factorial(d - len(c) - 1) / factorial(d)
                expected[j] += share * (worth[tuple(sorted((*c, j)))] - worth[c])
        values, _ = model.contributions(row[None])
        assert np.abs(values[0] - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("kind", ["json", "ubj"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_told_so(tmp_path, kind, share):
    content = bytes(trained().save_raw(kind))
    ((key, _),) = told(write(tmp_path, content[: int(len(content) * share)]))
    assert key == "model.cut"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "model.empty"),
        (b"tree\nversion=v4\n", "xgboost.not_this"),
        (b'{"a": 1}', "xgboost.not_this"),
        (b"\x80\x04\x95", "xgboost.not_this"),
        (b'{"learner": nope}', "xgboost.damaged"),
        (b'{"learner": 1, "learner": 2}', "xgboost.damaged"),
        (b'{"learner": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "xgboost.damaged"),
        (b'{"learner": ' + b"7" * 5000 + b"}", "xgboost.damaged"),
        (b'{"learner": "\xff"}', "xgboost.damaged"),
        (b'{"learner": 7}', "xgboost.missing"),
        (b'{"learner": 7, "version": [3, 2, 0]}', "xgboost.value"),
        (b'{"learner": {}, "version": [9, 2, 0]}', "xgboost.version"),
        (b'{"learner": {}, "version": [3, 2, 0]}', "xgboost.missing"),
    ],
)
def test_what_is_no_model_is_told_so(tmp_path, content, expected):
    assert told(write(tmp_path, content))[0][0] == expected


def put(*path, value):
    """A change that puts a value at a place."""

    def change(learner):
        *way, last = path
        node = learner
        for step in way:
            node = node[step]
        node[last] = value

    return change


def node(key, at, value, tree=1):
    return put("gradient_booster", "model", "trees", tree, key, at, value=value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (node("left_children", 0, 0), ("child", "[1].left_children[0]")),
        (node("left_children", 0, 10**6), ("child", "[1].left_children[0]")),
        (node("left_children", 0, -2), ("child", "[1].left_children[0]")),
        (node("left_children", 0, -1), ("child", "[1].right_children[0]")),
        (node("left_children", 0, 10**10), ("range", "[1].left_children")),
        (node("left_children", 0, 2), ("parents", "[1].parents[1]")),
        (node("left_children", 0, 0.5), ("value", "[1].left_children")),
        (node("left_children", 0, "1"), ("value", "[1].left_children")),
        (node("left_children", 0, [1]), ("value", "[1].left_children")),
        (node("parents", 2, 1), ("parents", "[1].parents[2]")),
        (node("split_indices", 0, 4), ("range", "[1].split_indices[0]")),
        (node("split_indices", 0, -1), ("range", "[1].split_indices[0]")),
        (node("split_indices", 0, 2**31 - 1), ("range", "[1].default_left[0]")),
        (node("split_conditions", -1, float("nan")), ("number", "[1].split_conditions[14]")),
        (node("split_conditions", -1, 1e39), ("number", "[1].split_conditions[14]")),
        (node("sum_hessian", 0, 0), ("number", "[1].sum_hessian[0]")),
        (node("sum_hessian", 3, -1), ("number", "[1].sum_hessian[3]")),
        (node("default_left", 0, 2), ("range", "[1].default_left[0]")),
        (node("split_type", 0, 7), ("range", "[1].split_type[0]")),
        (put("gradient_booster", "model", "trees", 1, "id", value=7), ("value", "[1].tree_param")),
        (put("gradient_booster", "model", "trees", 1, "sum_hessian", value=[1.0]), ("length", "[1].sum_hessian")),
        (put("gradient_booster", "model", "trees", 1, "leaf_weights", value=[1.0]), ("unknown", "[1]")),
        (put("gradient_booster", "model", "trees", 1, value=7), ("missing", "[1]")),
        (
            put("gradient_booster", "model", "trees", 1, "tree_param", "num_nodes", value="999999999"),
            ("length", "[1].base_weights"),
        ),
        (
            put("gradient_booster", "model", "trees", 1, "tree_param", "num_nodes", value=15),
            ("value", "[1].tree_param.num_nodes"),
        ),
        (
            put("gradient_booster", "model", "trees", 1, "tree_param", "num_deleted", value="1"),
            ("value", "[1].tree_param.num_deleted"),
        ),
        (put("gradient_booster", "model", "trees", 1, "categories", value=[0]), ("categories", "[1].categories")),
    ],
)
def test_one_edit_in_a_tree_is_named_by_tree_and_place(tmp_path, change, expected):
    booster = trained(categorical=False)
    key, place = expected
    assert told(write(tmp_path, edited(change, booster)))[0] == (f"xgboost.{key}", f"{TREES}{place}")


@pytest.mark.parametrize(
    ("change", "key", "place"),
    [
        (put("gradient_booster", "name", value="gbdt"), "booster", "gradient_booster"),
        (put("gradient_booster", "model", "tree_info", 0, value=99), "value", "gradient_booster.model.tree_info"),
        (put("gradient_booster", "model", "iteration_indptr", 1, value=5), "value", "gradient_booster.model.iteration_indptr"),
        (put("gradient_booster", "model", "trees", value=[]), "no_trees", "gradient_booster.model.trees"),
        (put("gradient_booster", "model", "gbtree_model_param", "num_trees", value="9"), "tree_count", "gradient_booster.model.gbtree_model_param"),
        (put("gradient_booster", "model", "gbtree_model_param", "num_parallel_tree", value="0"), "value", "gradient_booster.model.gbtree_model_param.num_parallel_tree"),
        (put("learner_model_param", "num_class", value="1000000000"), "value", "learner_model_param.num_class"),
        (put("learner_model_param", "num_class", value="3"), "multiclass", "learner_model_param.num_class"),
        (put("learner_model_param", "num_target", value="3"), "multitarget", "learner_model_param.num_target"),
        (put("learner_model_param", "num_feature", value="99"), "names", "feature_names"),
        (put("learner_model_param", "num_feature", value="0"), "range", "learner_model_param.num_feature"),
        (put("learner_model_param", "base_score", value="nan"), "value", "learner_model_param.base_score"),
        (put("learner_model_param", "base_score", value="1e200"), "base_score", "learner_model_param.base_score"),
        (put("learner_model_param", "base_score", value="[1E0,2E0]"), "multitarget", "learner_model_param.base_score"),
        (put("objective", "name", value="reg:pirate"), "objective", "objective"),
        (put("objective", "name", value="binary:logistic"), "base_score", "learner_model_param.base_score"),
        (put("objective", "name", value=None), "objective", "objective"),
        (put("objective", "reg_loss_param", "scale_pos_weight", value="a\nb"), "value", "objective.reg_loss_param"),
        (put("feature_names", 1, value="y10"), "bad_names", "feature_names"),
        (put("feature_names", 1, value="\x1b[2J"), "bad_names", "feature_names"),
        (put("feature_names", 1, value=7), "value", "feature_names"),
        (put("feature_types", 1, value="z"), "value", "feature_types"),
        (put("surprise", value=7), "unknown", ""),
    ],
)  # fmt: skip
def test_a_wrong_entry_outside_the_trees_is_named(tmp_path, change, key, place):
    booster = trained(base_score=1.5)
    assert told(write(tmp_path, edited(change, booster)))[0] == (f"xgboost.{key}", f"learner.{place}".rstrip("."))


def test_a_deleted_node_s_parent_is_held_to_its_range(tmp_path):
    """The library follows it while it loads."""
    booster = trained(**MODELS["pruned"])
    at = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"][1][
        "split_indices"
    ].index(2**31 - 1)
    assert told(write(tmp_path, edited(node("parents", at, 32_794), booster))) == [
        ("xgboost.parents", f"{TREES}[1].parents[{at}]")
    ]


def test_one_edited_category_is_named(tmp_path):
    for value in (-1, 2**24, 2**31 - 1):
        (told_first, *_) = told(write(tmp_path, edited(node("categories", 0, value, tree=0))))
        assert told_first == ("xgboost.categories", f"{TREES}[0].categories")
    assert told(write(tmp_path, edited(node("categories_segments", -1, 10**6, tree=0))))[0][0] == "xgboost.categories"
    assert told(write(tmp_path, edited(node("categories_nodes", 0, 10**6, tree=0))))[0][0] == "xgboost.categories"


def test_models_that_would_be_explained_wrongly_are_refused_by_name(tmp_path):
    X, y = rows()[:, :2], labels()
    params = {"max_depth": 2, "nthread": 1, "verbosity": 0}
    table = pd.DataFrame({"a": X[:, 0], "c": pd.Categorical(np.where(X[:, 0] > 0, "up", "down"))})
    several = xgboost.DMatrix(X, (np.argsort(y) % 3).astype(float))
    targets = xgboost.DMatrix(X, np.column_stack([y, -y]))
    boosters = {
        "linear": xgboost.train({"booster": "gblinear", "verbosity": 0}, xgboost.DMatrix(np.nan_to_num(X), y), 2),
        "multiclass": xgboost.train({**params, "objective": "multi:softprob", "num_class": 3}, several, 2),
        "multitarget": xgboost.train(params, targets, 2),
        "pandas_categories": xgboost.train(params, xgboost.DMatrix(table, y, enable_categorical=True), 2),
    }
    for key, booster in boosters.items():
        for path in both(tmp_path, booster):
            assert told(path)[0][0] == f"xgboost.{key}"
    vector = xgboost.train({**params, "multi_strategy": "multi_output_tree"}, targets, 2)
    assert told(both(tmp_path, vector)[1])[0][0] == "xgboost.multitarget"


def test_a_path_too_deep_to_explain_is_refused(tmp_path):
    n = 1100  # inner nodes 0, 2, 4 …; each one's left child is a leaf
    nodes = 2 * n + 1
    inner = np.arange(0, nodes - 1, 2)
    tree = {key: [0.5] * nodes for key in ("base_weights", "loss_changes", "split_conditions", "sum_hessian")}
    tree |= {key: [0] * nodes for key in ("default_left", "split_indices", "split_type")}
    left, right, parents = np.full((3, nodes), -1)
    left[inner], right[inner] = inner + 1, inner + 2
    parents[inner + 1] = parents[inner + 2] = inner
    parents[0] = 2**31 - 1
    tree |= {"left_children": left.tolist(), "right_children": right.tolist(), "parents": parents.tolist(), "id": 0}
    tree |= {key: [] for key in ("categories", "categories_nodes", "categories_segments", "categories_sizes")}
    tree["tree_param"] = {"num_deleted": "0", "num_feature": "4", "num_nodes": str(nodes), "size_leaf_vector": "1"}
    text = edited(put("gradient_booster", "model", "trees", 0, value=tree), trained(categorical=False))
    assert told(write(tmp_path, text)) == [("xgboost.deep", f"{TREES}[0].left_children")]


def test_width_and_infinity_are_told_before_the_library_sees_the_rows(tmp_path):
    (path, _) = both(tmp_path, trained())
    model = load(path, features=NAMES)
    for ask in (model.predict, model.contributions):
        for wrong in (np.zeros((3, 3)), np.zeros((3, 10_000)), np.zeros(4)):
            with pytest.raises(ModelFailedError) as raised:
                ask(wrong)
            assert raised.value.message.key == "fault.model.width"
        for huge in (np.inf, -np.inf, 1e39):
            with pytest.raises(ModelFailedError) as raised:
                ask(np.array([[0, 0, huge, 0]]))
            assert raised.value.message.values == {"feature": "spread"}
    with pytest.raises(ModelFailedError):
        load(path, features=("a", "b"))
    assert model.predict(np.zeros((0, 4))).shape == (0,)
    assert model.contributions(np.zeros((0, 4)))[0].shape == (0, 4)
    constant = np.repeat(rows()[:1], 5, axis=0)
    assert len(set(model.predict(constant))) == 1
    assert np.isfinite(model.predict(np.full((1, 4), np.nan))).all()


def test_one_row_and_many_agree(tmp_path):
    model = load(both(tmp_path, trained())[1])
    assert np.array_equal(model.predict(rows()), [model.predict(row[None])[0] for row in rows()])
    many = np.repeat(rows(), 500, axis=0)
    assert np.array_equal(model.predict(many), np.repeat(model.predict(rows()), 500))


def test_a_file_of_xgboost_2_is_read(tmp_path):
    """It writes NaN for the limit of a categorical split, a bare base score and no table of categories."""
    booster = trained()

    def age(learner):
        learner["learner_model_param"]["base_score"] = learner["learner_model_param"]["base_score"].strip("[]")
        del learner["gradient_booster"]["model"]["cats"]
        for tree in learner["gradient_booster"]["model"]["trees"]:
            limits = zip(tree["split_conditions"], tree["split_type"], strict=True)
            tree["split_conditions"] = [float("nan") if kind else limit for limit, kind in limits]

    model = load(write(tmp_path, edited(age, booster).replace("[3, 2, 0]", "[2, 1, 4]")))
    assert np.array_equal(model.predict(rows()), load(both(tmp_path, booster)[0]).predict(rows()))


def test_the_format_is_told_by_the_file_s_beginning(tmp_path):
    assert all(recognises(path) for path in both(tmp_path, trained()))
    assert not recognises(write(tmp_path, b""))
    assert not recognises(write(tmp_path, b"tree\nversion=v4\nlearner"))
    assert find("xgboost").LIBRARY == "xgboost"


@pytest.mark.parametrize("kind", ["json", "ubj"])
def test_damaged_copies_are_refused_or_run_without_a_crash(tmp_path, kind):
    seeds = [bytes(trained(2, **MODELS[name]).save_raw(kind)) for name in ("regression", "dart", "pruned")]
    ends = ends_of_mutants(tmp_path, "xgboost", seeds, 75, seed=1)
    assert set(ends) <= {"refused", "done"}
    assert ends["refused"] > 40
