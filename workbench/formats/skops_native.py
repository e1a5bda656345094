"""The arrays that scikit-learn's native code reads without looking: tree nodes, support vectors, the width of products.

Each look takes a part and the columns that its estimator was fitted on, and yields what is wrong: a key of `fault.sklearn`, where
inside the part, and the sentence's values.
"""

from collections.abc import Callable, Iterator, Mapping
from math import comb
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from workbench.formats.skops_file import Part

Complaints = Iterator[tuple[str, str, dict[str, Any]]]
MOST_PRODUCTS = 100_000
MOST_DEGREE = 12
MOST_SHOWN = 3
_KERNELS = ("linear", "poly", "rbf", "sigmoid")
# The fields of a node by the kind of their numbers: f real, i whole, u whole and not negative.
_TREE_FIELDS = {
    **dict.fromkeys(("left_child", "right_child", "feature", "n_node_samples"), "i"),
    **dict.fromkeys(("threshold", "impurity", "weighted_n_node_samples"), "f"),
    "missing_go_to_left": "u",
}
_BOOSTED_FIELDS = {
    **dict.fromkeys(("value", "num_threshold", "gain"), "f"),
    **dict.fromkeys(("count", "left", "right", "depth", "missing_go_to_left", "is_leaf"), "u"),
    **dict.fromkeys(("bin_threshold", "is_categorical", "bitset_idx"), "u"),
    "feature_idx": "i",
}


def tree(part: Part, width: int | None) -> Complaints:
    """A `Tree`: one output, a finite value for each node and class, and a walk that ends."""
    classes = part.args[1] if len(part.args) == 3 else None  # noqa: PLR2004
    if not _array(classes, np.intp) or classes.shape != (1,) or int(classes[0]) not in {1, 2}:
        yield "shape", "", {}
        return
    if width is None or part.args[0] != width or part.args[2] != 1:
        yield "shape", "", {}
        return
    nodes, values = part.state.get("nodes"), part.state.get("values")
    if not _records(nodes, _TREE_FIELDS) or part.state.get("node_count") != len(nodes):
        yield "nodes", "nodes", {}
    elif not _array(values, np.float64) or values.shape != (len(nodes), 1, int(classes[0])):
        yield "shape", "values", {}
    elif not np.isfinite(values).all() or np.isnan(nodes["threshold"]).any():
        yield "infinite", "values", {}
    else:
        yield from _walk(nodes["left_child"] == -1, nodes["left_child"], nodes["right_child"], nodes["feature"], width)


def boosted(part: Part, width: int | None) -> Complaints:
    """A `TreePredictor` of histogram gradient boosting, on numbers only."""
    nodes = part.state.get("nodes")
    if not _records(nodes, _BOOSTED_FIELDS) or width is None:
        yield "nodes", "nodes", {}
    elif nodes["is_categorical"].any() or (nodes["is_leaf"] > 1).any():
        yield "categorical", "nodes", {}
    elif not np.isfinite(nodes["value"]).all() or np.isnan(nodes["num_threshold"]).any():
        yield "infinite", "nodes", {}
    else:
        left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
        yield from _walk(nodes["is_leaf"] == 1, left, right, nodes["feature_idx"], width)


def _walk(
    leaf: NDArray[np.bool_], left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], width: int
) -> Complaints:
    """Every node but the root has one parent, which comes before it; every split asks for a column that is there."""
    own = np.arange(len(leaf))
    outside = [~leaf & ((child <= own) | (child >= len(leaf))) for child in (left, right)]
    for child, wrong in zip((left, right), outside, strict=True):
        for at in np.flatnonzero(wrong)[:MOST_SHOWN]:
            yield "child", "nodes", {"node": int(at), "found": int(child[at])}
    for at in np.flatnonzero(~leaf & ((feature < 0) | (feature >= width)))[:MOST_SHOWN]:
        yield "feature", "nodes", {"node": int(at), "found": int(feature[at]), "expected": width}
    if not np.any(outside):
        parents = np.bincount(np.concatenate([left[~leaf], right[~leaf]]), minlength=len(leaf))
        for at in np.flatnonzero(parents != (own > 0))[:MOST_SHOWN]:
            yield "parents", "nodes", {"node": int(at), "found": int(parents[at])}


def support(part: Part, width: int | None) -> Complaints:
    """A support vector machine: libsvm is handed its arrays by their sizes."""
    del width
    state = part.state
    vectors, counts, at = (state.get(key) for key in ("support_vectors_", "_n_support", "support_"))
    n = len(vectors) if _array(vectors, np.float64) and vectors.ndim == 2 else 0  # noqa: PLR2004
    held = sum(counts.tolist()) if part.kind.endswith("SVC") and _array(counts, np.int32) else n
    one, row, either = ((1,),), ((1, n),), ((0,), (1,))
    sizes: dict[str, tuple[tuple[int, ...], ...]] = {
        **dict.fromkeys(("_dual_coef_", "dual_coef_"), row),
        **dict.fromkeys(("_intercept_", "intercept_"), one),
        **dict.fromkeys(("_probA", "_probB"), either),
        "support_vectors_": ((n, int(state.get("n_features_in_") or 0)),),
    }
    sized = all(_array(state.get(key), np.float64) and state[key].shape in fine for key, fine in sizes.items())
    sized = sized and state["_probA"].shape == state["_probB"].shape
    counted = _array(counts, np.int32) and counts.shape == (2,) and bool((counts >= 0).all()) and held == n
    known = state.get("kernel") in _KERNELS and state.get("_sparse") is False and "_impl" not in state
    numbered = isinstance(state.get("_gamma"), int | float) and _array(at, np.int32) and at.shape == (n,)
    if not (n and sized and counted and known and numbered):
        yield "svm", "", {}


def products(part: Part, width: int | None) -> Complaints:
    """`PolynomialFeatures`: as many columns as there are monomials of that degree, and no more than can be borne."""
    del width
    whole = [part.state.get(key) for key in ("n_features_in_", "_max_degree", "_n_out_full")]
    columns, degree, made = (one if type(one) is int else -1 for one in whole)
    if not 0 <= degree <= MOST_DEGREE or not 0 < made <= comb(max(columns, 0) + degree, degree) <= MOST_PRODUCTS:
        yield "shape", "", {}


def _array(values: Any, dtype: Any) -> TypeGuard[NDArray[Any]]:
    return isinstance(values, np.ndarray) and values.dtype == dtype


def _records(nodes: Any, kinds: Mapping[str, str]) -> TypeGuard[NDArray[Any]]:
    """An array of at least one node with just these fields, each of this kind of number."""
    if not isinstance(nodes, np.ndarray) or nodes.ndim != 1 or not len(nodes) or nodes.dtype.names is None:
        return False
    return {name: nodes.dtype[name].kind for name in nodes.dtype.names} == dict(kinds)


LOOKS: dict[str, Callable[[Part, int | None], Complaints]] = {
    "Tree": tree,
    "TreePredictor": boosted,
    **dict.fromkeys(("SVC", "NuSVC", "SVR", "NuSVR"), support),
    "PolynomialFeatures": products,
}
