"""A checked XGBoost model as an `Ensemble`.

The library rounds rows to float32 and goes left where a value is below the split; what it goes right for is a categorical split's set, so
these are turned round. Its leaves and their sum are float32: this sum of the same leaves in double is nearer to them.
"""

import numpy as np
from numpy.typing import NDArray

from workbench.trees.ensemble import Category, Ensemble, Missing, names
from workbench.trees.xgboost_forest import DELETED, Numbers
from workbench.trees.xgboost_json import EXPONENTIAL, LOGIT, ModelDocument


def ensemble(model: ModelDocument) -> Ensemble:
    """The trees of the rounds that predict; covers are sums of second derivatives."""
    sizes = np.array([len(tree["parents"]) for tree in model.trees])
    first = np.cumsum(sizes) - sizes
    start = np.repeat(first, sizes)
    kept = _flat(model, "split_indices") != DELETED
    leaf = _flat(model, "left_children") == -1
    called = np.zeros(len(kept), np.int32)
    called[kept] = names(leaf[kept])
    inner, ends = kept & ~leaf, kept & leaf
    left, right = (called[(_flat(model, key) + start)[inner]] for key in ("left_children", "right_children"))
    categorical = _flat(model, "split_type")[inner] > 0
    numbers = np.where(categorical, np.cumsum(categorical) - 1, -1)
    value, cover = _flat(model, "split_conditions"), _flat(model, "sum_hessian").astype(np.float64)
    weights = np.repeat(model.weights, sizes) if model.weights else np.ones(len(kept))
    return Ensemble(
        n_features=len(model.features),
        base=_margin(model),
        roots=called[first],
        feature=_flat(model, "split_indices")[inner].astype(np.int32),
        threshold=np.nextafter(value, np.float32(-np.inf))[inner].astype(np.float64),
        missing=np.full(inner.sum(), Missing.NAN, np.uint8),
        missing_left=(_flat(model, "default_left")[inner] > 0) ^ categorical,
        left=np.where(categorical, right, left),
        right=np.where(categorical, left, right),
        cover=cover[inner],
        values=(value * weights)[ends].astype(np.float64),
        leaf_cover=cover[ends],
        single=True,
        category_set=numbers.astype(np.int32) if categorical.any() else None,
        sets=_sets(model, inner),
        category=Category.FLOOR,
    )


def _flat(model: ModelDocument, key: str) -> Numbers:
    return np.concatenate([tree[key] for tree in model.trees])


def _margin(model: ModelDocument) -> float:
    """`base_score` as the objective's link takes it to where the trees are added up, in float32 as the library reckons."""
    base = np.float32(model.base_score)
    if model.objective in LOGIT:
        return float(-np.log(np.float32(1) / base - np.float32(1)))
    return float(np.log(base) if model.objective in EXPONENTIAL else base)


def _sets(model: ModelDocument, inner: NDArray[np.bool_]) -> tuple[NDArray[np.int64], ...]:
    """The categories of each categorical split, in the order of the nodes; what was pruned to a leaf keeps its own in the file."""
    nodes = [
        tree["categories"][begin : begin + size].astype(np.int64)
        for tree in model.trees
        for begin, size in zip(tree["categories_segments"], tree["categories_sizes"], strict=True)
    ]
    splits = inner[_flat(model, "split_type") > 0]
    return tuple(np.unique(members) for members, split in zip(nodes, splits, strict=True) if split)
