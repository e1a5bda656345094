"""A CatBoost file's trees as an `Ensemble`; covers are the weights of the leaves.

Many leaves of a symmetric tree are empty, most of them because no row could come there. What is empty as a whole becomes one leaf: all
of it holds the same value (0), and nothing else would be a share of no rows at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.schema import Floats, Message
from workbench.trees.cbm import CatBoostFile, Splits
from workbench.trees.ensemble import Ensemble, Missing, NoEnsembleError, names

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Nodes:
    """All nodes of all trees: `split` is the number of a node's question; value and cover are those of leaves until summed up."""

    roots: Indices
    split: Indices
    leaf: Flags
    left: Indices
    right: Indices
    values: Floats
    cover: Floats


def ensemble(model: CatBoostFile) -> Ensemble:
    """Raises NoEnsembleError for a file without the weights of its leaves, or with different values where no row came by."""
    splits = model.splits
    if len(splits.weights) != len(splits.values):
        raise NoEnsembleError(Message("fault.catboost.no_weights"))
    nodes = _symmetric(splits) if model.symmetric else _stepwise(splits)
    levels = list(_levels(nodes.roots, nodes.leaf, nodes))
    alike = _sum_up(nodes, levels)
    empty = nodes.cover == 0
    if not alike[empty].all():
        raise NoEnsembleError(Message("fault.catboost.empty_leaves"))
    kept, leaf = np.zeros(len(empty), bool), nodes.leaf | empty
    for level in _levels(nodes.roots, leaf, nodes):
        kept[level] = True
    called = np.zeros(len(empty), np.int32)
    called[kept] = names(leaf[kept])
    inner, ends = kept & ~leaf, kept & leaf
    feature = splits.feature[nodes.split[inner]]
    return Ensemble(
        n_features=len(model.features),
        base=splits.bias,
        roots=called[nodes.roots],
        feature=feature.astype(np.int32),
        threshold=splits.border[nodes.split[inner]].astype(np.float64),
        missing=np.full(inner.sum(), Missing.NAN, np.uint8),
        missing_left=~splits.gaps_are_largest[feature],
        left=called[nodes.left[inner]],
        right=called[nodes.right[inner]],
        cover=nodes.cover[inner],
        values=nodes.values[ends] * splits.scale,
        leaf_cover=nodes.cover[ends],
        single=True,
    )


def _symmetric(splits: Splits) -> _Nodes:
    """Each tree level by level. The root asks the last question: an answer of yes sets the highest bit of the leaf's number."""
    sizes = 2 ** (splits.depths + 1) - 1
    roots = np.cumsum(sizes) - sizes
    root, depth, start = (np.repeat(each, sizes) for each in (roots, splits.depths, splits.starts))
    own = np.arange(len(root)) - root
    level = np.frexp(own + 1)[1] - 1
    leaf = level == depth
    values, cover = np.zeros(len(root)), np.zeros(len(root))
    values[leaf], cover[leaf] = splits.values, splits.weights
    return _Nodes(roots, start + depth - 1 - level, leaf, root + 2 * own + 1, root + 2 * own + 2, values, cover)


def _stepwise(splits: Splits) -> _Nodes:
    """A node that leads nowhere is a leaf; one that leads on to one side only has its leaf on the other."""
    steps = splits.steps.astype(np.int64)
    n = len(steps)
    leaf, own = (steps == 0).all(axis=1), np.arange(n)
    halves = np.flatnonzero((steps == 0).any(axis=1) & ~leaf)
    children = own[:, None] + steps
    children[halves] = np.where(steps[halves] == 0, n + np.arange(len(halves))[:, None], children[halves])
    leaf = np.concatenate([leaf, np.ones(len(halves), bool)])
    owner = np.concatenate([own, halves])
    number = np.where(leaf, splits.leaf_of[owner], 0)
    left, right = (np.concatenate([side, halves]) for side in children.T)
    values, cover = np.where(leaf, splits.values[number], 0), np.where(leaf, splits.weights[number], 0)
    return _Nodes(splits.starts, owner, leaf, left, right, values, cover)


def _levels(roots: Indices, leaf: Flags, nodes: _Nodes) -> Iterator[Indices]:
    """The nodes by their depth, down to the leaves."""
    level = roots
    while level.size:
        yield level
        inner = level[~leaf[level]]
        level = np.concatenate([nodes.left[inner], nodes.right[inner]])


def _sum_up(nodes: _Nodes, levels: list[Indices]) -> Flags:
    """Fill in covers, and the values where all leaves below a node have the same; gives where they have."""
    alike = nodes.leaf.copy()
    for level in reversed(levels):
        at = level[~nodes.leaf[level]]
        left, right = nodes.left[at], nodes.right[at]
        nodes.cover[at] = nodes.cover[left] + nodes.cover[right]
        nodes.values[at] = nodes.values[left]
        alike[at] = alike[left] & alike[right] & (nodes.values[left] == nodes.values[right])
    return alike
