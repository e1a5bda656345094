"""An ensemble read from an XGBoost file goes every way that the library goes, and weighs as it weighs."""

import numpy as np
import pytest
import xgboost
from builders_forests import WIDTH, labels, probes, rows
from trees.walk import check, outputs, shapley

from workbench.trees.xgboost_ensemble import ensemble
from workbench.trees.xgboost_json import EXPONENTIAL, LOGISTIC, LOGIT, OBJECTIVES, read_document

BASE = {"max_depth": 3, "eta": 0.3, "nthread": 1, "verbosity": 0, "seed": 1}
KINDS = {
    "plain": {},
    "deep": {"max_depth": 9, "min_child_weight": 0},
    "stumps": {"max_depth": 1},
    "one leaf": {"gamma": 1e9},
    "exact": {"tree_method": "exact"},
    "pruned": {"tree_method": "exact", "gamma": 3, "max_depth": 5},
    "leafwise": {"grow_policy": "lossguide", "max_leaves": 9},
    "dart": {"booster": "dart", "rate_drop": 0.5, "seed": 3},
    "logistic": {"objective": "binary:logistic", "scale_pos_weight": 2.5},
    "base": {"base_score": 0.1, "objective": "binary:logistic"},
    "parallel": {"num_parallel_tree": 3, "subsample": 0.6},
    "one hot": {"max_cat_to_onehot": 100},
    "monotone": {"monotone_constraints": "(1,0,0,0,0)"},
}


def matrix(X, y=None, *, categorical=False, **kinds):
    types = ["q", "q", "q", "q", "c" if categorical else "q"]
    return xgboost.DMatrix(X, y, feature_types=types, enable_categorical=categorical, nthread=1, **kinds)


def trained(params, *, categorical=False, rounds=7, y=None, **kinds):
    X = rows(categorical=categorical).astype(np.float32)
    y = labels() if y is None else y
    y = (y > 1).astype(float) if "logi" in params.get("objective", "") else y
    return xgboost.train({**BASE, **params}, matrix(X, y, categorical=categorical, **kinds), rounds)


def read(folder, booster):
    path = folder / "model.ubj"
    booster.save_model(path)
    found = ensemble(read_document(path))
    check(found, WIDTH)
    return found


def close(found, expected, *, scale):
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * scale)


def spread(found):
    """The size of the numbers that a float32 sum goes through."""
    return 1 + abs(found.base) + len(found.roots) ** 0.5 * np.abs(found.values).max()


@pytest.mark.parametrize("categorical", [False, True], ids=["numbers", "categories"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_go_where_the_library_sends_them(tmp_path, kind, categorical):
    if categorical and KINDS[kind].get("tree_method") == "exact":
        return
    weight = np.random.default_rng(0).random(400) if kind == "deep" else None
    booster = trained(KINDS[kind], categorical=categorical, weight=weight)
    found = read(tmp_path, booster)
    X = probes(found, infinite=False, categories=categorical)
    expected = booster.predict(matrix(X, categorical=categorical), output_margin=True)
    close(outputs(found, X), expected, scale=spread(found))
    if categorical and kind not in {"one leaf", "stumps"}:
        assert (found.category_set >= 0).any()


@pytest.mark.parametrize("categorical", [False, True], ids=["numbers", "categories"])
@pytest.mark.parametrize("kind", ["plain", "stumps", "one leaf", "pruned", "dart", "logistic", "parallel", "one hot"])
def test_covers_are_those_of_the_librarys_contributions(tmp_path, kind, categorical):
    if categorical and KINDS[kind].get("tree_method") == "exact":
        return
    booster = trained(KINDS[kind], categorical=categorical)
    found = read(tmp_path, booster)
    X = probes(found, infinite=False, categories=categorical)[::9]
    expected = booster.predict(matrix(X, categorical=categorical), pred_contribs=True)
    values, base = shapley(found, X)
    close(np.column_stack([values, base]), expected, scale=spread(found))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("base", [None, 0.25])
def test_the_base_score_comes_through_the_objectives_link(tmp_path, objective, base):
    y = np.abs(labels()) + 0.1
    y = (y > 1).astype(float) if objective in LOGISTIC or objective in ("binary:hinge", "rank:map") else y
    y = np.floor(y) if objective.startswith("rank") else y
    params = {"objective": objective, "quantile_alpha": 0.3} | ({} if base is None else {"base_score": base})
    kinds = {"qid": np.repeat(np.arange(20), 20)} if objective.startswith("rank") else {}
    if objective == "survival:aft":
        kinds, y = {"label_lower_bound": y, "label_upper_bound": y}, np.array([])
    X = rows().astype(np.float32)
    data = matrix(X, y if len(y) else None, **kinds)
    booster = xgboost.train({**BASE, **params}, data, 3)
    found = read(tmp_path, booster)
    close(outputs(found, X), booster.predict(matrix(X), output_margin=True), scale=spread(found))
    if base is not None and objective in LOGIT + EXPONENTIAL:
        assert found.base != base


def test_after_an_early_stop_the_best_rounds_predict(tmp_path):
    X, noise = rows(), np.random.default_rng(0).normal(size=400)
    for name in ("gbtree", "dart"):
        wrapped = xgboost.XGBRegressor(n_estimators=30, early_stopping_rounds=3, max_depth=2, n_jobs=1, booster=name)
        wrapped.fit(X[:200], noise[:200], eval_set=[(X[200:], noise[200:])], verbose=False)
        found = read(tmp_path, wrapped)
        assert len(found.roots) == wrapped.best_iteration + 1 < wrapped.get_booster().num_boosted_rounds()
        close(outputs(found, X), wrapped.predict(X), scale=spread(found))


def test_only_values_below_a_threshold_go_left(tmp_path):
    found = read(tmp_path, booster := trained({"max_depth": 1}, rounds=1))
    (feature, limit) = found.feature[0], np.float32(booster.trees_to_dataframe()["Split"].dropna().iloc[0])
    X = np.zeros((3, WIDTH))
    X[:, feature] = [np.nextafter(limit, np.float32(-np.inf)), limit, float(limit) - 1e-12]
    assert outputs(found, X)[0] != outputs(found, X)[1] == outputs(found, X)[2]
    close(outputs(found, X), booster.predict(matrix(X), output_margin=True), scale=1)


@pytest.mark.parametrize("limit", [0.0, -0.0, 1e-45, np.inf, -np.inf, -3.0e38])
def test_thresholds_at_the_ends_of_float32(tmp_path, limit):
    path = tmp_path / "model.ubj"
    booster = trained({"max_depth": 1}, rounds=1)
    booster.save_model(path)
    document = read_document(path)
    tree = dict(document.trees[0])
    tree["split_conditions"] = np.where(tree["left_children"] >= 0, np.float32(limit), tree["split_conditions"])
    model = type(document)(**(vars(document) | {"trees": (tree,)}))
    found = ensemble(model)
    X = probes(found, infinite=False, missing=False)
    x = X[:, found.feature[0]].astype(np.float32)
    left, right = (found.base + found.values[~side[0]] for side in (found.left, found.right))
    assert np.array_equal(outputs(found, X), np.where(x < np.float32(limit), left, right))
