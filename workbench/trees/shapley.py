"""The kernels that walk a `Program`: path-dependent Shapley values of many rows, or of one."""

from typing import Any

import numpy as np
from numba import njit

from workbench.schema import Floats
from workbench.trees.lanes import (
    NODES,
    ROWS,
    add,
    both,
    is_left,
    load_nodes,
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
from workbench.trees.program import HIT, LEAF, MISS, MISS_AGAIN, MISSED, Program


@njit(cache=True, nogil=True)
def batch(program: Program, codes: Any, values: Any) -> None:
    """Codes (C, n) -> Shapley values (F, n), added to what is there; n is a multiple of `ROWS`. All of the tables' type."""
    starts, _, steps, nodes, stride, edges, tables = program
    deepest, level, number = levels(edges), nodes.max() * ROWS, codes.dtype.type
    products, sums = np.ones(deepest * level, codes.dtype), np.empty(deepest * level, codes.dtype)
    satisfied = np.full(deepest, 0xFFFFFFFF, np.uint32)
    n, flat, into = codes.shape[1], codes.reshape(-1), values.reshape(-1)
    for tree in range(len(nodes)):
        width = stride[tree]
        for first in range(0, n, ROWS):
            for step in range(starts[tree], starts[tree + 1]):
                down = steps[step] >= 0
                edge = edges[steps[step] if down else ~steps[step]]
                here, parent, to = edge.level * level, (edge.level - 1) * level, edge.feature * n + first
                above, hits = unpack(satisfied[edge.above]), unpack(satisfied[edge.level])
                if down:
                    code = load_rows(flat, edge.column * n + first)
                    hits = both(above, is_left(code, splat(number(edge.rank)), edge.right))
                    satisfied[edge.level] = pack(hits)
                value = load_rows(into, to)
                total = zero(value)
                for q in range(nodes[tree]):
                    at, up = edge.tables + q, parent + q * ROWS
                    if down:
                        factor = splat(tables[at + MISS * width])
                        if edge.above > 0:
                            factor = select(above, factor, splat(tables[at + MISS_AGAIN * width]))
                        product = load_rows(products, up)
                        product = select(hits, product, multiply(product, factor))
                        if not edge.is_leaf:
                            store(products, here + q * ROWS, product)
                            continue
                        below = multiply(product, splat(tables[at + LEAF * width]))
                    else:
                        below = load_rows(sums, here + q * ROWS)
                    factor = select(hits, splat(tables[at + HIT * width]), splat(tables[at + MISSED * width]))
                    total = multiply_add(below, factor, total)
                    if edge.right:
                        below = add(load_rows(sums, up), below)
                    store(sums, up, below)
                store(into, to, add(value, select(above, total, zero(total))))


@njit(nogil=True, forceinline=True)
def levels(edges: Any) -> int:
    """How many levels the deepest tree has, the root's among them."""
    deepest = 0
    for edge in edges:
        deepest = max(deepest, edge.level)
    return deepest + 1


@njit(cache=True, nogil=True)
def single(program: Program, codes: Floats, values: Floats) -> None:
    """One row's codes (C,) -> its Shapley values (F, NODES), whose sum over the lanes is meant; added to what is there.

    The quadrature nodes stand in the lanes; those that fill up a stride have the weight zero.
    """
    starts, _, steps, nodes, stride, edges, tables = program
    level = stride.max()
    products, sums = np.ones(levels(edges) * level), np.empty(levels(edges) * level)
    satisfied = np.ones(levels(edges), np.bool_)
    into = values.reshape(-1)
    for tree in range(len(nodes)):
        width = stride[tree]
        for step in range(starts[tree], starts[tree + 1]):
            down = steps[step] >= 0
            edge = edges[steps[step] if down else ~steps[step]]
            here, parent, at = edge.level * level, (edge.level - 1) * level, edge.tables
            above = satisfied[edge.above]
            if down:
                satisfied[edge.level] = above and (codes[edge.column] <= edge.rank) != edge.right
            hits = satisfied[edge.level]
            factors = 0 if hits else at + (MISS if above else MISS_AGAIN) * width
            credited = at + (HIT if hits else MISSED) * width if above else level
            to = edge.feature * NODES
            for q in range(0, width, NODES):
                if down:
                    below = multiply(load_nodes(products, parent + q), load_nodes(tables, factors + q))
                    if not edge.is_leaf:
                        store(products, here + q, below)
                        continue
                    below = multiply(below, load_nodes(tables, at + LEAF * width + q))
                else:
                    below = load_nodes(sums, here + q)
                store(into, to, multiply_add(below, load_nodes(tables, credited + q), load_nodes(into, to)))
                if edge.right:
                    below = add(load_nodes(sums, parent + q), below)
                store(sums, parent + q, below)
