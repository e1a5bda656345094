"""A LightGBM text model is refused by name and place before the library sees it; what is accepted loads and predicts."""

import random
import re
import subprocess
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from builders import FEATURES, HORIZON, model_text, panel_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench import models
from workbench.models.lightgbm import inspect, load
from workbench.schema import BadInputError, Fault, ModelFailedError

TEXT = model_text(rounds=8)
SMALL = {"verbose": -1, "num_threads": 1, "num_leaves": 5, "min_data_in_leaf": 5}


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "model.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def told(path: Path) -> list[tuple[str, str | None]]:
    """Key and place of each fault; each must be a sentence in both languages."""
    faults = refused(path)
    assert faults
    assert all(fault.spoken("en") and fault.spoken("zh") and fault.file == path.name for fault in faults)
    return [(fault.key.removeprefix("fault."), fault.place) for fault in faults]


def refused(path: Path) -> tuple[Fault, ...]:
    """Why the file is refused; nothing if it is accepted. Any other exception is the test's failure."""
    try:
        inspect(path)
    except BadInputError as error:
        return error.faults
    return ()


def edited(line: str, change: str, tree: int = 3) -> str:
    """The model with one line of one tree changed."""
    before, after = TEXT.split(f"Tree={tree}\n", 1)
    old = re.search(rf"^{line}=.*$", after, re.MULTILINE)[0]
    return f"{before}Tree={tree}\n{after.replace(old, change.format(*old.partition('=')[2].split(' ')), 1)}"


def rows(n: int = 200) -> np.ndarray:
    return panel_table()[list(FEATURES)].to_numpy()[:n]


def test_formats_are_the_files_of_the_folder():
    assert "lightgbm" in models.formats()
    with pytest.raises(KeyError):
        models.find("os")


def test_a_model_is_read_as_the_library_reads_it(tmp_path):
    model = load(write(tmp_path, TEXT))
    reference = lightgbm.Booster(model_str=TEXT)
    assert inspect(tmp_path / "model.txt") == model.feature_names == FEATURES
    assert model.n_trees == 8
    assert np.array_equal(model.predict(rows()), reference.predict(rows()))
    values, base = model.contributions(rows())
    theirs = reference.predict(rows(), pred_contrib=True)
    assert np.allclose(np.column_stack([values, base]), theirs, rtol=0, atol=1e-12 * np.ptp(theirs))
    assert np.allclose(values.sum(axis=1) + base, model.predict(rows()), rtol=0, atol=1e-12)


def test_scores_are_raw(tmp_path):
    text = model_text(rounds=8, objective="binary")
    model, reference = load(write(tmp_path, text)), lightgbm.Booster(model_str=text)
    assert np.array_equal(model.predict(rows()), reference.predict(rows(), raw_score=True))
    assert np.allclose(1 / (1 + np.exp(-model.predict(rows()))), reference.predict(rows()))


@pytest.mark.parametrize("content", [TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT], ids=["crlf", "bom"])
def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path, content):
    assert np.array_equal(
        load(write(tmp_path, content)).predict(rows()), lightgbm.Booster(model_str=TEXT).predict(rows())
    )


@pytest.mark.parametrize(
    "params",
    [
        {"boosting": "dart"},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"objective": "huber"},
        {"objective": "quantile", "alpha": 0.1},
        {"reg_sqrt": True},
        {"min_data_in_leaf": 1000},
        {"monotone_constraints": [1, 0, 0]},
        {"min_data_per_group": 10, "num_leaves": 8},
        {"use_quantized_grad": True},
        {"zero_as_missing": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("categorical", [[], [2]], ids=str)
def test_what_the_library_saves_is_accepted_and_fitted_anew(tmp_path, params, categorical):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(400, 2)), rng.integers(0, 40, 400)])
    X[rng.random(400) < 0.1, 1] = np.nan
    y = X[:, 0] + (X[:, 2] % 3) + rng.normal(size=400)
    booster = lightgbm.train({**SMALL, **params}, lightgbm.Dataset(X, y, categorical_feature=categorical), 6)
    model = load(write(tmp_path, booster.model_to_string()))
    assert model.feature_names == ("Column_0", "Column_1", "Column_2")
    if params.get("boosting") == "rf":  # the library's raw scores of a forest are sums, its predictions means
        assert np.allclose(model.predict(X), booster.predict(X), rtol=1e-12, atol=0)
    else:
        assert np.array_equal(model.predict(X), booster.predict(X, raw_score=True))
    train, test = np.zeros((2, 1, 400), bool)
    train[0, :300], test[0, 300:] = True, True
    again = model.refit(X, y, train, test, seed=1)
    assert np.isnan(again[:300]).all()
    assert np.isfinite(again[300:]).all()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_told_so(tmp_path, share):
    content = TEXT.encode()
    ((key, place),) = told(write(tmp_path, content[: int(len(content) * share)]))
    assert key == "model.cut"
    assert place


@pytest.mark.parametrize("end", range(1, 40))
def test_a_file_that_lost_its_last_bytes_is_refused_or_whole(tmp_path, end):
    assert {fault.key for fault in refused(write(tmp_path, TEXT[:-end]))} <= {"fault.model.cut"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", [("model.empty", None)]),
        (b" \n", [("model.empty", None)]),
        (b"date,y10\n2020-01-01,1\n", [("lightgbm.not_this", "line 1")]),
        (b"\x80\x04\x95", [("lightgbm.not_this", "line 1")]),
    ],
)
def test_what_is_no_model_is_told_so(tmp_path, content, expected):
    assert told(write(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("line", "change", "expected"),
    [
        ("left_child", "left_child=0 {1} {2} {3} {4} {5}", "lightgbm.child:Tree=3 left_child"),
        ("left_child", "left_child=-100000 {1} {2} {3} {4} {5}", "lightgbm.child:Tree=3 left_child"),
        ("right_child", "right_child=2 2 {2} {3} {4} {5}", "lightgbm.parents:Tree=3 left_child"),
        ("split_feature", "split_feature={0} 1000000 {2} {3} {4} {5}", "lightgbm.range:Tree=3 split_feature"),
        ("split_feature", "split_feature={0} -1 {2} {3} {4} {5}", "lightgbm.range:Tree=3 split_feature"),
        ("split_feature", "split_feature={0} 99999999999 {2} {3} {4} {5}", "lightgbm.number:Tree=3 split_feature"),
        ("decision_type", "decision_type=64 {1} {2} {3} {4} {5}", "lightgbm.range:Tree=3 decision_type"),
        ("decision_type", "decision_type=1 {1} {2} {3} {4} {5}", "lightgbm.range:Tree=3 threshold"),
        ("leaf_value", "leaf_value=nan {1} {2} {3} {4} {5} {6}", "lightgbm.number:Tree=3 leaf_value"),
        ("leaf_value", "leaf_value=1e999 {1} {2} {3} {4} {5} {6}", "lightgbm.number:Tree=3 leaf_value"),
        ("leaf_value", "leaf_value={0}  {1} {2} {3} {4} {5}", "lightgbm.number:Tree=3 leaf_value"),
        ("leaf_count", "leaf_count=0 {1} {2} {3} {4} {5} {6}", "lightgbm.range:Tree=3 leaf_count"),
        ("num_leaves", "num_leaves=7 ", "lightgbm.number:Tree=3 num_leaves"),
        ("num_leaves", "num_leaves=8", "lightgbm.length:Tree=3 split_feature"),
        ("num_leaves", "num_leaves=0", "lightgbm.number:Tree=3 num_leaves"),
        ("num_leaves", "num_leaves=999999999", "lightgbm.length:Tree=3 split_feature"),
        ("num_cat", "num_cat=2", "lightgbm.length:Tree=3 cat_boundaries"),
        ("is_linear", "is_linear=1", "lightgbm.linear_tree:Tree=3 is_linear"),
        ("shrinkage", "shrinkage=", "lightgbm.number:Tree=3 shrinkage"),
        ("threshold", "treshold={0}", "lightgbm.line:Tree=3"),
        ("leaf_value", "leaf_value=1 {1} {2} {3} {4} {5} {6}", "lightgbm.tree_size:Tree=3"),
    ],
)
def test_one_edited_line_is_named_by_tree_and_key(tmp_path, line, change, expected):
    key, place = expected.split(":")
    assert (key, place) in told(write(tmp_path, edited(line, change)))


def test_one_edited_number_is_one_fault(tmp_path):
    assert told(write(tmp_path, edited("split_feature", "split_feature={0} 1000000 {2} {3} {4} {5}"))) == [
        ("lightgbm.range", "Tree=3 split_feature")
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("num_class=1", "num_class=3", ("lightgbm.multiclass", "num_class")),
        ("objective=regression", "objective=pirate", ("lightgbm.objective", "objective")),
        ("version=v4", "version=v9", ("lightgbm.version", "version")),
        ("max_feature_idx=5", "max_feature_idx=9", ("lightgbm.names", "feature_names")),
        ("feature_names=y10 slope", "feature_names=y10 y10", ("lightgbm.bad_names", "feature_names")),
        ("feature_names=y10", "feature_names=y\x1b[2J", ("lightgbm.bad_names", "feature_names")),
        ("label_index=0\n", "", ("lightgbm.missing", "label_index")),
        ("label_index=0\n", "label_index=0\nlabel_index=0\n", ("lightgbm.line", "line 6")),
        ("tree_sizes=", "tree_sizes=7 ", ("lightgbm.tree_count", "tree_sizes")),
        ("Tree=3\n", "Tree=4\n", ("lightgbm.line", "Tree=2")),
        ("[boosting: gbdt]", "boosting: gbdt", ("lightgbm.line", "parameters")),
        (
            "pandas_categorical:null",
            'pandas_categorical:[["a", "b"]]',
            ("lightgbm.pandas_categories", "pandas_categorical"),
        ),
    ],
)
def test_a_wrong_head_or_tail_is_named(tmp_path, old, new, expected):
    assert old in TEXT
    assert expected in told(write(tmp_path, TEXT.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("params", "label", "expected"),
    [
        ({"objective": "multiclass", "num_class": 3}, np.arange(200) % 3, "lightgbm.multiclass"),
        ({"linear_tree": True}, np.arange(200) / 7, "lightgbm.linear_tree"),
    ],
)
def test_models_that_would_be_explained_wrongly_are_refused_by_name(tmp_path, params, label, expected):
    X = np.random.default_rng(0).normal(size=(200, 3))
    text = lightgbm.train({**SMALL, **params}, lightgbm.Dataset(X, label), 3).model_to_string()
    assert expected in [key for key, _ in told(write(tmp_path, text))]


def test_a_path_too_deep_to_explain_is_refused(tmp_path):
    leaves = 1200
    lists = {
        "split_feature": ["0"] * (leaves - 1),
        "threshold": [str(i) for i in range(leaves - 1)],
        "decision_type": ["2"] * (leaves - 1),
        "left_child": [str(-1 - i) for i in range(leaves - 1)],
        "right_child": [*(str(i) for i in range(1, leaves - 1)), str(-leaves)],
        "leaf_value": ["0"] * leaves,
        "leaf_count": ["1"] * leaves,
        "internal_count": [str(leaves - i) for i in range(leaves - 1)],
    }
    tree = f"Tree=0\nnum_leaves={leaves}\nnum_cat=0\n"
    tree += "".join(f"{key}={' '.join(values)}\n" for key, values in lists.items()) + "shrinkage=1\n\n\n"
    head, tail = TEXT.split("tree_sizes=")[0], TEXT[TEXT.index("end of trees") :]
    assert told(write(tmp_path, f"{head}tree_sizes={len(tree)}\n\n{tree}{tail}")) == [
        ("lightgbm.deep", "Tree=0 left_child")
    ]


def test_width_is_checked_before_the_library(tmp_path):
    model = load(write(tmp_path, TEXT))
    for wrong in (np.zeros((3, 5)), np.zeros((3, 10_000)), np.zeros(6)):
        with pytest.raises(ModelFailedError) as raised:
            model.predict(wrong)
        assert raised.value.message.key == "fault.model.width"
    with pytest.raises(ModelFailedError):
        load(tmp_path / "model.txt", features=FEATURES[:5])
    assert model.predict(np.empty((0, 6))).shape == (0,)
    assert model.contributions(np.empty((0, 6)))[0].shape == (0, 6)


def folds(n: int, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Walk-forward folds with an embargo."""
    train, test = np.zeros((2, k, n), bool)
    for i in range(k):
        start = n * (i + 1) // (k + 1)
        train[i, : start - HORIZON], test[i, start : start + n // (k + 1)] = True, True
    return train, test


def test_refit_is_the_same_learner_on_each_fold(tmp_path):
    model, X, y = load(write(tmp_path, TEXT)), rows(600), panel_table()["target"].to_numpy()
    train, test = folds(600)
    found = model.refit(X, y, train, test, seed=5)
    assert np.array_equal(np.isnan(found), ~test.any(axis=0))
    params = {"objective": "regression", "num_leaves": 7, "learning_rate": 0.1, "verbose": -1, "deterministic": True}
    params |= {"force_row_wise": True, "num_threads": 1, "seed": 5}
    fit = train[1] & np.isfinite(y)
    by_hand = lightgbm.train(params, lightgbm.Dataset(X[fit], y[fit]), 8).predict(X[test[1]])
    assert np.allclose(found[test[1]], by_hand, rtol=0, atol=1e-15)
    assert np.array_equal(found, model.refit(X, y, train, test, seed=5), equal_nan=True)


def test_refit_takes_the_mean_where_a_row_is_tested_twice(tmp_path):
    model, X, y = load(write(tmp_path, TEXT)), rows(300), panel_table()["target"].to_numpy()[:300]
    train, test = np.zeros((2, 2, 300), bool)
    train[0, :100], train[1, 100:200], test[:, 250:] = True, True, True
    apart = [model.refit(X, y, train[i : i + 1], test[i : i + 1], seed=0) for i in range(2)]
    assert np.allclose(model.refit(X, y, train, test, seed=0)[250:], np.mean(apart, axis=0)[250:])


def test_a_file_cannot_make_refit_read_other_files(tmp_path):
    text = TEXT.replace("[forcedsplits_filename: ]", f"[forcedsplits_filename: {tmp_path}/secret.json]")
    assert text != TEXT
    assert "forcedsplits_filename" not in load(write(tmp_path, text))._learner(seed=0, n=10)


@pytest.mark.parametrize("objective", ["objective=lambdarank\n", ""])
def test_a_learner_that_the_file_does_not_hold_is_not_made_up(tmp_path, objective):
    model = load(write(tmp_path, TEXT.replace("objective=regression\n", objective)))
    with pytest.raises(ModelFailedError) as raised:
        model.refit(rows(), rows()[:, 0], np.ones((1, 200), bool), np.ones((1, 200), bool), seed=0)
    assert raised.value.message.key == "fault.lightgbm.no_refit"


NUMBERS = (
    "0",
    "-1",
    "1",
    "7",
    "63",
    "-100000",
    "1000000",
    "2147483648",
    "999999999999",
    "nan",
    "inf",
    "1e400",
    "-1e308",
    "",
)


def mutant(rng: random.Random, text: str) -> bytes:
    """A slightly damaged model file: cut, flipped, deleted, doubled, spliced, or with numbers edited."""
    content = bytearray(text.encode())
    at, other = sorted(rng.randrange(len(content)) for _ in range(2))
    kind = rng.randrange(8)
    if kind == 0:
        del content[at:]
    elif kind == 1:
        content[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del content[at : at + rng.randrange(1, 40)]
    elif kind == 3:
        content[at:at] = content[at : at + rng.randrange(1, 200)]
    elif kind == 4:
        content[at:other] = content[other : other + rng.randrange(1, 200)]
    else:
        numbers = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", content[: content.rfind(b"end of trees")]))
        for match in sorted(rng.sample(numbers, rng.randrange(1, 4)), key=lambda m: -m.start()):
            size = match.end() - match.start()
            same_size = str(rng.randrange(10 ** (size - 1), 10**size)).encode()
            content[match.start() : match.end()] = same_size if kind == 5 else rng.choice(NUMBERS).encode()
    return bytes(content)


def accepted_mutants(folder: Path, count: int, seed: int) -> int:
    """Write those of `count` mutants that `inspect` accepts; anything but acceptance or `BadInputError` raises."""
    rng, accepted = random.Random(seed), 0
    seeds = (TEXT, model_text(rounds=3, objective="binary"), categorical_text())
    for _ in range(count):
        path = write(folder, mutant(rng, rng.choice(seeds)))
        if not refused(path):
            path.rename(folder / f"accepted_{accepted}.txt")
            accepted += 1
    return accepted


def categorical_text() -> str:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(300, 5)), rng.integers(0, 40, 300)])
    data = lightgbm.Dataset(X, X[:, 5] % 3 + X[:, 0], categorical_feature=[5])
    return lightgbm.train({**SMALL, "min_data_per_group": 10}, data, 4).model_to_string()


CHILD = """
import sys
from pathlib import Path
import numpy as np
from workbench.models.lightgbm import load
rows = np.random.default_rng(0).normal(size=(8, 6)) * 20
rows[0, 0] = np.nan
for path in sorted(Path(sys.argv[1]).glob("accepted_*.txt")):
    print(path.name, flush=True)
    model = load(path)
    assert model.predict(rows).shape == (8,)
    assert model.contributions(rows)[0].shape == (8, 6)
print("all")
"""


def run_mutants(folder: Path, count: int, seed: int) -> int:
    """Load, predict and explain every accepted mutant of `count` in a child process; give how many there were.

    For long: python -c "import test_lightgbm as t; from pathlib import Path; print(t.run_mutants(Path('/tmp/m'), 10000, 1))".
    """
    accepted = accepted_mutants(folder, count, seed)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, (done.stdout.split()[-1:], done.stderr[-2000:])
    assert done.stdout.split()[-1] == "all"
    return accepted


def test_whatever_is_accepted_loads_and_predicts(tmp_path):
    assert 3 <= run_mutants(tmp_path, 300, seed=1) < 250


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_model_raises_nothing_but_bad_input(tmp_path, seed):
    accepted_mutants(tmp_path, 2, seed)


@given(st.binary(max_size=300), st.integers(0, len(TEXT)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_put_into_a_model_raise_nothing_but_bad_input(tmp_path, noise, at):
    content = TEXT.encode()
    assert all(fault.spoken("zh") for fault in refused(write(tmp_path, content[:at] + noise + content[at:])))
