"""How far base + sum of contributions misses the prediction: `python tests/bench/additivity.py` writes additivity.md beside it.

The gap of the worst of 50 rows, over the standard deviation of the predictions, and over it and the predictions' largest size
together (a float32 sum rounds by the size of what it adds, not by its spread).
"""

import sys
import tempfile
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import xgboost

sys.path[:0] = [str(Path(__file__).parents[2])]

from workbench import models

ROWS = 50
HEAD = "| format | trees | depth | label | worst gap / spread | worst gap / (spread + largest prediction) |\n|---|---|---|---|---|---|\n"


def data(shift: float, scale: float):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 10))
    X[rng.random(X.shape) < 0.02] = np.nan
    known = np.nan_to_num(X)
    return X, shift + scale * (known[:, 0] * known[:, 1] + known[:, 2] + rng.normal(size=1000))


def saved(path: Path, trees: int, depth: int, X, y) -> Path:
    name = path.name
    if name == "xgboost":
        params = {"max_depth": depth, "eta": 0.05, "nthread": 1, "verbosity": 0}
        path.write_bytes(xgboost.train(params, xgboost.DMatrix(X, y), trees).save_raw("ubj"))
    elif name == "lightgbm":
        params = {"num_leaves": 2**depth, "max_depth": depth, "learning_rate": 0.05, "num_threads": 1, "verbose": -1}
        path.write_text(lightgbm.train(params, lightgbm.Dataset(X, y), trees).model_to_string())
    else:
        settings = {"iterations": trees, "depth": depth, "learning_rate": 0.05, "thread_count": 1, "verbose": False}
        catboost.CatBoostRegressor(**settings, allow_writing_files=False).fit(X, y).save_model(path)
    return path


def main() -> None:
    lines = []
    with tempfile.TemporaryDirectory() as work:
        for name in ("xgboost", "lightgbm", "catboost"):
            for trees, depth in ((100, 3), (1000, 3), (1000, 6)):
                for shift, scale, label in (
                    (0, 0.01, "return"),
                    (100, 1, "price 100 ± 1.7"),
                    (4000, 5, "index 4000 ± 9"),
                ):
                    X, y = data(shift, scale)
                    model = models.find(name).load(saved(Path(work) / name, trees, depth, X, y))
                    predicted = model.predict(X)
                    values, base = model.contributions(X[:ROWS])
                    gap = np.abs(values.sum(axis=1) + base - predicted[:ROWS]).max()
                    spread, size = predicted.std(), np.abs(predicted).max()
                    lines.append(
                        f"| {name} | {trees} | {depth} | {label} | {gap / spread:.1e} | {gap / (spread + size):.1e} |"
                    )
                    print(lines[-1], flush=True)
    text = (__doc__ or "").split(": `")[0] + ", the worst of 50 rows.\n\n" + HEAD + "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
