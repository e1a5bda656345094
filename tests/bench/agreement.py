"""The compiled kernels against the libraries, and the definition, on random models: `python tests/bench/agreement.py [COUNT]`.

COUNT models a library, each with its own settings, gaps, categories, constant columns and labels. Writes agreement.md beside it.
"""

import os
import platform
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

import catboost
import lightgbm
import numba
import numpy as np
import shap
import sklearn
import xgboost
from sklearn import ensemble as sk
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from trees.walk import by_leaves, outputs

from workbench.models.lightgbm import checked
from workbench.trees import catboost_ensemble, lightgbm_ensemble, sklearn_ensemble, xgboost_ensemble
from workbench.trees.cbm import read_cbm
from workbench.trees.kernel import TreeKernel
from workbench.trees.xgboost_json import read_document

EXPLAINED, DEFINED = 80, 6
FAMILIES = ("DecisionTree", "RandomForest", "ExtraTrees", "GradientBoosting", "HistGradientBoosting")
COLUMNS = (
    *("library", "models", "none made", "trees", "values, library's", "values, definition", "one row, definition"),
    *("values in singles", "sum of values", "sum in singles", "outputs, library's", "outputs, walk"),
)
LABELS = ("smooth", "smooth", "binary", "price", "two values", "constant", "cauchy")


class Drawn:
    """Columns, labels and dice of one seed; the last column holds categories."""

    def __init__(self, seed: int, *, gaps: bool = True) -> None:
        rng, self.dice, self.seed = np.random.default_rng(seed), random.Random(seed), seed
        self.kind = self.dice.choice(LABELS)
        n, d = self.dice.choice((60, 300, 900)), self.dice.choice((3, 8, 20))
        self.X = rng.normal(size=(n, d))
        self.X[:, -1] = rng.integers(0, self.dice.choice((3, 12, 40)), n)
        self.X[:, -2] = self.dice.choice((2.5, self.X[:, -2]))
        self.X[:, 0] = self.dice.choice((np.round(self.X[:, 0], 1), 1e-9 * self.X[:, 0], self.X[:, 0]))
        known = self.X.copy()
        if gaps:
            self.X[rng.random((n, d)) < self.dice.choice((0, 0.1, 0.6))] = np.nan
        smooth = np.sign(known[:, 0]) * known[:, 1] + (known[:, -1] % 3) + 0.3 * rng.normal(size=n)
        self.y = {
            "smooth": smooth,
            "binary": (smooth > np.median(smooth)).astype(float),
            "price": 4000 + smooth,
            "two values": np.where(np.arange(n) == 7, 1.0, 0.0),
            "constant": np.full(n, 3.25),
            "cauchy": rng.standard_cauchy(n),
        }[self.kind]
        self.rows = self.X[rng.integers(0, n, EXPLAINED)].copy()
        self.rows[::2, :-1] += rng.normal(size=(EXPLAINED // 2, d - 1)) * 0.5
        if gaps:
            self.rows[0] = np.nan


def of_lightgbm(seed: int, folder: Path):
    drawn = Drawn(seed)
    dice, rounds = drawn.dice, drawn.dice.choice((1, 10, 60))
    params = {
        "num_leaves": dice.choice((2, 7, 31, 100)),
        "min_data_in_leaf": dice.choice((1, 10)),
        "boosting": dice.choice(("gbdt", "gbdt", "dart", "rf")),
        "objective": "binary" if drawn.kind == "binary" else dice.choice(("regression", "regression_l1", "huber")),
        "extra_trees": dice.random() < 0.2,
        "zero_as_missing": dice.random() < 0.2,
        "use_missing": dice.random() < 0.8,
        "feature_fraction": dice.choice((0.5, 1)),
        "max_cat_to_onehot": dice.choice((1, 4, 50)),
        "min_data_per_group": 3,
        "bagging_freq": 1,
        "bagging_fraction": 0.7,
        "num_threads": 1,
        "verbose": -1,
        "seed": seed,
    }
    categorical = dice.choice(([], [drawn.X.shape[1] - 1]))
    data = lightgbm.Dataset(drawn.X, drawn.y, categorical_feature=categorical, params={"verbose": -1})
    booster = lightgbm.train(params, data, rounds)
    booster.save_model(folder / "model.txt")
    mean = booster.num_trees() if params["boosting"] == "rf" else 1
    values = booster.predict(drawn.rows, pred_contrib=True, num_threads=1)[:, :-1] / mean
    output = booster.predict(drawn.rows, raw_score=True, num_threads=1) / mean
    return lightgbm_ensemble.ensemble(checked(folder / "model.txt")), drawn.rows, output, values


def of_xgboost(seed: int, folder: Path):
    drawn = Drawn(seed)
    dice, categories = drawn.dice, drawn.dice.choice("qc")
    params = {
        "max_depth": dice.choice((1, 3, 6, 8)),
        "booster": dice.choice(("gbtree", "gbtree", "dart")),
        "rate_drop": 0.3,
        "objective": "binary:logistic" if drawn.kind == "binary" else "reg:squarederror",
        "tree_method": dice.choice(("hist", "approx")),
        "min_child_weight": dice.choice((0, 1, 5)),
        "gamma": dice.choice((0, 0, 0.05)),
        "num_parallel_tree": dice.choice((1, 1, 3)),
        "subsample": dice.choice((0.6, 1)),
        "colsample_bynode": dice.choice((0.5, 1)),
        "max_cat_to_onehot": dice.choice((1, 50)),
        "base_score": dice.choice((0.5, None)),
        "nthread": 1,
        "verbosity": 0,
        "seed": seed,
    }

    def matrix(X, y=None):
        kinds = ["q"] * (X.shape[1] - 1) + [categories]
        return xgboost.DMatrix(X.astype(np.float32), y, feature_types=kinds, enable_categorical=True, nthread=1)

    booster = xgboost.train(params, matrix(drawn.X, drawn.y), dice.choice((1, 10, 40)))
    booster.save_model(folder / "model.ubj")
    found, rows = xgboost_ensemble.ensemble(read_document(folder / "model.ubj")), matrix(drawn.rows)
    output = booster.predict(rows, output_margin=True)
    return found, drawn.rows, output, booster.predict(rows, pred_contribs=True)[:, :-1]


def of_catboost(seed: int, folder: Path):
    drawn = Drawn(seed)
    dice, growth = drawn.dice, drawn.dice.choice(("SymmetricTree", "SymmetricTree", "Depthwise", "Lossguide"))
    params = {
        "iterations": dice.choice((1, 10, 50)),
        "depth": dice.choice((1, 3, 6)),
        "grow_policy": growth,
        "loss_function": "Logloss" if drawn.kind == "binary" else dice.choice(("RMSE", "MAE")),
        "nan_mode": dice.choice(("Min", "Max")),
        "border_count": dice.choice((4, 128, 600)),
        "bootstrap_type": dice.choice(("No", "Bayesian")),
        "random_seed": seed,
        "thread_count": 1,
        "logging_level": "Silent",
        "allow_writing_files": False,
    }
    model = catboost.CatBoost(params).fit(drawn.X, drawn.y)
    model.save_model(folder / "model.cbm")
    values = None
    if growth == "SymmetricTree":
        how = {"type": "ShapValues", "shap_calc_type": "Regular", "thread_count": 1}
        values = model.get_feature_importance(data=catboost.Pool(drawn.rows), **how)[:, :-1]
    output = model.predict(drawn.rows, prediction_type="RawFormulaVal", thread_count=1)
    return catboost_ensemble.ensemble(read_cbm(folder / "model.cbm")), drawn.rows, output, values


def of_sklearn(seed: int, folder: Path):
    del folder
    family = random.Random(-seed).choice(FAMILIES)
    drawn = Drawn(seed, gaps=family.startswith("Hist"))
    name = family + ("Classifier" if drawn.kind in {"binary", "two values"} else "Regressor")
    dice, leaf = drawn.dice, {"min_samples_leaf": drawn.dice.choice((1, 8)), "random_state": seed}
    trees = {"Deci": {}, "Hist": {"max_iter": dice.choice((1, 30))}}.get(
        name[:4], {"n_estimators": dice.choice((1, 20))}
    )
    sets = family.startswith("Hist") and dice.random() < 0.4
    if sets:
        trees |= {"categorical_features": [drawn.X.shape[1] - 1]}
    kind = {"DecisionTreeClassifier": DecisionTreeClassifier, "DecisionTreeRegressor": DecisionTreeRegressor}.get(name)
    kind = kind or getattr(sk, name)
    model = kind(max_depth=dice.choice((1, 4, 9)), **leaf, **trees).fit(drawn.X, drawn.y)
    raw = getattr(model, "decision_function", None) or getattr(model, "predict_proba", None) or model.predict
    output = raw(drawn.rows)
    values = None
    if not sets:  # which shap does not take
        explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        values = np.asarray(explainer.shap_values(drawn.rows, check_additivity=False))
        values = values[..., 1] if values.ndim > 2 else values
    return sklearn_ensemble.ensemble(model), drawn.rows, output[:, 1] if output.ndim > 1 else output, values


def gaps(found, rows: np.ndarray, output: np.ndarray, library: np.ndarray | None) -> np.ndarray:
    """All errors of one model: values over the range of the exact ones, outputs over their own size."""
    kernel, fast = TreeKernel(found), TreeKernel(found, np.float32)
    (values, base), (quick, _), own = kernel.contributions(rows), fast.contributions(rows), kernel.predict(rows)
    few = rows[:DEFINED]
    exact, alone = by_leaves(found, few), np.vstack([kernel.contributions(row[None])[0] for row in few])
    scale = np.ptp(values) or 1.0
    assert library is None or library.shape == values.shape

    def worst(a, b) -> float:
        return float(np.abs(a - b).max())

    return np.array(
        [
            np.nan if library is None else worst(values, library) / scale,
            worst(values[:DEFINED], exact) / scale,
            worst(alone, exact) / scale,
            worst(quick, values) / scale,
            worst(values.sum(axis=1) + base, own) / scale,
            worst(quick.sum(axis=1) + base, own) / scale,
            worst(own, output) / (np.abs(output).max() or 1.0),
            worst(own, outputs(found, rows)) / (np.abs(output).max() or 1.0),
        ]
    )


def study(name: str, make, count: int) -> str:
    every, seeds, trees, none = [], [], 0, 0
    for seed in range(count):
        with tempfile.TemporaryDirectory() as work, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found, rows, output, library = make(seed, Path(work))
            except catboost.CatBoostError:  # a label that does not vary, columns that do not
                none += 1
                continue
        if found is None:
            none += 1
            continue
        every.append(gaps(found, rows, output, library))
        seeds.append(seed)
        trees += len(found.roots)
    worst = np.nan_to_num(every).argmax(axis=0)
    cells = " | ".join(f"{every[i][column]:.1e} ({seeds[i]})" for column, i in enumerate(worst))
    return f"| {name} | {len(every)} | {none} | {trees} | {cells} |"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    began, load = time.process_time(), os.getloadavg()[0]
    makers = {"LightGBM": of_lightgbm, "XGBoost": of_xgboost, "CatBoost": of_catboost, "scikit-learn": of_sklearn}
    with threadpool_limits(1):
        lines = [study(name, make, count) for name, make in makers.items()]
    libraries = (numba, lightgbm, xgboost, catboost, sklearn, shap)
    packages = ", ".join(f"{library.__name__} {library.__version__}" for library in libraries)
    text = [
        "# How far the compiled kernels are from the libraries and from the definition",
        "",
        f"`python tests/bench/agreement.py {count}`: models drawn by seeds 0 to {count - 1} a library, {EXPLAINED} rows each, {DEFINED} of them by",
        "the definition (tests/trees/walk.py) too. The largest error of any model, and its seed; of values, and of base + values against the",
        "output, over the range of the model's values; of outputs over the largest output. Labels are numbers around 0, of 0 and 1, prices of",
        "4000 ± 2 (where an output's last digit is 5e-13), Cauchy numbers, or constant. Libraries' own: LightGBM's `pred_contrib`, XGBoost's",
        "`pred_contribs` (which adds floats), CatBoost's `ShapValues` of symmetric trees, `shap.TreeExplainer` (path-dependent) on scikit-learn",
        'where no feature is categorical. "None made": CatBoost fits no constant label and no constant columns.',
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
        *lines,
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start; Python {platform.python_version()}; {packages}.",
        f"{time.strftime('%Y-%m-%d')}, {time.process_time() - began:.0f} s of CPU in all.",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(text) + "\n", "utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
