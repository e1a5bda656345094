"""Models drawn at random, read into ensembles and compared with their libraries: `python tests/bench/ensembles.py [COUNT]`.

COUNT models a format, each with its own settings, columns (gaps, zeros, constants, denormals, numbers that float32 cannot tell apart)
and rows on every threshold and beside it. Writes ensembles.md beside it.
"""

import random
import sys
import tempfile
import warnings
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import xgboost
from sklearn import ensemble as sk
from sklearn.tree import DecisionTreeRegressor

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from builders_forests import WIDTH, probes
from trees.walk import check, outputs, shapley

from workbench.models.lightgbm import checked
from workbench.trees import catboost_ensemble, lightgbm_ensemble, sklearn_ensemble, xgboost_ensemble
from workbench.trees.cbm import read_cbm
from workbench.trees.xgboost_json import read_document

COLUMNS = (
    lambda rng, n: rng.normal(size=n),
    lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-40, 30),
    lambda rng, n: 1 + rng.integers(0, 60, n) * 1e-8,
    lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n)),
    lambda rng, n: rng.integers(-3, 4, n).astype(float),
    lambda rng, n: np.full(n, rng.normal()),
    lambda rng, n: np.where(rng.random(n) < 0.4, np.nan, rng.normal(size=n)),
    lambda rng, n: rng.standard_cauchy(n),
)
EXPLAINED = 12
HEAD = (
    "| format | models | rows | worst gap of an output | worst gap of a Shapley value | worst gap of their sum |\n"
    "|---|---|---|---|---|---|\n"
)


def drawn(seed: int, *, gaps: bool = True):
    rng, dice = np.random.default_rng(seed), random.Random(seed)
    n = dice.choice((30, 200, 600))
    X = np.column_stack([dice.choice(COLUMNS)(rng, n) for _ in range(WIDTH - 1)] + [rng.integers(0, 30, n)])
    known = np.nan_to_num(X, nan=0.7)
    ranks = known.argsort(axis=0).argsort(axis=0) / n
    y = ranks[:, 0] * ranks[:, 1] + np.abs(ranks[:, 2] - 0.5) + (X[:, 4] % 3) * 0.2 + 0.1 * rng.normal(size=n)
    return (X if gaps else known), y, dice


def of_lightgbm(seed: int, folder: Path):
    X, y, dice = drawn(seed)
    params = {
        "num_leaves": dice.choice((2, 7, 31)),
        "min_data_in_leaf": dice.choice((1, 5, 20)),
        "boosting": dice.choice(("gbdt", "gbdt", "dart", "rf")),
        "zero_as_missing": dice.random() < 0.3,
        "use_missing": dice.random() < 0.7,
        "max_bin": dice.choice((3, 16, 255)),
        "extra_trees": dice.random() < 0.2,
        "cat_smooth": 1,
        "min_data_per_group": 3,
        "max_cat_to_onehot": dice.choice((1, 4, 50)),
        "linear_lambda": 0,
        "bagging_freq": 1,
        "bagging_fraction": 0.7,
        "num_threads": 1,
        "verbose": -1,
        "seed": seed,
    }
    categorical = dice.choice(([], [4]))
    data = lightgbm.Dataset(X, y, categorical_feature=categorical, params={"verbose": -1})
    booster = lightgbm.train(params, data, dice.choice((1, 7)))
    booster.save_model(folder / "model.txt")
    found = lightgbm_ensemble.ensemble(checked(folder / "model.txt"))
    rows = probes(found, categories=bool(categorical))
    mean = booster.num_trees() if params["boosting"] == "rf" else 1
    expected = booster.predict(rows, raw_score=True) / mean
    few = rows[:: len(rows) // EXPLAINED]
    return found, rows, expected, few, booster.predict(few, pred_contrib=True)[:, :-1] / mean


def of_xgboost(seed: int, folder: Path):
    X, y, dice = drawn(seed)
    X[np.abs(X) > 1e37] = 1e37
    params = {
        "max_depth": dice.choice((1, 3, 6)),
        "booster": dice.choice(("gbtree", "gbtree", "dart")),
        "rate_drop": 0.3,
        "tree_method": dice.choice(("hist", "approx")),
        "min_child_weight": dice.choice((0, 1, 5)),
        "gamma": dice.choice((0, 0, 0.05)),
        "num_parallel_tree": dice.choice((1, 1, 2)),
        "max_cat_to_onehot": dice.choice((1, 50)),
        "subsample": dice.choice((0.6, 1)),
        "nthread": 1,
        "verbosity": 0,
        "seed": seed,
    }
    kinds = ["q"] * 4 + [dice.choice("qc")]

    def matrix(rows, label=None):
        return xgboost.DMatrix(rows.astype(np.float32), label, feature_types=kinds, enable_categorical=True)

    booster = xgboost.train(params, matrix(X, y), dice.choice((1, 8)))
    booster.save_model(folder / "model.ubj")
    found = xgboost_ensemble.ensemble(read_document(folder / "model.ubj"))
    rows = probes(found, infinite=False, categories=kinds[4] == "c")
    few = rows[:: len(rows) // EXPLAINED]
    contributions = booster.predict(matrix(few), pred_contribs=True)[:, :-1]
    return found, rows, booster.predict(matrix(rows), output_margin=True), few, contributions


def of_catboost(seed: int, folder: Path):
    X, y, dice = drawn(seed)
    growth = dice.choice(("SymmetricTree", "SymmetricTree", "Depthwise", "Lossguide"))
    model = catboost.CatBoost(
        {
            "iterations": dice.choice((1, 8)),
            "depth": dice.choice((1, 3, 7)),
            "grow_policy": growth,
            "nan_mode": dice.choice(("Min", "Max")),
            "border_count": dice.choice((4, 128, 600)),
            "bootstrap_type": dice.choice(("No", "Bayesian")),
            "random_seed": seed,
            "thread_count": 1,
            "logging_level": "Silent",
            "allow_writing_files": False,
        }
    ).fit(X, y)
    model.save_model(folder / "model.cbm")
    found = catboost_ensemble.ensemble(read_cbm(folder / "model.cbm"))
    rows = probes(found)
    few = rows[:: len(rows) // EXPLAINED]
    values = None
    if growth == "SymmetricTree":
        how = {"type": "ShapValues", "shap_calc_type": "Regular", "thread_count": 1}
        values = model.get_feature_importance(data=catboost.Pool(few), **how)[:, :-1]
    return found, rows, model.predict(rows, prediction_type="RawFormulaVal"), few, values


def of_sklearn(seed: int, folder: Path):
    del folder
    kind = random.Random(-seed).choice(
        (
            DecisionTreeRegressor,
            sk.RandomForestRegressor,
            sk.ExtraTreesRegressor,
            sk.RandomForestClassifier,
            sk.GradientBoostingRegressor,
            sk.GradientBoostingClassifier,
            sk.HistGradientBoostingRegressor,
            sk.HistGradientBoostingClassifier,
        )
    )
    name = kind.__name__
    gaps = not name.startswith("Gradient")
    X, y, dice = drawn(seed, gaps=gaps)
    X[np.abs(X) > 1e37] = 1e37
    depth = {"max_depth": dice.choice((1, 4, 9)), "random_state": seed}
    histogram = name.startswith("Hist")
    many = {} if name.startswith("Decision") else {"max_iter": 8} if histogram else {"n_estimators": 6}
    kinds = {"categorical_features": [4]} if histogram and dice.random() < 0.6 else {}
    model = kind(**depth, **many, **kinds).fit(X, y > np.median(y) if name.endswith("Classifier") else y)
    found = sklearn_ensemble.ensemble(model)
    rows = probes(found, missing=gaps, infinite=histogram and not kinds, categories=bool(kinds))
    raw = getattr(model, "decision_function", None) or getattr(model, "predict_proba", None) or model.predict
    answer = raw(rows)
    return found, rows, answer[:, 1] if answer.ndim == 2 else answer, rows[:: len(rows) // EXPLAINED], None


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    lines = []
    for name, make in (
        ("lightgbm", of_lightgbm),
        ("xgboost", of_xgboost),
        ("catboost", of_catboost),
        ("scikit-learn", of_sklearn),
    ):
        worst, rows_seen, fitted = np.full(3, np.nan), 0, 0
        for seed in range(count):
            with tempfile.TemporaryDirectory() as work, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found, rows, expected, few, contributions = make(seed, Path(work))
                except catboost.CatBoostError:  # all columns drawn constant
                    continue
            check(found, WIDTH)
            scale = np.abs(found.values).max() * len(found.roots) + abs(found.base) or 1.0
            values, base = shapley(found, few)
            gaps = [
                np.abs(outputs(found, rows) - expected).max(),
                np.nan if contributions is None else np.abs(values - contributions).max(),
                np.abs(values.sum(axis=1) + base - outputs(found, few)).max(),
            ]
            if gaps[0] / scale > (1e-6 if name == "xgboost" else 1e-12):
                print(name, seed, gaps, scale)
            worst, rows_seen, fitted = np.fmax(worst, np.array(gaps) / scale), rows_seen + len(rows), fitted + 1
        shown = " | ".join("not asked" if np.isnan(gap) else f"{gap:.1e}" for gap in worst)
        lines.append(f"| {name} | {fitted} | {rows_seen} | {shown} |\n")
        print(lines[-1], end="", flush=True)
    text = (
        f"Ensembles read from models drawn at random against their libraries (`python tests/bench/ensembles.py {count}`).\n\n"
        "Gaps are over the largest leaf times the number of trees. XGBoost adds floats. Shapley values by their definition are held\n"
        "against LightGBM's and XGBoost's own and CatBoost's of symmetric trees.\n\n"
    )
    Path(__file__).with_suffix(".md").write_text(text + HEAD + "".join(lines), "utf-8")


if __name__ == "__main__":
    main()
