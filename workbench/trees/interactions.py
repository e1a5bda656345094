"""Shapley interaction values (Lundberg et al. 2020), path-dependent, rows in the lanes.

For two features of a leaf's path, in the words of `program.py`:

    Phi_ij = Phi_ji = v / 2 (s_i - r_i) (s_j - r_j) * integral of prod_{k != i, j} (t s_k + (1 - t) r_k) dt
"""

from typing import Any

import numpy as np
from numba import njit

from workbench.schema import Floats
from workbench.trees.lanes import (
    ROWS,
    add,
    both,
    is_left,
    load_rows,
    multiply,
    multiply_add,
    pack,
    select,
    splat,
    store,
    unpack,
    zero,
)
from workbench.trees.program import Program
from workbench.trees.shapley import levels


@njit(cache=True, nogil=True)
def interactions(program: Program, codes: Any, values: Any) -> None:
    """Codes (C, ROWS) -> twice the interaction of features i < j at (i F + j, ROWS), added to what is there."""
    _, first, _, nodes, _, edges, tables = program
    deepest, n_features = levels(edges), round(np.sqrt(len(values)))
    level = nodes.max() * ROWS
    products, factors = np.ones(deepest * level, codes.dtype), np.empty(deepest * level, codes.dtype)
    satisfied, path = np.full(deepest, 0xFFFFFFFF, np.uint32), np.zeros(deepest, np.int64)
    features = np.empty(deepest, np.int64)
    for tree in range(len(nodes)):
        for e in range(first[tree], first[tree + 1]):
            edge = edges[e]
            path[edge.level] = e
            _down(edge, codes, satisfied, products, level, tables, nodes[tree])
            if edge.is_leaf:
                found = _factors(edge.level, path, edges, satisfied, features, factors, level, tables, nodes[tree])
                _pairs(found, features, factors, products, edge, level, tables, nodes[tree], n_features, values)


@njit(cache=True, nogil=True)
def _down(edge: Any, codes: Any, satisfied: Any, products: Any, level: int, tables: Any, nodes: int) -> None:
    """The product one edge further down."""
    here, parent, above = edge.level * level, (edge.level - 1) * level, unpack(satisfied[edge.above])
    code = load_rows(codes.reshape(-1), edge.column * ROWS)
    hits = both(above, is_left(code, splat(codes.dtype.type(edge.rank)), edge.right))
    satisfied[edge.level] = pack(hits)
    for q in range(nodes):
        product = load_rows(products, parent + q * ROWS)
        factor = select(above, splat(tables[edge.miss + q]), splat(tables[edge.miss_again + q]))
        store(products, here + q * ROWS, select(hits, product, multiply(product, factor)))


@njit(cache=True, nogil=True)
def _factors(
    deepest: int,
    path: Any,
    edges: Any,
    satisfied: Any,
    features: Any,
    factors: Any,
    level: int,
    tables: Any,
    nodes: int,
) -> int:
    """(s_j - r_j) / (t s_j + (1 - t) r_j) for the features of the path, each at the last edge that asks for it; gives their number."""
    found = 0
    for k in range(1, deepest + 1):
        edge, last = edges[path[k]], True
        for later in range(k + 1, deepest + 1):
            last = last and edges[path[later]].above != k
        if not last:
            continue
        hits, features[found] = unpack(satisfied[k]), edge.feature
        for q in range(nodes):
            hit, missed, alone = tables[edge.hit + q], tables[edge.missed + q], tables[edge.alone + q]
            store(factors, found * level + q * ROWS, select(hits, splat(alone), splat(missed + alone - hit)))
        found += 1
    return found


@njit(cache=True, nogil=True)
def _pairs(
    found: int,
    features: Any,
    factors: Any,
    products: Any,
    edge: Any,
    level: int,
    tables: Any,
    nodes: int,
    n_features: int,
    values: Any,
) -> None:
    into = values.reshape(-1)
    for q in range(nodes):
        at = edge.level * level + q * ROWS
        store(products, at, multiply(load_rows(products, at), splat(tables[edge.leaf + q])))
    for a in range(found):
        for b in range(a):
            low, high = min(features[a], features[b]), max(features[a], features[b])
            to = (low * n_features + high) * ROWS
            value = load_rows(into, to)
            total = zero(value)
            for q in range(nodes):
                factor = multiply(load_rows(factors, a * level + q * ROWS), load_rows(factors, b * level + q * ROWS))
                total = multiply_add(load_rows(products, edge.level * level + q * ROWS), factor, total)
            store(into, to, add(value, total))


def symmetric(pairs: Floats, values: Floats) -> Floats:
    """What `interactions` found, (F F, n), and the Shapley values (n, F) -> (n, F, F), rows and columns of which add up to the values."""
    n, d = values.shape
    upper = pairs.reshape(d, d, -1)[:, :, :n].transpose(2, 0, 1) / 2
    whole = upper + upper.transpose(0, 2, 1)
    whole[:, range(d), range(d)] = values - whole.sum(axis=2)
    return whole
