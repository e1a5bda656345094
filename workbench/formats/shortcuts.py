"""Shorter ways from rows to predictions than scikit-learn's own, which spends most of a call on looking at its arguments.

Each takes a fitted step and works on its arrays: (n, d) float64 in, (n,) out, or (n, k) for a transformer. Whoever uses one compares
it with the step's own answer first: a shortcut that does not fit a variant of its estimator is left by that, not by more rules here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.schema import Floats

Way = Callable[[Floats], Floats]
_EULER = 0.5772156649015329


def shortcut(steps: list[Any], output: str) -> Way | None:
    """The way through all steps, whose last one gives `output` by scikit-learn's name for it; None where there is none."""
    names = [type(step).__name__ for step in steps]
    before = [_TRANSFORMERS.get(name) for name in names[:-1]]
    final = next((way for known, way in _PREDICTORS.items() if names[-1].startswith(known)), _linear)
    if None in before or (final is _linear and not hasattr(steps[-1], "coef_")):
        return None
    ways = [make(step) for make, step in zip(before, steps[:-1], strict=True) if make is not None]
    last = final(steps[-1], output)

    def run(rows: Floats) -> Floats:
        for way in ways:
            rows = way(rows)
        return last(rows)

    return run


def _standard(step: Any) -> Way:
    mean = 0.0 if step.mean_ is None else step.mean_
    scale = 1.0 if step.scale_ is None else step.scale_
    return lambda rows: (rows - mean) / scale


def _robust(step: Any) -> Way:
    centre = 0.0 if step.center_ is None else step.center_
    scale = 1.0 if step.scale_ is None else step.scale_
    return lambda rows: (rows - centre) / scale


def _minmax(step: Any) -> Way:
    scale, low = step.scale_, step.min_
    return lambda rows: rows * scale + low


def _maxabs(step: Any) -> Way:
    scale = step.scale_
    return lambda rows: rows / scale


def _imputer(step: Any) -> Way:
    fill = step.statistics_.astype(np.float64)
    return lambda rows: np.where(np.isnan(rows), fill, rows)


def _principal(step: Any) -> Way:
    turn, shift = step.components_.T, step.mean_ @ step.components_.T
    scale = np.sqrt(step.explained_variance_) if step.whiten else 1.0
    return lambda rows: (rows @ turn - shift) / scale


def _linear(step: Any, output: str) -> Way:
    coefficients = np.ascontiguousarray(step.coef_, np.float64).reshape(-1)
    intercept = float(np.reshape(step.intercept_, -1)[0])
    if output == "predict_proba":
        return lambda rows: _logistic(rows @ coefficients + intercept)
    return lambda rows: rows @ coefficients + intercept


def _logistic(score: Floats) -> Floats:
    return 1 / (1 + np.exp(-score))


_ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0, out=x),
    "tanh": lambda x: np.tanh(x, out=x),
    "logistic": _logistic,
}


def _network(step: Any, output: str) -> Way:
    del output
    hidden, last = _ACTIVATIONS[step.activation], _ACTIVATIONS.get(step.out_activation_, np.exp)
    *layers, end = zip(step.coefs_, step.intercepts_, strict=True)

    def run(rows: Floats) -> Floats:
        for weights, bias in layers:
            rows = rows @ weights
            rows += bias
            rows = hidden(rows)
        return last((rows @ end[0] + end[1])[:, 0])

    return run


def _forest(step: Any, output: str) -> Way:
    """Mean of the trees, one after the other: waking threads for each costs more than the walk."""
    trees = [tree.tree_ for tree in getattr(step, "estimators_", [step])]
    column = 1 if output == "predict_proba" else 0

    def run(rows: Floats) -> Floats:
        narrow = rows.astype(np.float32)
        total = np.zeros(len(rows))
        for tree in trees:
            total += tree.predict(narrow)[:, column]
        return total / len(trees)

    return run


def _isolation(step: Any, output: str) -> Way:
    """Liu, Ting and Zhou (2008), equation 2: 2^(-mean path / c(samples)), larger for stranger rows."""
    del output
    trees = [tree.tree_ for tree in step.estimators_]
    paths = [
        walked + below - 1
        for walked, below in zip(step._decision_path_lengths, step._average_path_length_per_tree, strict=True)  # noqa: SLF001
    ]
    n = step._max_samples  # noqa: SLF001
    usual = len(trees) * (2 * (np.log(n - 1) + _EULER) - 2 * (n - 1) / n)

    def run(rows: Floats) -> Floats:
        narrow = rows.astype(np.float32)
        depth = np.zeros(len(rows))
        for tree, path in zip(trees, paths, strict=True):
            depth += path[tree.apply(narrow)]
        return np.asarray(2 ** (-depth / usual), np.float64)

    return run


def _boosted(step: Any, output: str) -> Way:
    trees = [tree for (tree,) in step._predictors]  # noqa: SLF001
    base = float(np.reshape(step._baseline_prediction, -1)[0])  # noqa: SLF001
    no_sets = np.zeros((0, 8), np.uint32)
    logarithmic = output == "predict" and step.loss in {"poisson", "gamma"}
    last = _logistic if output == "predict_proba" else np.exp if logarithmic else np.asarray

    def run(rows: Floats) -> Floats:
        place: NDArray[np.uint32] = np.zeros(rows.shape[1], np.uint32)
        score = np.full(len(rows), base)
        for tree in trees:
            score += tree.predict(rows, no_sets, place, 1)
        return np.asarray(last(score), np.float64)

    return run


_TRANSFORMERS: dict[str, Callable[[Any], Way]] = {
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MinMaxScaler": _minmax,
    "MaxAbsScaler": _maxabs,
    "SimpleImputer": _imputer,
    "PCA": _principal,
}
_PREDICTORS: dict[str, Callable[[Any, str], Way]] = {
    "MLP": _network,
    "RandomForest": _forest,
    "ExtraTree": _forest,
    "DecisionTree": _forest,
    "IsolationForest": _isolation,
    "HistGradientBoosting": _boosted,
}
