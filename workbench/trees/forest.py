"""The shape of a LightGBM forest: index ranges, parents, depth and categories, checked for all trees at once.

Takes the sections of a model file, whose lines and lengths `lightgbm_text.py` has checked, as flat arrays: each check is one vector
operation over the whole model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.schema import BadInputError, Fault, Floats

DEEPEST = 1000  # TreeSHAP's scratch space grows with the square of the depth
MOST_FAULTS = 20
MOST_ROWS = 2**31 - 1
# Bit 0: categorical; bit 1: missing goes left; bits 2 and 3: what counts as missing (0, 1 or 2).
HIGHEST_DECISION = 11

Whole = NDArray[np.int64]


def check_forest(forest: "Forest", n_features: int) -> None:
    """Raise `BadInputError` (at most 20 faults) unless every walk through every tree ends in a leaf that is there."""
    forest.check_numbers(n_features)
    forest.stop()
    forest.check_categories()
    forest.check_children()
    forest.stop()
    forest.check_shape()
    forest.stop()


class Forest:
    """All trees as flat arrays; faults gather until `stop`."""

    def __init__(self, file: str, trees: Sequence[Mapping[str, str]]) -> None:
        self.file, self.trees = file, trees
        self.faults: list[Fault] = []
        self._read: dict[str, NDArray[Any]] = {}
        self.leaves = np.array([int(tree["num_leaves"]) for tree in trees])
        self.nodes = self.leaves - 1
        self.leaf_start = np.concatenate([[0], np.cumsum(self.leaves)[:-1]])
        self.node_start = np.concatenate([[0], np.cumsum(self.nodes)[:-1]])
        self.tree_of_leaf = np.repeat(np.arange(len(trees)), self.leaves)
        self.tree_of = np.repeat(np.arange(len(trees)), self.nodes)
        self.own = np.arange(len(self.tree_of)) - self.node_start[self.tree_of]

    def stop(self) -> None:
        """Raise what has gathered."""
        if self.faults:
            raise BadInputError(self.faults[:MOST_FAULTS])

    def real(self, key: str) -> Floats:
        """The numbers of all trees under this key, read once."""
        return self._flat(key, np.float64)

    def whole(self, key: str) -> Whole:
        """The same for whole numbers."""
        return self._flat(key, np.int64)

    def _flat(self, key: str, dtype: type) -> NDArray[Any]:
        if key not in self._read:
            line = " ".join(filter(None, (tree[key] for tree in self.trees)))
            self._read[key] = np.fromstring(line, dtype, sep=" ")
        return self._read[key]

    def categories(self, tree: int) -> tuple[Whole, Whole]:
        """Where the sets of a tree with categories begin and end, and their bits, 32 a word."""
        section = self.trees[tree]
        bounds = np.fromstring(section["cat_boundaries"], np.int64, sep=" ")
        return bounds, np.fromstring(section.get("cat_threshold", ""), np.int64, sep=" ")

    def _add(self, key: str, tree: int, place: str, **values: object) -> None:
        self.faults.append(Fault(f"fault.lightgbm.{key}", self.file, f"Tree={tree} {place}", values=values))

    def check_numbers(self, n_features: int) -> None:
        """Leaves are finite; features, decisions and counts lie in their ranges."""
        for key, owner in (("leaf_value", self.tree_of_leaf), ("shrinkage", np.arange(len(self.trees)))):
            for at in np.flatnonzero(~np.isfinite(self.real(key)))[:MOST_FAULTS]:
                self._add("number", int(owner[at]), key, found="inf")
        for key, owner, low, high in (
            ("split_feature", self.tree_of, 0, n_features - 1),
            ("decision_type", self.tree_of, 0, HIGHEST_DECISION),
            ("internal_count", self.tree_of, 1, MOST_ROWS),
            ("leaf_count", self.tree_of_leaf, 1, MOST_ROWS),
        ):
            values, alone = self.whole(key), (self.leaves == 1)[owner]  # a bagged tree of one leaf has counted no rows
            for at in np.flatnonzero((values < low - alone) | (values > high))[:MOST_FAULTS]:
                self._add("range", int(owner[at]), key, found=int(values[at]), low=low, high=high)

    def check_categories(self) -> None:
        """A categorical node's threshold is an index into its tree's bit sets, and these are there."""
        threshold, categorical = self.real("threshold"), self.whole("decision_type") % 2 == 1
        sets = np.array([int(tree["num_cat"]) for tree in self.trees])
        inside = (threshold >= 0) & (threshold < sets[self.tree_of]) & (np.trunc(threshold) == threshold)
        for at in np.flatnonzero(categorical & ~inside)[:MOST_FAULTS]:
            high = int(sets[self.tree_of[at]]) - 1
            self._add("range", int(self.tree_of[at]), "threshold", found=float(threshold[at]), low=0, high=high)
        for i in np.flatnonzero(sets).tolist():
            bounds, words = self.categories(i)
            rising = bounds[0] == 0 and bool((np.diff(bounds) > 0).all())
            if not (rising and bounds[-1] == len(words) and ((words >= 0) & (words < 2**32)).all()):
                self._add("categories", i, "cat_boundaries")

    def check_children(self) -> None:
        """A child is a later node or a leaf of its tree."""
        for key in ("left_child", "right_child"):
            child = self.whole(key)
            later = (child > self.own) & (child < self.nodes[self.tree_of])
            inside = np.where(child >= 0, later, ~child < self.leaves[self.tree_of])
            for at in np.flatnonzero(~inside)[:MOST_FAULTS]:
                self._add("child", int(self.tree_of[at]), key, node=int(self.own[at]), found=int(child[at]))

    def check_shape(self) -> None:
        """Each leaf, and each node but the root, has exactly one parent, and no path is too deep."""
        children = np.concatenate([self.whole("left_child"), self.whole("right_child")])
        tree_of = np.concatenate([self.tree_of, self.tree_of])
        target = np.where(children >= 0, self.node_start[tree_of] + children, -1 - self.leaf_start[tree_of] - ~children)
        parents = np.bincount(target[target >= 0], minlength=len(self.own))
        for at in np.flatnonzero(parents != (self.own > 0))[:MOST_FAULTS]:
            self._add("parents", int(self.tree_of[at]), "left_child", node=int(self.own[at]), found=int(parents[at]))
        above = np.bincount(-1 - target[target < 0], minlength=int(self.leaves.sum()))
        for at in np.flatnonzero(above != (self.leaves > 1)[self.tree_of_leaf])[:MOST_FAULTS]:
            tree = int(self.tree_of_leaf[at])
            self._add("parents", tree, "left_child", node=-1 - int(at - self.leaf_start[tree]), found=int(above[at]))
        if self.faults:
            return
        left, right = np.split(target, 2)
        level = self.node_start[self.nodes > 0]
        for _ in range(DEEPEST):
            level = np.concatenate([left[level], right[level]])
            level = level[level >= 0]
            if not level.size:
                return
        self._add("deep", int(self.tree_of[level[0]]), "left_child", limit=DEEPEST)
