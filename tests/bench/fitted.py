"""Sixty fitted models in bundles on disk, ten a format: `python tests/bench/fitted.py FOLDER`, which tests/bench/formats.py calls.

Features and label come from the shipped US panel. A process of its own, as an app does not hold these libraries either.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import pandas as pd
import skops.io
import xgboost

sys.path[:0] = [str(Path(__file__).parents[1])]

from builders import toml
from skl2onnx import to_onnx
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TABLE = Path(__file__).parents[2] / "datasets" / "data" / "us_fixed_income_plus_panel_daily.csv"
TRAIN_END = "2014-12-31"
HORIZON, SEED = 20, 0
PRICES = ("g_fund", "f_fund", "c_fund", "s_fund", "i_fund", "cny_per_usd")
OPSETS = {"": 18, "ai.onnx.ml": 3}
# Trees, leaves, features.
SIZES = (
    (50, 7, 6),
    (100, 15, 6),
    (100, 31, 20),
    (200, 31, 20),
    (500, 7, 50),
    (500, 31, 20),
    (500, 63, 50),
    (1000, 31, 50),
    (1000, 127, 20),
    (1000, 127, 50),
)
# What the Python models are: numpy over weights that stand beside the code, pandas rules, and a library called from Python.
CODE = """
from pathlib import Path
import numpy as np

held = Path(__file__).parent / "weights.npz"
held = dict(np.load(held)) if held.exists() else {}
booster = None
if (Path(__file__).parent / "booster.txt").exists():
    import lightgbm
    booster = lightgbm.Booster(model_file=str(Path(__file__).parent / "booster.txt"), params={"num_threads": 1})

def linear(f):
    return f.to_numpy() @ held["w"] + held["b"]

def network(f):
    x = (f.to_numpy() - held["mean"]) / held["scale"]
    for i in range(int(held["layers"]) - 1):
        x = np.maximum(x @ held[f"w{i}"] + held[f"b{i}"], 0)
    return (x @ held[f"w{i + 1}"] + held[f"b{i + 1}"])[:, 0]

def forest(f):
    x = f.to_numpy()
    rows = np.arange(len(x))[:, None]
    trees = np.arange(len(held["left"]))[None, :]
    at = np.zeros((len(x), len(held["left"])), int)
    for _ in range(int(held["depth"])):
        feature = held["feature"][trees, at]
        below = x[rows, np.maximum(feature, 0)] <= held["threshold"][trees, at]
        at = np.where(feature < 0, at, np.where(below, held["left"][trees, at], held["right"][trees, at]))
    return held["value"][trees, at].mean(axis=1)

def rules(f):
    carry = f.iloc[:, 0].rank(pct=True) * 0 + f.iloc[:, 0].clip(-3, 3) * 0.01
    calm = f.iloc[:, 1].abs() < f.iloc[:, 2].abs()
    return carry.where(calm, -carry) + 0.002 * (f.iloc[:, 3] > f.iloc[:, 4]).astype(float)

def boosted(f):
    return booster.predict(f.to_numpy())
"""


@dataclass(frozen=True)
class Fitted:
    """One model to be: its format, what it is in words, its features, and what writes it into a folder and says what the manifest needs."""

    format: str
    says: str
    d: int
    write: Callable[[Path, pd.DataFrame, np.ndarray], dict[str, str]]

    def make(self, folder: Path) -> Path:
        """Fit the model on the rows up to TRAIN_END and write the bundle."""
        folder.mkdir(parents=True)
        table = panel()
        names = list(table.columns[1 : 1 + self.d])
        fit = table[table["date"] <= TRAIN_END].iloc[:-HORIZON]
        model = self.write(folder, fit[names], fit["target"].to_numpy())
        table[["date", *names, "target"]].to_parquet(folder / "panel.parquet", index=False)
        manifest = {
            "bundle": {"name": folder.name},
            "model": {"format": self.format, **model},
            "panel": {
                "file": "panel.parquet",
                "time": "date",
                "features": names,
                "label": "target",
                "horizon": HORIZON,
            },
            "split": {"train_end": TRAIN_END},
        }
        (folder / "bundle.toml").write_text(toml(manifest), "utf-8")
        return folder


@cache
def panel() -> pd.DataFrame:
    """Dates, 50 features without gaps (levels, changes and volatilities, in a seeded order), and the stock fund's next 20 days."""
    raw = pd.read_csv(TABLE)
    raw[raw.columns[1:]] = raw[raw.columns[1:]].ffill()
    logs = raw[list(PRICES)].transform(np.log)
    series = raw.drop(columns=["date", "l_income", "usd_broad_index", *PRICES]).join(logs)
    made = {f"{name}_change_{k}": series[name].diff(k) for k in (1, 5, 20, 60) for name in series}
    made |= {name: series[name] for name in series if name not in PRICES}
    made |= {f"{name}_volatility": series[name].diff().rolling(20).std() for name in series}
    features = pd.DataFrame(made)
    chosen = np.random.default_rng(SEED).permutation(features.columns)[:50]
    target = logs["c_fund"].shift(-HORIZON) - logs["c_fund"]
    table = pd.concat([raw["date"], features[list(chosen)], target.rename("target")], axis=1)
    return table[np.isfinite(table[list(chosen)]).all(axis=1)].reset_index(drop=True)


def every() -> list[Fitted]:
    """All sixty, the formats in turn."""
    tens = [[_tree(name, *size) for size in SIZES] for name in ("lightgbm", "xgboost", "catboost")]
    tens += [_learners("sklearn"), _learners("onnx"), _python()]
    return [model for ten in zip(*tens, strict=True) for model in ten]


def _tree(name: str, trees: int, leaves: int, d: int) -> Fitted:
    def write(folder: Path, X: pd.DataFrame, y: np.ndarray) -> dict[str, str]:
        if name == "lightgbm":
            (folder / "model.txt").write_text(_lightgbm(trees, leaves, X, y))
            return {"file": "model.txt"}
        if name == "xgboost":
            params = {"grow_policy": "lossguide", "max_leaves": leaves, "max_depth": 0, "eta": 0.05, "nthread": 1}
            model = xgboost.train({**params, "tree_method": "hist", "verbosity": 0}, xgboost.DMatrix(X, y), trees)
            file = f"model.{'json' if SIZES.index((trees, leaves, d)) % 2 else 'ubj'}"
            model.save_model(folder / file)
            return {"file": file}
        settings = {"iterations": trees, "depth": int(np.log2(leaves + 1)), "learning_rate": 0.05, "thread_count": 1}
        model = catboost.CatBoostRegressor(**settings, verbose=False, allow_writing_files=False, random_seed=SEED)
        model.fit(X, y).save_model(folder / "model.cbm")
        return {"file": "model.cbm"}

    return Fitted(name, f"{trees} trees × {leaves + (name == 'catboost')} leaves", d, write)


def _lightgbm(trees: int, leaves: int, X: pd.DataFrame, y: np.ndarray) -> str:
    params = {"num_leaves": leaves, "learning_rate": 0.05, "min_data_in_leaf": 10, "num_threads": 1, "verbose": -1}
    return lightgbm.train(params | {"seed": SEED}, lightgbm.Dataset(X, y), trees).model_to_string()


def _network(*widths: int):
    return make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=widths, max_iter=60, random_state=SEED))


def _forest(trees: int, leaves: int, kind=RandomForestRegressor):
    return kind(trees, max_leaf_nodes=leaves, random_state=SEED, max_features=0.5)


def _boosting(trees: int, leaves: int, kind=GradientBoostingRegressor):
    return kind(n_estimators=trees, max_leaf_nodes=leaves, learning_rate=0.05, random_state=SEED, max_features=0.3)


def _learners(name: str) -> list[Fitted]:
    histogram = HistGradientBoostingRegressor(max_iter=500, max_leaf_nodes=31, random_state=SEED)
    classifier = _boosting(200, 15, GradientBoostingClassifier)
    chosen = (
        ("linear", 6, make_pipeline(StandardScaler(), Ridge())),
        ("boosting, 100 trees × 7 leaves", 6, _boosting(100, 7)),
        ("forest, 100 trees × 31 leaves", 6, _forest(100, 31)),
        ("network 16", 6, _network(16)),
        ("forest, 200 trees × 63 leaves", 20, _forest(200, 63)),
        ("network 64, 64", 20, _network(64, 64)),
        ("boosting, 500 trees × 31 leaves, histogram", 20, histogram)
        if name == "sklearn"
        else ("boosting classifier, 200 trees × 15 leaves", 20, classifier),
        ("boosting, 1000 trees × 15 leaves", 50, _boosting(1000, 15)),
        ("random trees, 500 × 127 leaves", 50, _forest(500, 127, ExtraTreesRegressor)),
        ("network 128, 128", 50, _network(128, 128)),
    )
    return [Fitted(name, says, d, _writer(name, learner)) for says, d, learner in chosen]


def _writer(name: str, learner) -> Callable[[Path, pd.DataFrame, np.ndarray], dict[str, str]]:
    def write(folder: Path, X: pd.DataFrame, y: np.ndarray) -> dict[str, str]:
        classifies = isinstance(learner, GradientBoostingClassifier)
        label = (y > 0).astype(int) if classifies else y
        told = {"task": "classification"} if classifies else {}
        if name == "sklearn":
            skops.io.dump(learner.fit(X, label), folder / "model.skops")
            return {"file": "model.skops", **told}
        learner.fit(X.to_numpy(), label)
        how = {"options": {id(learner): {"zipmap": False}}} if classifies else {}
        model = to_onnx(learner, X.to_numpy(np.float32)[:1], target_opset=OPSETS, **how)
        if classifies:
            del model.graph.output[0]
        names = model.metadata_props.add()
        names.key, names.value = "feature_names", json.dumps(list(X.columns))
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        return {"file": "model.onnx", **told}

    return write


def _python() -> list[Fitted]:
    chosen = (
        ("linear", 6, "linear", None),
        ("network 16, numpy", 6, "network", _network(16)),
        ("forest, 50 trees × 15 leaves, numpy", 6, "forest", _forest(50, 15)),
        ("rules, pandas", 6, "rules", None),
        ("rules, pandas", 20, "rules", None),
        ("network 64, 64, numpy", 20, "network", _network(64, 64)),
        ("LightGBM, 200 trees × 31 leaves, called from Python", 20, "boosted", (200, 31)),
        ("forest, 100 trees × 31 leaves, numpy", 20, "forest", _forest(100, 31)),
        ("network 128, 128, numpy", 50, "network", _network(128, 128)),
        ("LightGBM, 1000 trees × 127 leaves, called from Python", 50, "boosted", (1000, 127)),
    )
    return [Fitted("python", says, d, _coded(function, learner)) for says, d, function, learner in chosen]


def _coded(function: str, learner) -> Callable[[Path, pd.DataFrame, np.ndarray], dict[str, str]]:
    def write(folder: Path, X: pd.DataFrame, y: np.ndarray) -> dict[str, str]:
        (folder / "author.py").write_text(CODE, "utf-8")
        if function == "linear":
            fit = Ridge().fit(X, y)
            np.savez(folder / "weights.npz", w=fit.coef_, b=fit.intercept_)
        elif function == "network":
            scaler, network = (step for _, step in learner.fit(X.to_numpy(), y).steps)
            weights = {f"w{i}": w for i, w in enumerate(network.coefs_)}
            weights |= {f"b{i}": b for i, b in enumerate(network.intercepts_)}
            np.savez(
                folder / "weights.npz", mean=scaler.mean_, scale=scaler.scale_, layers=len(network.coefs_), **weights
            )
        elif function == "forest":
            _save_forest(folder / "weights.npz", [tree.tree_ for tree in learner.fit(X.to_numpy(), y).estimators_])
        elif function == "boosted":
            (folder / "booster.txt").write_text(_lightgbm(*learner, X, y))
        return {"entry": f"author:{function}"}

    return write


def _save_forest(path: Path, trees: list) -> None:
    """Trees as rows of arrays, filled up to the largest."""
    most = max(tree.node_count for tree in trees)

    def stacked(of: Callable) -> np.ndarray:
        return np.array([np.pad(of(tree), (0, most - tree.node_count)) for tree in trees])

    np.savez(
        path,
        left=stacked(lambda t: t.children_left),
        right=stacked(lambda t: t.children_right),
        feature=stacked(lambda t: t.feature),
        threshold=stacked(lambda t: t.threshold),
        value=stacked(lambda t: t.value[:, 0, 0]),
        depth=max(tree.max_depth for tree in trees),
    )


def main() -> None:
    """Make what is not there yet, and the list of all."""
    home, listed = Path(sys.argv[1]), []
    for number, model in enumerate(every()):
        folder = home / f"{model.format}_{number}"
        if not (folder / "bundle.toml").exists():
            model.make(folder)
        listed.append({"folder": folder.name, "format": model.format, "says": model.says, "d": model.d})
        print(f"made {folder.name}: {model.says}, {model.d} features", flush=True)
    (home / "models.json").write_text(json.dumps(listed), "utf-8")


if __name__ == "__main__":
    main()
