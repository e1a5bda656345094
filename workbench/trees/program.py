"""A forest written out as a walk, with all that its Shapley values need tabled along the way.

Path-dependent Shapley values of one leaf of value v with path features j, where s_j in {0, 1} says whether the row satisfies the
leaf's conditions on j and r_j which share of the training cover does:

    phi_j = v (s_j - r_j) * integral over t in [0, 1] of prod_{i != j} (t s_i + (1 - t) r_i)

The integrand is a polynomial of degree d - 1, so Gauss-Legendre quadrature with ceil(d / 2) nodes is exact (Quadrature-TreeSHAP,
arXiv 2605.04497). Leaves share their paths: going down, products are carried along; coming back, sums over the leaves below. A
feature that comes up again on a path replaces its earlier condition, and is credited with the difference (Linear TreeSHAP, Yu et
al. 2022). Products are of factors relative to those of a row that satisfies the whole path, so that none is above one.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.schema import Floats
from workbench.trees.ensemble import Ensemble, Whole

STRIDE = 4
"""Tables hold a multiple of so many nodes."""
LARGEST = 1 << 27
"""Most numbers in the tables of a forest: 1 GB of doubles."""
ROUNDING = 1e-12
"""How far the shares of a split's two sides may add up to something else than one."""
EDGE = np.dtype(
    [
        # Where in the tables the numbers of an edge begin, one for each quadrature node.
        ("miss", np.int32),  # the product's factor where the row no longer satisfies the edge's feature, but did above
        ("miss_again", np.int32),  # the same where it did not above either: the feature's share has become smaller
        ("hit", np.int32),  # the factor of the sum below for the feature's value where the row satisfies it
        ("missed", np.int32),  # the same where it does not, but did above; where it did not above, nothing is added
        ("alone", np.int32),  # as `hit`, without what the edge above was credited with: for interactions
        (
            "leaf",
            np.int32,
        ),  # the leaf's value, the node's weight, the factors of a row that satisfies its whole path; else zeros
        ("level", np.int32),  # how many edges from the root
        ("above", np.int32),  # the level of the nearest edge above that asks for the same feature; 0 for none
        ("parent", np.int32),  # which edge of the tree it hangs on, counted from 1; 0 for the root
        ("asked", np.int32),  # which edge of the tree asks for the same feature above, counted from 1; 0 for none
        ("column", np.int32),
        ("feature", np.int32),
        ("beyond", np.int32),  # the first step that is done with it and all that hangs below
        ("right", np.bool_),
        ("is_leaf", np.bool_),
        ("rank", np.float64),
        ("value", np.float64),  # of a leaf
    ],
    align=True,
)


class Program(NamedTuple):
    """Every node but the roots hangs on an edge; a walk goes over them tree by tree."""

    starts: NDArray[np.int64]
    """(T + 1,) where a tree's steps begin."""
    first: NDArray[np.int64]
    """(T + 1,) a tree's first edge."""
    steps: Whole
    """An edge's number where it is gone down, ~number where it is gone back up; leaves' edges are only gone down."""
    nodes: Whole
    """(T,) quadrature nodes of a tree."""
    stride: Whole
    """(T,) their number rounded up to a multiple of STRIDE."""
    edges: NDArray[np.void]
    """(E,) of EDGE."""
    tables: Floats
    """Ones, and zeros, as many as the largest stride; -1 / (1 - t) for each number of nodes; then the edges' own."""


class TooLargeError(Exception):
    """The tables would not fit into memory; the library's own way is left."""


def programme(ensemble: Ensemble, column: Whole, rank: Floats) -> tuple[Program, float]:
    """The walk, and the base value: the mean output over the training cover. `column` and `rank` (N,) are of the inner nodes.

    Raises TooLargeError.
    """
    starts, steps, node, right, level, above, distinct, parent, asked = _unfold(
        ensemble.roots, ensemble.feature, ensemble.left, ensemble.right
    )
    tree, child = _tree_of(starts, steps), np.where(right, ensemble.right[node], ensemble.left[node])
    degree = np.zeros(len(ensemble.roots), np.int32)
    np.maximum.at(degree, tree, distinct)
    nodes = (degree + 1) // 2
    stride = (-(-nodes // STRIDE) * STRIDE).astype(np.int32)
    edges = np.zeros(len(node), EDGE)
    edges["rank"], edges["column"], edges["feature"] = rank[node], column[node], ensemble.feature[node]
    edges["level"], edges["above"], edges["right"], edges["is_leaf"] = level, above, right, child < 0
    edges["parent"], edges["asked"] = parent, asked
    edges["value"], edges["beyond"] = np.where(child < 0, ensemble.values[~np.minimum(child, -1)], 0), _beyond(steps)
    tables = _laid_out(edges, nodes[tree], stride[tree])
    first = np.concatenate([[0], np.cumsum(steps >= 0)])[starts]
    program = Program(starts, first, steps, nodes, stride, edges, tables)
    part = _parts(ensemble, node, child)
    means = _means(program, part)
    # A constant moves no Shapley value where shares add up; left in, floats would lose digits over it.
    ragged = tree[np.abs(np.bincount(node, part)[node] - 1) > ROUNDING]
    centres = np.where(np.isin(np.arange(len(means)), ragged), 0, means)
    _fill(program, part, centres, *_rules(nodes))
    return program, float(ensemble.base + ensemble.values[~ensemble.roots[ensemble.roots < 0]].sum() + means.sum())


def _laid_out(edges: NDArray[np.void], nodes: Whole, stride: Whole) -> Floats:
    """The tables, empty but for their head, and the edges' places in them; `nodes` and `stride` (E,) are those of the edges' trees.

    Only what an edge needs has a place of its own, in the order in which it is read: a large forest does not fit into any cache.
    """
    widest, counts = int(stride.max(initial=0)), np.unique(nodes)
    again, is_leaf = edges["above"] > 0, edges["is_leaf"]
    begin = (2 + len(counts)) * widest
    places: NDArray[np.int64] = begin + np.cumsum(stride * (2 + is_leaf + 3 * again), dtype=np.int64)
    end = int(places.max(initial=begin))
    if end > LARGEST:
        raise TooLargeError
    tables = np.zeros(end)
    tables[:widest] = 1
    for i, n in enumerate(counts.tolist()):
        t, _ = np.polynomial.legendre.leggauss(n)
        tables[(2 + i) * widest : (2 + i) * widest + n] = -2 / (1 - t)
    places -= stride * (2 + is_leaf + 3 * again)
    edges["miss"], edges["hit"] = places, places + stride
    edges["leaf"] = np.where(is_leaf, places + 2 * stride, widest)
    own = places + (2 + is_leaf) * stride
    edges["miss_again"] = np.where(again, own, edges["miss"])
    edges["missed"] = np.where(again, own + stride, (2 + np.searchsorted(counts, nodes)) * widest)
    edges["alone"] = np.where(again, own + 2 * stride, edges["hit"])
    return tables


def _parts(ensemble: Ensemble, node: Whole, child: Whole) -> Floats:
    """(E,) which part of the training cover of its node goes down an edge; none where there is no cover."""
    covers = np.concatenate([ensemble.cover, ensemble.leaf_cover[::-1]])  # a leaf's name counts from the end
    whole = ensemble.cover[node]
    part: Floats = np.divide(covers[child], whole, out=np.zeros(len(node)), where=whole > 0)
    return part


def _tree_of(starts: NDArray[np.int64], steps: Whole) -> NDArray[np.int64]:
    """(E,) the tree of each edge: edges are numbered in the order in which they are gone down."""
    return np.searchsorted(starts, np.flatnonzero(steps >= 0), side="right") - 1


def _beyond(steps: Whole) -> Whole:
    """(E,) the number of the first step that is done with an edge and all that hangs below."""
    beyond = np.flatnonzero(steps >= 0) + 1
    up = np.flatnonzero(steps < 0)
    beyond[~steps[up]] = up + 1
    return beyond.astype(np.int32)


def _rules(nodes: Whole) -> tuple[Floats, Floats]:
    """(T, most nodes) places in [0, 1] and weights of Gauss-Legendre quadrature."""
    most = max(int(nodes.max(initial=0)), 1)
    places, weights = np.full((len(nodes), most), 0.5), np.zeros((len(nodes), most))
    for n in np.unique(nodes[nodes > 0]).tolist():
        t, w = np.polynomial.legendre.leggauss(n)
        places[nodes == n, :n], weights[nodes == n, :n] = (t + 1) / 2, w / 2
    return places, weights


@njit(cache=True, nogil=True)
def _unfold(roots: Whole, feature: Whole, left: Whole, right: Whole) -> tuple[Any, ...]:
    """Depth first, left before right: starts and steps; each edge's node, side, level, level above; distinct features down to it."""
    n = len(feature)
    starts, steps = np.zeros(len(roots) + 1, np.int64), np.empty(3 * n, np.int32)
    edges, side = np.empty((6, 2 * n), np.int32), np.empty(2 * n, np.bool_)
    node, level, above, distinct, parent, asked = edges[0], edges[1], edges[2], edges[3], edges[4], edges[5]
    # The path from the root: at [k] the node reached at level k, the edge to it, how many of its sides were seen.
    path, edge_to, seen = np.zeros(n + 2, np.int32), np.zeros(n + 2, np.int32), np.zeros(n + 2, np.int32)
    edge, step = 0, 0
    for tree in range(len(roots)):
        starts[tree], first = step, edge
        path[0], seen[0] = roots[tree], 0
        k = 0 if roots[tree] >= 0 else -1
        while k >= 0:
            here = path[k]
            if seen[k] > 1:
                if k > 0:
                    steps[step] = ~edge_to[k]
                    step += 1
                k -= 1
                continue
            up = k
            while up > 0 and feature[node[edge_to[up]]] != feature[here]:
                up -= 1
            node[edge], level[edge], above[edge], side[edge] = here, k + 1, up, seen[k] > 0
            parent[edge], asked[edge] = edge_to[k] - first + 1 if k > 0 else 0, edge_to[up] - first + 1 if up > 0 else 0
            distinct[edge] = (distinct[edge_to[k]] if k > 0 else 0) + (up == 0)
            steps[step] = edge
            step += 1
            child = right[here] if seen[k] > 0 else left[here]
            seen[k] += 1
            if child >= 0:
                k += 1
                path[k], edge_to[k], seen[k] = child, edge, 0
            edge += 1
    starts[len(roots)] = step
    return starts, steps[:step], node, side, level, above, distinct, parent, asked


@njit(cache=True, nogil=True)
def _means(program: Program, part: Floats) -> Floats:
    """(T,) the trees' mean values over the training cover."""
    _, first, _, nodes, _, edges, _ = program
    deepest = edges["level"].max() if len(edges) else 0
    means, reach = np.zeros(len(nodes)), np.ones(deepest + 1)
    for tree in range(len(nodes)):
        for e in range(first[tree], first[tree + 1]):
            k = edges[e].level
            reach[k] = reach[k - 1] * part[e]
            means[tree] += reach[k] * edges[e].value
    return means


@njit(cache=True, nogil=True)
def _fill(program: Program, part: Floats, centres: Floats, places: Floats, weights: Floats) -> None:
    """The tables, in place, of leaf values less their tree's centre."""
    _, first, _, nodes, _, edges, tables = program
    deepest = edges["level"].max() if len(edges) else 0
    # Down to a level: the factors of a row that satisfies the path, and the share of the cover that satisfies the level's feature.
    path, share = np.ones((deepest + 1, places.shape[1])), np.ones(deepest + 1)
    for tree in range(len(nodes)):
        for e in range(first[tree], first[tree + 1]):
            edge = edges[e]
            k, up, again = edge.level, share[edge.above], edge.above > 0
            r = up * part[e]
            share[k] = r
            for q in range(nodes[tree]):
                t = places[tree, q]
                satisfied, before = t + (1 - t) * r, t + (1 - t) * up
                tables[edge.miss + q] = (1 - t) * r / satisfied
                tables[edge.hit + q] = (1 - r) / satisfied
                path[k, q] = path[k - 1, q] * (satisfied / before if again else satisfied)
                if edge.is_leaf:
                    tables[edge.leaf + q] = (edge.value - centres[tree]) * weights[tree, q] * path[k, q]
                if again:
                    tables[edge.miss_again + q] = part[e] * before / satisfied
                    tables[edge.alone + q] = tables[edge.hit + q]
                    tables[edge.hit + q] -= (1 - up) / before
                    tables[edge.missed + q] = -1 / (1 - t) - (1 - up) / before
