"""The raw output of a forest: rows in the lanes, a bit a row for who comes by; what nobody comes by is skipped."""

import numpy as np
from numba import njit

from workbench.schema import Floats
from workbench.trees.lanes import ROWS, add, is_left, load_rows, pack, select, splat, store, unpack, zero
from workbench.trees.program import Program
from workbench.trees.shapley import levels


@njit(cache=True, nogil=True)
def outputs(program: Program, codes: Floats, values: Floats) -> None:
    """Codes (C, n) -> the trees' values (n,), added in the trees' order to what is there; n is a multiple of `ROWS`."""
    starts, _, steps, _, _, edges, _ = program
    here = np.full(levels(edges), 0xFFFFFFFF, np.uint32)
    n, flat = codes.shape[1], codes.reshape(-1)
    for tree in range(len(starts) - 1):
        for row in range(0, n, ROWS):
            total = load_rows(values, row)
            step = starts[tree]
            while step < starts[tree + 1]:
                e = steps[step]
                step += 1
                if e < 0:
                    continue
                edge = edges[e]
                code = load_rows(flat, edge.column * n + row)
                bits = here[edge.level - 1] & pack(is_left(code, splat(edge.rank), edge.right))
                here[edge.level] = bits
                if edge.is_leaf:
                    total = add(total, select(unpack(bits), splat(edge.value), zero(total)))
                if bits == 0:
                    step = edge.beyond
            store(values, row, total)
