"""The trees of an XGBoost model: lengths, index ranges, shape and categories, checked for all trees at once.

Each check is one vector operation over the whole model. A pruned tree keeps its deleted nodes, marked and reached by no path.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.foreign import shown
from workbench.schema import BadInputError, Fault

DEEPEST = 1000  # TreeSHAP's scratch space grows with the square of the depth
MOST_FAULTS = 20
MOST_CATEGORIES = 2**24  # the library's own bound: a float32 holds no larger whole number for certain
MOST_CATEGORY_BITS = 2**29
NOBODY = DELETED = 2**31 - 1  # the root's parent; the split_indices of a deleted node
_NODES: dict[str, type] = {
    **dict.fromkeys(("base_weights", "loss_changes", "split_conditions", "sum_hessian"), np.float32),
    **dict.fromkeys(("left_children", "right_children", "parents", "split_indices"), np.int32),
    **dict.fromkeys(("default_left", "split_type"), np.uint8),
}
_CATEGORIES: dict[str, type] = {
    **dict.fromkeys(("categories", "categories_nodes"), np.int32),
    **dict.fromkeys(("categories_segments", "categories_sizes"), np.int64),
}
_ARRAYS = _NODES | _CATEGORIES
_LATER = ("split_type", *_CATEGORIES)  # not in files of XGBoost before 1.3
_SIZES = ("num_deleted", "num_feature", "num_nodes", "size_leaf_vector")

Numbers = NDArray[Any]


def checked_trees(file: str, place: str, trees: Sequence[object], width: int) -> list[dict[str, Any]]:
    """The trees as the library may have them; `BadInputError` unless every walk through every tree ends in a leaf that is there."""
    forest = _Forest(file, place, trees, width)
    forest.check_numbers()
    forest.stop()
    forest.check_shape()
    forest.check_categories()
    forest.stop()
    return forest.written()


class _Forest:
    """All trees as flat arrays; faults gather until `stop`."""

    def __init__(self, file: str, place: str, trees: Sequence[object], width: int) -> None:
        self.file, self.place, self.width = file, place, width
        self.faults: list[Fault] = []
        self.trees = [self._tree(i, tree) for i, tree in enumerate(trees)]
        self.stop()
        self.flat = {key: self._flat(key) for key in _ARRAYS}
        self.stop()
        self.sizes = np.array([len(tree["parents"]) for tree in self.trees])
        self.start = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self.tree_of = np.repeat(np.arange(len(trees)), self.sizes)
        self.own = np.arange(len(self.tree_of)) - self.start[self.tree_of]
        self.leaf = self.flat["left_children"] == -1
        self.deleted = self.flat["split_indices"] == DELETED

    def stop(self) -> None:
        """Raise what has gathered."""
        if self.faults:
            raise BadInputError(self.faults[:MOST_FAULTS])

    def _add(self, fault: str, tree: int, name: str, **values: object) -> None:
        self.faults.append(
            Fault(f"fault.xgboost.{fault}", self.file, f"{self.place}[{tree}].{name}".rstrip("."), values=values)
        )

    def _tree(self, i: int, given: object) -> dict[str, Any]:
        """One tree: its sizes, and its arrays, each of plain numbers and as long as `num_nodes` says."""
        tree: Mapping[str, Any] = given if isinstance(given, dict) else {}
        sizes = tree.get("tree_param")
        sizes = sizes if isinstance(sizes, dict) else {}
        wanted = {*_ARRAYS, "id", "tree_param"}
        for key in sorted(wanted - {*tree, *_LATER}):
            self._add("missing", i, "", key=key)
        for key in sorted((set(tree) - wanted) | (set(sizes) - set(_SIZES))):
            self._add("unknown", i, "", key=shown(key))
        for key in _SIZES:
            if not (isinstance(sizes.get(key), str) and re.fullmatch(r"\d{1,9}", sizes[key])):
                self._add("value", i, f"tree_param.{key}", found=shown(sizes.get(key)))
        if self.faults:
            return {}
        nodes = int(sizes["num_nodes"])
        if tree["id"] != i or int(sizes["num_feature"]) != self.width or int(sizes["size_leaf_vector"]) > 1:
            found = f"id {tree['id']}, num_feature {sizes['num_feature']}, size_leaf_vector {sizes['size_leaf_vector']}"
            self._add("value", i, "tree_param", found=shown(found))
        arrays: dict[str, Any] = {"num_deleted": int(sizes["num_deleted"])}
        for key, dtype in _ARRAYS.items():
            arrays[key] = _numbers(tree.get(key, np.zeros(nodes if key in _NODES else 0, dtype)), dtype)
            if arrays[key] is None:
                self._add("value", i, key, found=shown(tree[key]))
            elif key in _NODES and (len(arrays[key]) != nodes or not nodes):
                self._add("length", i, key, found=len(arrays[key]), expected=nodes)
        return arrays

    def _flat(self, key: str) -> Numbers:
        """An array of all trees in the library's own type; what does not fit into that is a fault."""
        values = np.concatenate([tree[key] for tree in self.trees])
        dtype = _ARRAYS[key]
        if issubclass(dtype, np.integer):
            limits = np.iinfo(dtype)
            outside = (values < limits.min) | (values > limits.max)
            if outside.any():
                ends = np.cumsum([len(tree[key]) for tree in self.trees])
                tree = int(np.searchsorted(ends, np.flatnonzero(outside)[0], side="right"))
                self._add("range", tree, key, found=int(values[outside][0]), low=limits.min, high=limits.max)
                return np.zeros(0, dtype)
        with np.errstate(over="ignore"):
            return values.astype(dtype)

    def _each(self, key: str, wrong: NDArray[np.bool_], name: str, **values: object) -> None:
        """A fault for each of the first nodes where something is wrong."""
        for at in np.flatnonzero(wrong)[:MOST_FAULTS]:
            found = self.flat[name][at].item()
            self._add(key, int(self.tree_of[at]), f"{name}[{self.own[at]}]", found=found, **values)

    def check_numbers(self) -> None:
        """Leaves and weights are finite; features, children and switches lie in their ranges."""
        alive, inner = ~self.deleted, ~self.deleted & ~self.leaf
        numeric = inner & (self.flat["split_type"] == 0)
        cover, limit, feature = self.flat["sum_hessian"], self.flat["split_conditions"], self.flat["split_indices"]
        self._each("number", alive & self.leaf & ~np.isfinite(limit), "split_conditions")
        self._each("number", numeric & np.isnan(limit), "split_conditions")
        self._each("number", alive & ~(np.isfinite(cover) & (cover >= 0)), "sum_hessian")
        self._each("number", inner & (cover == 0), "sum_hessian")
        self._each(
            "range", alive & ((feature < 0) | (feature >= self.width)), "split_indices", low=0, high=self.width - 1
        )
        for key in ("default_left", "split_type"):
            self._each("range", self.flat[key] > 1, key, low=0, high=1)
        self._each("range", self.deleted & (self.flat["default_left"] != 1), "default_left", low=1, high=1)
        last = self.sizes[self.tree_of] - 1
        parent = self.flat["parents"]  # the library follows those of deleted nodes too
        self._each("parents", (self.own > 0) & ((parent < 0) | (parent > last)), "parents")
        for key in ("left_children", "right_children"):
            child = self.flat[key]
            outside = np.where(self.leaf, child != -1, (child < 1) | (child > last))
            self._each("child", outside, key)

    def check_shape(self) -> None:
        """Each node is reached from its root by one path, not too deep, or is deleted and reached by none."""
        start, inner = self.start[self.tree_of], ~self.leaf
        left, right = self.flat["left_children"] + start, self.flat["right_children"] + start
        children = np.concatenate([left[inner], right[inner]])
        parent = np.full(len(self.own), NOBODY)
        parent[children] = np.concatenate([self.own[inner], self.own[inner]])
        times = np.bincount(children, minlength=len(self.own))
        self._each("parents", (times > 1) | (~self.deleted & (parent != self.flat["parents"])), "parents")
        reached = np.zeros(len(self.own), bool)
        level = self.start
        for _ in range(DEEPEST + 1):
            if self.faults or not level.size:
                break
            reached[level] = True
            level = level[inner[level]]
            level = np.concatenate([left[level], right[level]])
        else:
            self._add("deep", int(self.tree_of[level[0]]), "left_children", limit=DEEPEST)
        self.stop()
        self._each("parents", reached == self.deleted, "parents")
        counts = np.bincount(self.tree_of[self.deleted], minlength=len(self.sizes))
        for i in np.flatnonzero(counts != [tree["num_deleted"] for tree in self.trees])[:MOST_FAULTS].tolist():
            self._add("value", i, "tree_param.num_deleted", found=self.trees[i]["num_deleted"])

    def check_categories(self) -> None:
        """Each categorical node has its own stretch of categories, one after the other, none too large for a set of bits."""
        bits = 0
        nodes = np.array([len(tree["categories_nodes"]) for tree in self.trees])
        listed = np.array([len(tree["categories"]) for tree in self.trees])
        categorical = np.bincount(self.tree_of, weights=self.flat["split_type"], minlength=len(self.sizes))
        for i in np.flatnonzero((nodes > 0) | (listed > 0) | (categorical > 0)).tolist():
            tree = self.trees[i]
            values, sizes, starts = tree["categories"], tree["categories_sizes"], tree["categories_segments"]
            fits = (
                np.array_equal(tree["categories_nodes"], np.flatnonzero(tree["split_type"]))
                and len(sizes) == len(starts) == nodes[i]
                and bool((sizes > 0).all())
                and np.array_equal(starts, np.cumsum(sizes) - sizes)
                and sizes.sum() == len(values)
                and bool(((values >= 0) & (values < MOST_CATEGORIES)).all())
            )
            bits += int(np.maximum.reduceat(values, starts).sum()) if fits else 0
            if not fits or bits > MOST_CATEGORY_BITS:
                self._add("categories", i, "categories")

    def written(self) -> list[dict[str, Any]]:
        """The trees as the library writes them."""
        parts = {}
        for key, values in self.flat.items():
            parts[key] = np.split(values, np.cumsum([len(tree[key]) for tree in self.trees])[:-1])
        return [
            {key: arrays[i] for key, arrays in parts.items()}
            | {
                "id": i,
                "tree_param": {
                    "num_deleted": str(tree["num_deleted"]),
                    "num_feature": str(self.width),
                    "num_nodes": str(len(tree["parents"])),
                    "size_leaf_vector": "1",
                },
            }
            for i, tree in enumerate(self.trees)
        ]


def _numbers(values: object, dtype: type) -> Numbers | None:
    """A 1-D array of whole or of any numbers; None for whatever else a file may hold in its place."""
    if not isinstance(values, list | np.ndarray):
        return None
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError):
        return None
    if not array.size:
        return np.zeros(0, dtype)
    kinds = "iub" if issubclass(dtype, np.integer) else "iubf"
    plain = array.ndim == 1 and array.dtype.kind in kinds and array.dtype != np.uint64
    return array if plain else None
