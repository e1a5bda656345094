"""A LightGBM model as an `Ensemble`: every split decides as the library's `Tree::NumericalDecision` and `CategoricalDecision` do.

NaN goes right at a categorical split whatever the file says of missing values, and is zero at a numeric one unless that asks for NaN.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workbench.schema import Floats
from workbench.trees.ensemble import ZERO, Category, Ensemble, Missing
from workbench.trees.forest import Forest, Whole
from workbench.trees.lightgbm_text import ModelText

CATEGORICAL, MISSING_LEFT, MISSING_TYPE = 1, 2, 2  # bits of a decision; the third is where two bits begin
LARGEST = 2**31  # a row's category is an int


def ensemble(model: ModelText) -> Ensemble:
    """The trees of a file that `check_forest` has passed; covers are the training rows that came by."""
    forest = model.forest
    decision, limit = forest.whole("decision_type"), forest.real("threshold")
    categorical = decision & CATEGORICAL > 0
    listed, sets = _sets(forest)
    numbers = np.where(categorical, listed[forest.tree_of] + limit, -1)
    return Ensemble(
        n_features=len(model.features),
        base=0.0,
        roots=np.where(forest.nodes > 0, forest.node_start, ~forest.leaf_start).astype(np.int32),
        feature=forest.whole("split_feature").astype(np.int32),
        threshold=_beside_zero(limit),
        missing=np.where(categorical, Missing.NAN, decision >> MISSING_TYPE).astype(np.uint8),
        missing_left=(decision & MISSING_LEFT > 0) & ~categorical,
        left=_children(forest, "left_child"),
        right=_children(forest, "right_child"),
        cover=forest.whole("internal_count").astype(np.float64),
        values=forest.real("leaf_value") / (len(model.trees) if model.averaged else 1),
        leaf_cover=forest.whole("leaf_count").astype(np.float64),
        category_set=numbers.astype(np.int32) if categorical.any() else None,
        sets=tuple(sets),
        category=Category.CUT,
    )


def _children(forest: Forest, key: str) -> NDArray[np.int32]:
    child = forest.whole(key)
    starts = np.where(child >= 0, forest.node_start[forest.tree_of], -forest.leaf_start[forest.tree_of])
    return (child + starts).astype(np.int32)


def _beside_zero(threshold: Floats) -> Floats:
    """The library reads values from -ZERO to ZERO as zero before it compares them: a threshold among them goes to their edge."""
    inside = (threshold >= -ZERO) & (threshold < ZERO)
    return np.where(inside, np.where(threshold >= 0, ZERO, np.nextafter(-ZERO, -1)), threshold)


def _sets(forest: Forest) -> tuple[Whole, list[Whole]]:
    """The number of each tree's first set, and all sets."""
    counts = np.array([int(tree["num_cat"]) for tree in forest.trees])
    sets = []
    for tree in np.flatnonzero(counts).tolist():
        bounds, words = forest.categories(tree)
        for first, last in pairwise(bounds.tolist()):
            filled = np.flatnonzero(words[first:last])
            bits = words[first:last][filled, None] >> np.arange(32) & 1
            members = (filled[:, None] * 32 + np.arange(32))[bits > 0]
            sets.append(members[members < LARGEST])
    return np.cumsum(counts) - counts, sets
