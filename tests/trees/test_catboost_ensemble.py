"""An ensemble read from a CatBoost file goes every way that the library goes, and weighs as it weighs."""

from dataclasses import replace
from functools import cache

import catboost
import numpy as np
import pytest
from builders_forests import WIDTH, labels, probes, rows
from trees.walk import check, outputs, shapley

from workbench.schema import BadInputError
from workbench.trees import cbm
from workbench.trees.catboost_ensemble import ensemble
from workbench.trees.cbm import read_cbm
from workbench.trees.ensemble import NoEnsembleError

BASE = {"iterations": 6, "depth": 3, "random_seed": 1, "logging_level": "Silent", "allow_writing_files": False}
KINDS = {
    "plain": {},
    "deep": {"depth": 7},
    "stumps": {"depth": 1},
    "largest gaps": {"nan_mode": "Max"},
    "many borders": {"border_count": 1000, "iterations": 40},
    "logloss": {"loss_function": "Logloss", "auto_class_weights": "Balanced"},
    "mae": {"loss_function": "MAE"},
    "quantile": {"loss_function": "Quantile:alpha=0.2"},
    "bayesian": {"bootstrap_type": "Bayesian", "bagging_temperature": 3},
    "ordered": {"boosting_type": "Ordered"},
    "shrunk": {"model_shrink_rate": 0.1},
    "depthwise": {"grow_policy": "Depthwise", "depth": 5, "min_data_in_leaf": 3},
    "lossguide": {"grow_policy": "Lossguide", "max_leaves": 12, "depth": 8},
    "lossguide stumps": {"grow_policy": "Lossguide", "max_leaves": 2},
}
SYMMETRIC = [kind for kind in KINDS if "grow_policy" not in KINDS[kind]]


@cache
def trained(kind, *, gaps=True, weighted=False):
    X = rows() if gaps else np.nan_to_num(rows())
    y = (labels() > 1).astype(int) if kind == "logloss" else labels()
    weight = np.random.default_rng(2).random(len(y)) if weighted else None
    model = catboost.CatBoost({**BASE, **KINDS[kind], "thread_count": 1})
    return model.fit(catboost.Pool(X, y, weight=weight))


def read(folder, model):
    model.save_model(folder / "model.cbm")
    found = ensemble(read_cbm(folder / "model.cbm"))
    check(found, WIDTH)
    return found


def raw(model, X):
    return model.predict(X, prediction_type="RawFormulaVal", thread_count=1)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_go_where_the_library_sends_them(tmp_path, kind, gaps, weighted):
    model = trained(kind, gaps=gaps, weighted=weighted)
    found = read(tmp_path, model)
    X = probes(found)
    np.testing.assert_allclose(outputs(found, X), raw(model, X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", SYMMETRIC)
def test_covers_are_those_of_the_librarys_contributions(tmp_path, kind, weighted):
    model = trained(kind, weighted=weighted)
    found = read(tmp_path, model)
    X = probes(found, infinite=False)[::25]
    how = {"type": "ShapValues", "shap_calc_type": "Regular", "thread_count": 1}
    expected = model.get_feature_importance(data=catboost.Pool(X), **how)
    values, base = shapley(found, X)
    np.testing.assert_allclose(np.column_stack([values, base]), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["depthwise", "lossguide", "lossguide stumps"])
def test_values_of_other_trees_add_up_as_the_librarys_do_not(tmp_path, kind):
    model = trained(kind)
    found = read(tmp_path, model)
    assert not read_cbm(tmp_path / "model.cbm").symmetric
    X = probes(found)[::9]
    values, base = shapley(found, X)
    np.testing.assert_allclose(values.sum(axis=1) + base, raw(model, X), rtol=1e-10, atol=1e-13)
    assert found.leaf_cover.sum() == 400 * 6
    assert (found.cover[found.roots] == 400).all()


def test_scale_and_bias_are_in_the_output(tmp_path):
    model = trained("plain").copy()
    model.set_scale_and_bias(-3.0, 0.5)
    found = read(tmp_path, model)
    assert found.base == 0.5
    np.testing.assert_allclose(outputs(found, rows()), raw(model, rows()), rtol=1e-12)


def test_one_leaf_and_empty_leaves(tmp_path):
    deep = read(tmp_path, trained("deep"))
    assert deep.n_leaves < 6 * 2**7
    assert (deep.leaf_cover == 0).any()
    model = read_cbm(tmp_path / "model.cbm")
    nothing, two = np.zeros(0, np.int64), np.zeros(2, np.int64)
    bare = {"feature": nothing, "border": nothing.astype(np.float32), "starts": two, "depths": two}
    splits = replace(model.splits, **bare, values=np.array([1.0, 2.0]), weights=np.array([5.0, 5.0]))
    found = ensemble(replace(model, splits=splits))
    check(found, WIDTH)
    assert np.array_equal(outputs(found, rows()[:3]), np.full(3, 3.0) + found.base)


def test_files_that_do_not_say_enough_are_refused_by_name(tmp_path):
    trained("deep").save_model(tmp_path / "model.cbm")
    model = read_cbm(tmp_path / "model.cbm")
    for changes, key in (
        ({"weights": np.empty(0)}, "no_weights"),
        ({"values": np.where(model.splits.weights == 0, np.arange(len(model.splits.values)), 1.0)}, "empty_leaves"),
    ):
        with pytest.raises(NoEnsembleError) as told:
            ensemble(replace(model, splits=replace(model.splits, **changes)))
        assert told.value.message.key == f"fault.catboost.{key}"


def test_early_stopping_leaves_the_best_trees(tmp_path):
    X, y = rows(), labels()
    model = catboost.CatBoost({**BASE, "iterations": 60, "learning_rate": 0.9, "thread_count": 1})
    model.fit(X[:200], y[:200], eval_set=(X[200:], y[200:]), early_stopping_rounds=3)
    found = read(tmp_path, model)
    assert len(found.roots) == model.get_best_iteration() + 1 < 60
    np.testing.assert_allclose(outputs(found, X), raw(model, X), rtol=1e-12)


@pytest.mark.parametrize("part", ["bin", "border", "step"])
def test_a_file_whose_parts_disagree_is_damaged(tmp_path, part):
    """The library would go by the one or by the other."""
    path = tmp_path / "model.cbm"
    trained("lossguide" if part == "step" else "plain").save_model(path)
    content = bytearray(path.read_bytes())
    buffer = cbm._Buffer(bytes(content[8:]))
    trees = buffer.table(buffer.table(0)[cbm.TREES])
    if part == "bin":
        start, _ = buffer.vector(trees[cbm.BINS])
        content[8 + start + 3] ^= 1
    elif part == "border":
        start, _ = buffer.vector(buffer.tables(trees, cbm.FLOAT)[0][cbm.BORDERS])
        content[8 + start : 8 + start + 4], content[12 + start : 16 + start] = (
            content[12 + start : 16 + start],
            content[8 + start : 12 + start],
        )
    else:
        start, _ = buffer.vector(trees[cbm.STEPS])
        content[8 + start : 10 + start] = content[10 + start : 12 + start]
    path.write_bytes(content)
    with pytest.raises(BadInputError) as told:
        read_cbm(path)
    assert told.value.faults[0].key == "fault.catboost.damaged"
