"""An ensemble read from LightGBM's text goes every way that the library goes, and weighs as it weighs."""

import re
from functools import cache

import lightgbm
import numpy as np
import pytest
from builders_forests import WIDTH, labels, probes, rows
from trees.walk import check, outputs, shapley

from workbench.models.lightgbm import checked
from workbench.schema import BadInputError
from workbench.trees.ensemble import Missing
from workbench.trees.lightgbm_ensemble import ensemble

SMALL = {"verbose": -1, "num_threads": 1, "num_leaves": 7, "min_data_in_leaf": 5, "deterministic": True, "seed": 1}
KINDS = {
    "plain": {},
    "deep": {"num_leaves": 60, "min_data_in_leaf": 1},
    "stumps": {"num_leaves": 2},
    "one leaf": {"min_data_in_leaf": 1000},
    "zero as missing": {"zero_as_missing": True},
    "no missing": {"use_missing": False},
    "forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    "dart": {"boosting": "dart", "drop_rate": 0.5},
    "goss": {"data_sample_strategy": "goss"},
    "extra": {"extra_trees": True},
    "binary": {"objective": "binary"},
    "l1": {"objective": "regression_l1"},
    "huber": {"objective": "huber"},
    "poisson": {"objective": "poisson"},
    "unbalanced": {"objective": "binary", "is_unbalance": True},
    "linear_lambda": {"lambda_l1": 0.5, "lambda_l2": 2.0, "path_smooth": 1.0},
    "coarse bins": {"max_bin": 4},
    "monotone": {"monotone_constraints": [1, 0, 0, 0, 0]},
}


@cache
def trained(kind: str, *, categorical: bool = False, rounds: int = 8) -> lightgbm.Booster:
    X, params = rows(categorical=categorical), {**SMALL, **KINDS[kind]}
    y = labels()
    if params.get("objective") == "binary":
        y = (y > 1).astype(float)
    if params.get("objective") == "poisson":
        y = np.abs(y)
    weight = np.random.default_rng(0).random(len(y)) if kind == "huber" else None
    data = lightgbm.Dataset(X, y, weight=weight, categorical_feature=[4] if categorical else [], params={"verbose": -1})
    if categorical:
        params |= {"min_data_per_group": 5, "cat_smooth": 1, "max_cat_to_onehot": 1 if kind == "plain" else 50}
    return lightgbm.train(params, data, rounds)


def read(folder, text: str):
    path = folder / "model.txt"
    path.write_text(text, "utf-8")
    found = ensemble(checked(path))
    check(found, WIDTH)
    return found


def raw(booster: lightgbm.Booster, X: np.ndarray, kind: str) -> np.ndarray:
    """The library's sum; the trees of a forest are averaged by `predict` and not by its raw score."""
    divisor = booster.num_trees() if kind == "forest" else 1
    return booster.predict(X, raw_score=True, num_threads=1) / divisor


@pytest.mark.parametrize("categorical", [False, True], ids=["numbers", "categories"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_go_where_the_library_sends_them(tmp_path, kind, categorical):
    if kind == "monotone" and categorical:
        return
    booster = trained(kind, categorical=categorical)
    found = read(tmp_path, booster.model_to_string())
    X = probes(found, categories=categorical)
    np.testing.assert_allclose(outputs(found, X), raw(booster, X, kind), rtol=1e-12, atol=1e-14)
    if kind == "forest":
        np.testing.assert_allclose(outputs(found, X), booster.predict(X), rtol=1e-12)
    if categorical and kind in {"plain", "deep", "forest", "goss", "zero as missing"}:
        assert found.category_set is not None
        assert (found.category_set >= 0).any()


@pytest.mark.parametrize("categorical", [False, True], ids=["numbers", "categories"])
@pytest.mark.parametrize("kind", ["plain", "stumps", "one leaf", "zero as missing", "no missing", "forest", "dart"])
def test_covers_are_those_of_the_librarys_contributions(tmp_path, kind, categorical):
    booster = trained(kind, categorical=categorical)
    found = read(tmp_path, booster.model_to_string())
    X = probes(found, categories=categorical)[::7]
    expected = booster.predict(X, pred_contrib=True, num_threads=1) / (booster.num_trees() if kind == "forest" else 1)
    values, base = shapley(found, X)
    np.testing.assert_allclose(np.column_stack([values, base]), expected, rtol=1e-10, atol=1e-12)


def test_all_kinds_of_missing_occur(tmp_path):
    kinds = {
        int(kind)
        for name in ("plain", "zero as missing", "no missing")
        for kind in read(tmp_path, trained(name).model_to_string()).missing
    }
    assert kinds == set(Missing)


def test_an_early_stop_leaves_the_best_rounds(tmp_path):
    X, y = rows(), labels()
    data = lightgbm.Dataset(X[:200], y[:200])
    valid = lightgbm.Dataset(X[200:], y[200:], reference=data)
    stop = lightgbm.early_stopping(2, verbose=False)
    booster = lightgbm.train({**SMALL, "learning_rate": 0.9}, data, 60, valid_sets=[valid], callbacks=[stop])
    assert 0 < booster.best_iteration < 60
    found = read(tmp_path, booster.model_to_string())
    assert len(found.roots) == booster.best_iteration
    np.testing.assert_allclose(outputs(found, X), booster.predict(X, raw_score=True), rtol=1e-12)


def edited(text: str, *changes: tuple[str, str]) -> str:
    """The model with lines of its first tree changed, and the tree's size set right."""
    start = text.index("Tree=0")
    head, tree, rest = text[:start], text[start : text.index("\n\n\n", start)], text[text.index("\n\n\n", start) :]
    for key, line in changes:
        tree = re.sub(rf"^{key}=.*$", f"{key}={line}", tree, count=1, flags=re.MULTILINE)
    size = len(tree) + 3
    return re.sub(r"^tree_sizes=\d+", f"tree_sizes={size}", head, count=1, flags=re.MULTILINE) + tree + rest


@pytest.mark.parametrize("limit", ["0", "1e-36", "-1e-36", "1.0000000180025095e-35", "-1.0000000180025095e-35", "inf"])
@pytest.mark.parametrize("decision", [0, 2, 4, 6, 8, 10])
def test_thresholds_beside_zero_meet_values_that_the_library_made_zero(tmp_path, limit, decision):
    text = trained("stumps", rounds=1).model_to_string()
    text = edited(text, ("threshold", limit), ("decision_type", str(decision)))
    found = read(tmp_path, text)
    X = probes(found)
    expected = lightgbm.Booster(model_str=text).predict(X, raw_score=True)
    assert len(set(expected)) == 2 or limit == "inf"
    assert np.array_equal(outputs(found, X), expected)


def test_a_large_model_is_read_from_the_arrays_of_its_check(tmp_path):
    path = tmp_path / "model.txt"
    path.write_text(trained("deep").model_to_string(), "utf-8")
    model = checked(path)
    assert model.forest is model.forest
    assert len(ensemble(model).values) == sum(int(tree["num_leaves"]) for tree in model.trees)


def test_a_bagged_tree_of_one_leaf_has_counted_no_rows(tmp_path):
    params = {**SMALL, "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5, "min_data_in_leaf": 1000}
    booster = lightgbm.train(params, lightgbm.Dataset(rows(), labels()), 3)
    text = booster.model_to_string()
    assert "leaf_count=0\n" in text
    assert np.array_equal(outputs(read(tmp_path, text), rows()[:4]), booster.predict(rows()[:4]))
    split = trained("stumps", rounds=1).model_to_string()
    with pytest.raises(BadInputError):
        read(tmp_path, edited(split, ("leaf_count", "0 400")))


@pytest.mark.parametrize("decision", [1, 3, 5, 7, 9, 11])
def test_missing_categories_go_right_whatever_the_file_says_of_them(tmp_path, decision):
    text = trained("plain", categorical=True, rounds=1).model_to_string()
    before = re.search(r"^decision_type=(.*)$", text, re.MULTILINE)[1].split()
    after = [str(decision) if int(kind) % 2 else kind for kind in before]
    assert any(int(kind) % 2 for kind in before)
    text = edited(text, ("decision_type", " ".join(after)))
    found = read(tmp_path, text)
    X = probes(found, categories=True)
    expected = lightgbm.Booster(model_str=text).predict(X, raw_score=True)
    np.testing.assert_allclose(outputs(found, X), expected, rtol=1e-12)
