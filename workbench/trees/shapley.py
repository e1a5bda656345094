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
from workbench.trees.program import Program


@njit(cache=True, nogil=True)
def batch(program: Program, codes: Any, values: Any) -> None:
    """Codes (C, n) -> Shapley values (F, n), added to what is there; n is a multiple of `ROWS`. All of the tables' type."""
    starts, _, steps, nodes, _, edges, tables = program
    deepest, level, number = levels(edges), nodes.max() * ROWS, codes.dtype.type
    products, sums = np.ones(deepest * level, codes.dtype), np.empty(deepest * level, codes.dtype)
    satisfied = np.full(deepest, 0xFFFFFFFF, np.uint32)
    n, flat, into = codes.shape[1], codes.reshape(-1), values.reshape(-1)
    for tree in range(len(nodes)):
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
                    up = parent + q * ROWS
                    if down:
                        factor = splat(tables[edge.miss + q])
                        if edge.above > 0:
                            factor = select(above, factor, splat(tables[edge.miss_again + q]))
                        product = load_rows(products, up)
                        product = select(hits, product, multiply(product, factor))
                        if not edge.is_leaf:
                            store(products, here + q * ROWS, product)
                            continue
                        below = multiply(product, splat(tables[edge.leaf + q]))
                    else:
                        below = load_rows(sums, here + q * ROWS)
                    factor = select(hits, splat(tables[edge.hit + q]), splat(tables[edge.missed + q]))
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

    The quadrature nodes stand in the lanes; those that fill up a stride have the weight zero. Products go down a tree in one sweep,
    sums come up in another: a walk would turn at every step in ways that no processor guesses, as it comes by each tree only once.
    """
    _, first, _, _, stride, edges, tables = program
    most, widest = np.diff(first).max() + 1, stride.max()
    products, sums, satisfied = np.ones(most * widest), np.zeros(most * widest), np.ones(most, np.bool_)
    into = values.reshape(-1)
    for tree in range(len(stride)):
        width, start, n = stride[tree], first[tree], first[tree + 1] - first[tree]
        for i in range(1, n + 1):
            edge = edges[start + i - 1]
            above, here, parent = satisfied[edge.asked], i * widest, edge.parent * widest
            hits = above & ((codes[edge.column] <= edge.rank) ^ edge.right)
            satisfied[i] = hits
            # What is read in any case can be chosen from without a turn.
            miss, again = edge.miss, edge.miss_again
            factors = 0 if hits else miss if above else again
            for q in range(0, width, NODES):
                product = multiply(load_nodes(products, parent + q), load_nodes(tables, factors + q))
                store(products, here + q, product)
                store(sums, here + q, multiply(product, load_nodes(tables, edge.leaf + q)))
        for i in range(n, 0, -1):
            edge = edges[start + i - 1]
            here, parent, to = i * widest, edge.parent * widest, edge.feature * NODES
            hit, missed, hits, above = edge.hit, edge.missed, satisfied[i], satisfied[edge.asked]
            credited = hit if hits else missed if above else widest
            for q in range(0, width, NODES):
                below = load_nodes(sums, here + q)
                store(into, to, multiply_add(below, load_nodes(tables, credited + q), load_nodes(into, to)))
                store(sums, parent + q, add(load_nodes(sums, parent + q), below))
