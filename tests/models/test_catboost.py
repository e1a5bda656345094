"""A CatBoost model's tables are checked before the library sees them; what it explains are the Shapley values of its trees."""

import json
import struct
from functools import cache
from itertools import combinations
from math import factorial
from pathlib import Path

import catboost
import numpy as np
import pytest
from builders_boosters import NAMES, ends_of_mutants, labels, rows

from workbench.model import TreeModel
from workbench.models import find
from workbench.models.catboost import inspect, load, recognises
from workbench.schema import BadInputError, ModelFailedError
from workbench.trees import warm
from workbench.trees.cbm import read_cbm

GROWTH = {"symmetric": {}, "lossguide": {"grow_policy": "Lossguide"}, "depthwise": {"grow_policy": "Depthwise"}}


@cache
def fitted(growth: str = "symmetric", *, gaps: bool = True, classes: bool = False, deep: int = 3) -> catboost.CatBoost:
    X = rows() if gaps else np.nan_to_num(rows())
    y = labels() > 1 if classes else labels()
    settings = {"iterations": 6, "depth": deep, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
    return kind(**settings, **GROWTH[growth]).fit(catboost.Pool(X, y, feature_names=list(NAMES)))


def saved(folder: Path, model: catboost.CatBoost, name: str = "model.cbm") -> Path:
    model.save_model(folder / name)
    return folder / name


def told(path: Path) -> list[str]:
    with pytest.raises(BadInputError) as raised:
        inspect(path)
    assert all(fault.spoken("en") and fault.spoken("zh") for fault in raised.value.faults)
    return [fault.key.removeprefix("fault.") for fault in raised.value.faults]


@pytest.mark.parametrize("growth", GROWTH)
@pytest.mark.parametrize("classes", [False, True])
def test_a_model_predicts_to_the_bit(tmp_path, growth, classes):
    reference = fitted(growth, classes=classes)
    model = load(saved(tmp_path, reference), features=NAMES)
    assert inspect(tmp_path / "model.cbm") == model.feature_names == NAMES
    assert np.array_equal(model.predict(rows()), reference.predict(rows(), prediction_type="RawFormulaVal"))
    assert np.array_equal(model.predict(rows()), [model.predict(row[None])[0] for row in rows()])
    assert model.n_trees == 6
    assert model.takes_missing
    # The library is wrong about other trees than symmetric ones: only the kernel, once compiled, is not.
    assert isinstance(model, TreeModel) is (growth == "symmetric" or warm.done())


def test_contributions_are_the_shapley_values_of_the_trees(tmp_path):
    """By summing over all coalitions (Shapley 1953); sides of unknown features by the weights of their leaves, many of them empty."""
    reference = fitted(deep=6)
    model = load(saved(tmp_path, reference))
    reference.save_model(tmp_path / "model.json", format="json")
    document = json.loads((tmp_path / "model.json").read_text())
    trees = document["oblivious_trees"]
    assert any(0 in tree["leaf_weights"] for tree in trees)

    def expectation(tree, row, known, level, leaf=0):
        """Value and weight below a node; the last split of the list is the root's."""
        if level < 0:
            return tree["leaf_values"][leaf], tree["leaf_weights"][leaf]
        split = tree["splits"][level]
        (low, few), (high, many) = (expectation(tree, row, known, level - 1, leaf | side << level) for side in (0, 1))
        x = np.float32(row[split["float_feature_index"]])
        if split["float_feature_index"] in known:
            return high if x > np.float32(split["border"]) else low, few + many
        return (low * few + high * many) / (few + many) if few + many else 0, few + many

    values, base = model.contributions(rows()[:3])
    for i, row in enumerate(rows()[:3]):
        d = len(row)
        worth = {
            coalition: sum(expectation(tree, row, coalition, len(tree["splits"]) - 1)[0] for tree in trees)
            for size in range(d + 1)
            for coalition in combinations(range(d), size)
        }
        expected = np.zeros(d)
        for j in range(d):
            for c in (c for c in worth if j not in c):
                share = factorial(len(c)) * factorial(d - len(c) - 1) / factorial(d)
                expected[j] += share * (worth[tuple(sorted((*c, j)))] - worth[c])
        assert np.abs(values[i] - expected).max() <= 1e-12
        assert abs(base[i] - worth[()] - document["scale_and_bias"][1][0]) <= 1e-12
    assert np.abs(values.sum(axis=1) + base - model.predict(rows()[:3])).max() <= 1e-12


def test_gaps_are_taken_where_training_had_them(tmp_path):
    assert not load(saved(tmp_path, fitted(gaps=False))).takes_missing


def test_what_an_unnamed_model_is_called(tmp_path):
    reference = catboost.CatBoostRegressor(iterations=2, verbose=False, allow_writing_files=False, thread_count=1)
    assert inspect(saved(tmp_path, reference.fit(rows(), labels()))) == ("Column_0", "Column_1", "Column_2", "Column_3")


def test_many_borders_a_feature_are_read(tmp_path):
    reference = catboost.CatBoostRegressor(
        iterations=30, border_count=1000, verbose=False, allow_writing_files=False, thread_count=1
    ).fit(rows(), labels())
    assert np.array_equal(load(saved(tmp_path, reference)).predict(rows()), reference.predict(rows()))


def test_models_that_numbers_cannot_be_put_to_are_refused_by_name(tmp_path):
    X = [[*map(float, row[:3]), str(int(row[3]))] for row in rows()]
    settings = {"iterations": 2, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    categorical = catboost.CatBoostRegressor(cat_features=[3], **settings).fit(X, labels())
    assert told(saved(tmp_path, categorical)) == ["catboost.categorical"]
    several = catboost.CatBoostClassifier(**settings).fit(rows(), np.argsort(labels()) % 3)
    assert told(saved(tmp_path, several)) == ["catboost.dimension"]
    vectors = [[row[0], list(np.nan_to_num(row[:3]))] for row in rows()]
    embedding = catboost.CatBoostRegressor(embedding_features=[1], **settings).fit(vectors, labels())
    assert told(saved(tmp_path, embedding)) == ["catboost.embedding"]


def test_odd_names_are_refused(tmp_path):
    content = saved(tmp_path, fitted()).read_bytes()
    for old, new in ((b"slope", b"y\x1b[2J"), (b"slope", b"y10\0\0")):
        (tmp_path / "model.cbm").write_bytes(content.replace(old, new))
        assert told(tmp_path / "model.cbm") == ["catboost.bad_names"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "model.empty"),
        (b"tree\n", "catboost.not_this"),
        (b"CBM1", "catboost.damaged"),
        (b"CBM1" + struct.pack("<I", 4), "catboost.damaged"),
        (b"CBM1" + struct.pack("<II", 4, 4), "catboost.damaged"),
        (b"CBM1" + b"\xff" * 100, "model.cut"),
        (b"CBM1" + b"\0" * 100, "catboost.damaged"),
    ],
)
def test_what_is_no_model_is_told_so(tmp_path, content, expected):
    (tmp_path / "model.cbm").write_bytes(content)
    assert told(tmp_path / "model.cbm") == [expected]


def test_a_file_that_was_cut_off_is_told_so(tmp_path):
    content = saved(tmp_path, fitted()).read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / "model.cbm").write_bytes(content[: int(len(content) * share)])
        assert told(tmp_path / "model.cbm") == ["model.cut"]
    (tmp_path / "model.cbm").write_bytes(content + b"more")
    assert told(tmp_path / "model.cbm") == ["catboost.damaged"]


def test_width_is_told_before_the_library_sees_the_rows(tmp_path):
    model = load(saved(tmp_path, fitted()))
    for ask in (model.predict, model.contributions):
        for wrong in (np.zeros((3, 3)), np.zeros((3, 10_000)), np.zeros(4)):
            with pytest.raises(ModelFailedError) as raised:
                ask(wrong)
            assert raised.value.message.key == "fault.model.width"
    with pytest.raises(ModelFailedError):
        load(tmp_path / "model.cbm", features=("a", "b"))
    assert model.predict(np.zeros((0, 4))).shape == (0,)
    assert model.contributions(np.zeros((0, 4)))[0].shape == (0, 4)
    assert np.isfinite(model.predict(np.full((1, 4), np.nan))).all()


def test_the_library_leaves_no_files_and_no_words(tmp_path, monkeypatch, capfd):
    path = saved(tmp_path, fitted())
    monkeypatch.chdir(tmp_path)
    model = load(path)
    model.predict(rows())
    model.contributions(rows())
    assert [file.name for file in tmp_path.iterdir()] == ["model.cbm"]
    assert capfd.readouterr() == ("", "")
    assert recognises(path)
    assert find("catboost").LIBRARY == "catboost"
    assert read_cbm(path).content == path.read_bytes()


def test_damaged_copies_are_refused_or_run_without_a_crash(tmp_path):
    seeds = [saved(tmp_path, fitted(growth)).read_bytes() for growth in GROWTH]
    ends = ends_of_mutants(tmp_path, "catboost", seeds, 60, seed=1)
    assert not [end for end in ends if end.startswith(("crash", "hang"))], ends
    assert ends["refused"] > 10
