"""A fitted scikit-learn estimator of trees as an `Ensemble`, read from its attributes; the library itself is not asked for.

`tree_` compares rows rounded to float32 with thresholds in double; the histogram boosters compare doubles, and put categories as numbers
of their own in front of the other columns. GradientBoosting knows no missing values: NaN, should one come, goes right.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.schema import Floats
from workbench.trees.ensemble import Category, Ensemble, Missing, Whole, names

BINARY = 2
LARGEST = 2**53  # above it a float holds no whole number for certain
UNLINKED = ("squared_error", "absolute_error", "quantile")  # the losses whose trees add up to the prediction itself


def ensemble(estimator: Any) -> Ensemble | None:
    """The trees behind `predict` of a regressor, P(y = 1) of a tree or forest, the log-odds of a booster; None for all else.

    Covers are the training rows, weighted where the trees keep the weights (the histogram boosters do not).
    """
    kind = type(estimator)
    read = _READERS.get(kind.__name__.removesuffix("Regressor").removesuffix("Classifier"))
    if read is None or not kind.__module__.startswith("sklearn."):
        return None
    made = read(estimator)
    return made if made is not None and bool((made.cover > 0).all()) else None


def _is_classifier(estimator: Any) -> bool:
    return type(estimator).__name__.endswith("Classifier")


def _forest(estimator: Any) -> Ensemble | None:
    classifier = _is_classifier(estimator)
    if estimator.n_outputs_ != 1 or (classifier and estimator.n_classes_ != BINARY):
        return None
    trees = [each.tree_ for each in getattr(estimator, "estimators_", [estimator])]
    values = [tree.value[:, 0, int(classifier)] / len(trees) for tree in trees]
    missing_left = [np.asarray(tree.missing_go_to_left, bool) for tree in trees]
    return _of_trees(estimator.n_features_in_, 0.0, trees, values, missing_left)


def _boosted(estimator: Any) -> Ensemble | None:
    base = _constant(estimator)
    if base is None or estimator.estimators_.shape[1] != 1:
        return None
    trees = [each.tree_ for each in estimator.estimators_[:, 0]]
    values = [tree.value[:, 0, 0] * estimator.learning_rate for tree in trees]
    return _of_trees(estimator.n_features_in_, base, trees, values, [np.zeros(len(v), bool) for v in values])


def _constant(estimator: Any) -> float | None:
    """Where boosting began; None where that depends on the row, or on chance."""
    first = estimator.init_
    if isinstance(first, str):
        return 0.0
    if type(first).__name__ not in {"DummyRegressor", "DummyClassifier"} or first.strategy == "stratified":
        return None
    begun = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32))  # noqa: SLF001 - its own link
    return float(begun[0, 0])


def _of_trees(
    width: int, base: float, trees: Sequence[Any], values: Sequence[Floats], missing_left: Sequence[NDArray[np.bool_]]
) -> Ensemble:
    """`values` and `missing_left` hold a number a node, as the trees' own arrays do."""
    sizes = np.array([tree.node_count for tree in trees])
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    leaf = left < 0
    called, inner = names(leaf), ~leaf
    cover = np.concatenate([tree.weighted_n_node_samples for tree in trees])
    return Ensemble(
        n_features=width,
        base=base,
        roots=called[np.cumsum(sizes) - sizes],
        feature=np.concatenate([tree.feature for tree in trees])[inner].astype(np.int32),
        threshold=np.concatenate([tree.threshold for tree in trees])[inner],
        missing=np.full(inner.sum(), Missing.NAN, np.uint8),
        missing_left=np.concatenate(missing_left)[inner],
        left=called[(left + start)[inner]],
        right=called[(right + start)[inner]],
        cover=cover[inner],
        values=np.concatenate(values)[leaf],
        leaf_cover=cover[leaf],
        single=True,
    )


def _histogram(estimator: Any) -> Ensemble | None:
    if estimator.n_trees_per_iteration_ != 1 or not (_is_classifier(estimator) or estimator.loss in UNLINKED):
        return None
    predictors = [each for (each,) in estimator._predictors]  # noqa: SLF001 - there is no other way to them
    nodes = np.concatenate([each.nodes for each in predictors])
    sizes = np.array([len(each.nodes) for each in predictors])
    leaf = nodes["is_leaf"] > 0
    called, split, tree = names(leaf), nodes[~leaf], np.repeat(np.arange(len(sizes)), sizes)[~leaf]
    start = (np.cumsum(sizes) - sizes)[tree]
    left, right = called[split["left"] + start], called[split["right"] + start]
    categorical, missing_left = split["is_categorical"] > 0, split["missing_go_to_left"] > 0
    bits = [predictors[tree[at]].raw_left_cat_bitsets[split["bitset_idx"][at]] for at in np.flatnonzero(categorical)]
    sets = _sets(estimator, split["feature_idx"][categorical], bits, missing_left[categorical])
    if sets is None:
        return None
    turned = categorical & missing_left
    return Ensemble(
        n_features=estimator.n_features_in_,
        base=float(np.reshape(estimator._baseline_prediction, -1)[0]),  # noqa: SLF001
        roots=called[np.cumsum(sizes) - sizes],
        feature=_columns(estimator)[split["feature_idx"]].astype(np.int32),
        threshold=split["num_threshold"].astype(np.float64),
        missing=np.full(len(split), Missing.NAN, np.uint8),
        missing_left=missing_left & ~categorical,
        left=np.where(turned, right, left),
        right=np.where(turned, left, right),
        cover=split["count"].astype(np.float64),
        values=nodes["value"][leaf].astype(np.float64),
        leaf_cover=nodes["count"][leaf].astype(np.float64),
        category_set=np.where(categorical, np.cumsum(categorical) - 1, -1).astype(np.int32) if sets else None,
        sets=tuple(sets),
        category=Category.EXACT,
    )


def _columns(estimator: Any) -> NDArray[np.intp]:
    """The column of the rows behind each column that the trees speak of: they have the categories first."""
    categorical = estimator.is_categorical_
    if categorical is None:
        return np.arange(estimator.n_features_in_)
    return np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])


def _sets(
    estimator: Any, features: Whole, bits: Sequence[Whole], missing_left: NDArray[np.bool_]
) -> list[NDArray[np.int64]] | None:
    """The categories that part from what is missing, which is where unknown ones go too; None unless they are whole numbers.

    So where missing values go left a set holds what goes right, and the split is turned round.
    """
    if not bits:
        return []
    categories = estimator._preprocessor.named_transformers_["encoder"].categories_  # noqa: SLF001
    sets = []
    for feature, words, turned in zip(features, bits, missing_left, strict=True):
        known = np.asarray(categories[feature])
        if known.dtype.kind not in "iuf":
            return None
        known, codes = known.astype(np.float64), np.arange(len(known))
        goes_left = words[codes // 32] >> (codes % 32).astype(np.uint32) & 1 > 0
        members = known[(goes_left != turned) & ~np.isnan(known)]
        if not ((np.floor(members) == members) & (np.abs(members) < LARGEST)).all():
            return None
        sets.append(np.sort(members).astype(np.int64))
    return sets


_READERS = {
    **dict.fromkeys(("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees"), _forest),
    "GradientBoosting": _boosted,
    "HistGradientBoosting": _histogram,
}
