"""An ensemble of trees as flat arrays, in no library's own words: what every format is read into and every kernel starts from."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from workbench.schema import Floats, WordedError

Whole = NDArray[np.int32]
ZERO = float(np.float32(1e-35))
"""LightGBM takes what is no further from zero than this for zero."""


class NoEnsembleError(WordedError):
    """What the file holds cannot be written as an `Ensemble` without approximation; the message says why."""


class Missing(IntEnum):
    """What a split takes for missing; whatever is missing goes the way of `missing_left`."""

    NEVER = 0
    """NaN is read as zero."""
    ZERO = 1
    """NaN and what is no further from zero than `ZERO`."""
    NAN = 2


class Category(IntEnum):
    """How a row's value becomes the category that is looked up in a split's set; what is infinite is in none."""

    CUT = 0
    """Cut towards zero: -0.5 is category 0."""
    FLOOR = 1
    """Rounded down: -0.5 is category -1."""
    EXACT = 2
    """A whole number as it is; others are in no set."""


@dataclass(frozen=True)
class Ensemble:
    """T trees of N inner nodes and L leaves; a row's raw output is `base` and the values of the leaves that it falls into.

    A child, and a root, is an inner node's number from 0 on, or ~leaf. A row goes left where its value is at most `threshold`, or,
    at a categorical split, where its `category` is in the split's set. A strict `<` is written as `<=` the
    next smaller number; averages, learning rates and weights of trees are in the leaf values.
    """

    n_features: int
    base: float
    roots: Whole
    """(T,)"""
    feature: Whole
    """(N,)"""
    threshold: Floats
    """(N,), of no meaning at a categorical split."""
    missing: NDArray[np.uint8]
    """(N,) of `Missing`."""
    missing_left: NDArray[np.bool_]
    """(N,)"""
    left: Whole
    """(N,)"""
    right: Whole
    """(N,)"""
    cover: Floats
    """(N,) the training rows (or their weight) that came by."""
    values: Floats
    """(L,)"""
    leaf_cover: Floats
    """(L,)"""
    single: bool = False
    """Whether the library rounds a row to float32 before it compares."""
    category_set: Whole | None = None
    """(N,) number of a categorical split's set, -1 for a numeric one; None where there are none."""
    sets: tuple[NDArray[np.int64], ...] = field(default=())
    """The categories that go left, ascending; negative ones only with `EXACT`."""
    category: Category = Category.CUT

    @property
    def n_leaves(self) -> int:
        """How many leaves all trees have together."""
        return len(self.values)


def names(leaf: NDArray[np.bool_]) -> Whole:
    """What the nodes of a format that counts leaves and others together are called here, in their order."""
    return np.where(leaf, ~(np.cumsum(leaf) - 1), np.cumsum(~leaf) - 1).astype(np.int32)
