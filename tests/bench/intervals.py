"""Do 95 % intervals of sampled Shapley values cover 95 %? `python tests/bench/intervals.py` writes tests/bench/intervals.md.

Models whose values are known: summed over all coalitions (up to 12 features), or from 4,000 draws a background row (the network of 50).
An interval is value ± 1.96 standard errors; coverage is the share of (seed, feature) pairs whose interval holds the known value.
"""

import os
import platform
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import lightgbm
import numpy as np
from sklearn.neural_network import MLPRegressor

sys.path[:0] = [str(Path(__file__).parents[2])]

from workbench.explain import shap

SEEDS, STAGES = 300, (5, 10, 20, 40, 70, 100, 134, 170, 200, 300, 500)
REFERENCE_ROUNDS = 4000


def specimens() -> Iterator[tuple[str, object, np.ndarray, np.ndarray]]:
    """Name, predict, row, background (100 rows)."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(2000, 12))
    y = X[:, 0] * X[:, 1] + np.maximum(X[:, 2], 0) * X[:, 3] + np.sin(2 * X[:, 4]) + 0.3 * rng.normal(size=2000)
    params = {"objective": "regression", "num_leaves": 15, "verbose": -1, "num_threads": 1}
    trees = lightgbm.train(params, lightgbm.Dataset(X, y), 100)
    yield "LightGBM, 100 × 15, 12 features", lambda r: trees.predict(r, num_threads=1), X[1900], X[:100]
    small = MLPRegressor(hidden_layer_sizes=(32, 32), max_iter=200, random_state=0).fit(X[:, :10], y)
    yield "MLP 32 × 32, 10 features", small.predict, X[1901, :10], X[:100, :10]
    yield "x₁x₂x₃ + exp(x₄/2) x₅ + x₆", _product, X[1902, :6], X[:100, :6]
    yield "x₁x₂x₃ + x₄² x₁", _triple, X[1910, :4], X[100:200, :4]
    yield "rare jumps, heavy tails, 7 features", _jumps, np.full(7, 1.5), X[:100, :7]
    wide = rng.normal(size=(3000, 8)) @ rng.normal(size=(8, 50)) * 0.7 + rng.normal(size=(3000, 50))
    target = np.tanh(wide @ rng.normal(size=50) / 6) + 0.5 * wide[:, 0] * wide[:, 1] + np.sin(wide[:, 4]) * wide[:, 5]
    large = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=60, random_state=0).fit(wide, target)
    yield "MLP 64 × 64, 50 features", large.predict, wide[2500], wide[:100]


def _product(r: np.ndarray) -> np.ndarray:
    return r[:, 0] * r[:, 1] * r[:, 2] + np.exp(r[:, 3] / 2) * r[:, 4] + r[:, 5]


def _triple(r: np.ndarray) -> np.ndarray:
    return r[:, 0] * r[:, 1] * r[:, 2] + r[:, 3] ** 2 * r[:, 0]


def _jumps(r: np.ndarray) -> np.ndarray:
    return 5.0 * (r[:, 0] > 1) * (r[:, 1] > 1) + (r[:, 2] > 0.5) * r[:, 3] ** 3 + r[:, 4] * r[:, 5] * r[:, 6]


def known(predict, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    if len(row) <= shap.MOST_EXACT:
        return shap.exact(predict, row, background).values
    rng, prediction = np.random.default_rng(99), float(predict(row[None])[0])
    rounds = [shap.draw(predict, row, background, prediction, rng).mean(axis=0) for _ in range(REFERENCE_ROUNDS)]
    return np.mean(rounds, axis=0)


def coverage(predict, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Share covered (stages,)."""
    truth, prediction = known(predict, row, background), float(predict(row[None])[0])
    held = np.zeros((SEEDS, len(STAGES)))
    for seed in range(SEEDS):
        rng, drawn = np.random.default_rng(seed), 0
        strata, visits = shap.Strata(background, len(row)), shap._visits(len(background), rng)
        for i, stage in enumerate(STAGES):
            at = np.fromiter(visits, np.intp, stage - drawn)
            strata.add(at, shap.draw(predict, row, background[at], prediction, rng))
            drawn, estimate = stage, strata.estimate(prediction)
            held[seed, i] = np.mean(np.abs(estimate.values - truth) <= 1.96 * estimate.std_error)
    return held.mean(axis=0)


def main() -> None:
    warnings.filterwarnings("ignore")
    began, lines = time.time(), []
    for name, predict, row, background in specimens():
        found = coverage(predict, row, background)
        lines.append(f"| {name} | " + " | ".join(f"{share:.1%}" for share in found) + " |")
        print(lines[-1], flush=True)
    head = [
        "# Coverage of the error bars of sampled Shapley values",
        "",
        f"`python tests/bench/intervals.py`: {SEEDS} seeds, background of 100 rows; columns are draws (a draw is a background row and an order of",
        "the features, there and back; after 170 draws every background row was seen, 70 of them twice). Aim: 93 to 97 %.",
        "Features without interactions of three or more are known to the last digits after that round and count as covered: three of the six",
        "of the formula, one of the seven with jumps.",
        "",
        "| model | " + " | ".join(map(str, STAGES)) + " |",
        "|---" * (len(STAGES) + 1) + "|",
        *lines,
        "",
        f"{platform.machine()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}, {time.time() - began:.0f} s.",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(head) + "\n", "utf-8")


if __name__ == "__main__":
    main()
