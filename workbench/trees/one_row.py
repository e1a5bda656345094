"""Interventional Shapley values of one row: the background's rows stand in the lanes of a walk.

In the words of `interventional.py`, what a leaf adds depends on a = |z| and b alone, which are counted on the way down: a lane by lane, b
for all. Coming back, two sums are enough, of the leaves' values times the weight of a feature in z, and times that of one not in s.
Where no row of the background and the explained one together could come by, nothing is gone into.
"""

import numpy as np
from numba import njit

from workbench.schema import Floats
from workbench.trees.interventional import ALL
from workbench.trees.lanes import (
    ROWS,
    add,
    add_whole,
    is_left,
    load_rows,
    pack,
    select,
    splat,
    store,
    subtract,
    unpack,
)
from workbench.trees.program import Program
from workbench.trees.shapley import levels


@njit(cache=True, nogil=True)
def one_row(program: Program, codes: Floats, row: Floats, n: int, values: Floats) -> None:
    """Codes of n background rows (C, at least n) and of the row (C,) -> n times its values (F, ROWS), whose sum over the lanes is meant."""
    starts, _, steps, _, _, edges, _ = program
    deepest, m, flat, into = levels(edges), codes.shape[1], codes.reshape(-1), values.reshape(-1)
    known, alive = np.full(deepest, ALL, np.uint32), np.full(deepest, ALL, np.uint32)
    hits, b, a = np.ones(deepest, np.bool_), np.zeros(deepest, np.int64), np.zeros(deepest * ROWS, np.int32)
    weights, brought, kept = _weights(deepest), np.zeros(deepest * ROWS), np.zeros(deepest * ROWS)
    nobody, nothing = np.uint32(0), splat(0.0)
    for tree in range(len(starts) - 1):
        for first in range(0, m, ROWS):
            alive[0] = ALL if first + ROWS <= n else (1 << (n - first)) - 1
            step = starts[tree]
            while step < starts[tree + 1]:
                down = steps[step] >= 0
                edge = edges[steps[step] if down else ~steps[step]]
                k, before, to, step = edge.level, known[edge.above], edge.feature * ROWS, step + 1
                if down:
                    hits[k] = hits[edge.above] and (row[edge.column] <= edge.rank) != edge.right
                    code = load_rows(flat, edge.column * m + first)
                    known[k] = before & pack(is_left(code, splat(edge.rank), edge.right))
                    alive[k] = alive[k - 1] & (np.uint32(ALL) if hits[k] else known[k])
                    b[k] = b[k - 1] + (hits[edge.above] and not hits[k])
                    more = select(
                        unpack(before & ~known[k] if hits[k] else nobody), splat(np.int32(1)), splat(np.int32(0))
                    )
                    store(a, k * ROWS, add_whole(load_rows(a, (k - 1) * ROWS), more))
                    if alive[k] != 0 and not edge.is_leaf:
                        continue
                    step = edge.beyond
                    for i in range(k * ROWS, (k + 1) * ROWS):
                        brought[i], kept[i] = edge.value * weights[a[i], b[k]], edge.value * weights[b[k], a[i]]
                # Rows that cannot come by count for nothing, here as at the leaves.
                mine = select(unpack(alive[k]), load_rows(brought, k * ROWS), nothing)
                theirs = select(unpack(alive[k]), load_rows(kept, k * ROWS), nothing)
                if hits[k]:
                    store(into, to, add(load_rows(into, to), select(unpack(before & ~known[k]), mine, nothing)))
                elif hits[edge.above]:
                    store(into, to, subtract(load_rows(into, to), select(unpack(known[k]), theirs, nothing)))
                parent = (k - 1) * ROWS
                store(brought, parent, add(mine, load_rows(brought, parent)) if edge.right else mine)
                store(kept, parent, add(theirs, load_rows(kept, parent)) if edge.right else theirs)


@njit(cache=True, nogil=True)
def _weights(n: int) -> Floats:
    """(n, n) of (a - 1)! b! / (a + b)! at [a, b]."""
    weights = np.zeros((n, n))
    for a in range(1, n):
        weights[a, 0] = 1 / a
        for b in range(1, n):
            weights[a, b] = weights[a, b - 1] * b / (a + b)
    return weights
