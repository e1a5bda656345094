"""Interventional Shapley values against many background rows (Lundberg et al. 2020, algorithm 3; Janzing et al. 2020).

For one leaf of value v with path features j, a row that satisfies the leaf's conditions on the features s, and a background row that
fails those on the features z: where z is not within s, no mixture of the two rows comes by. Else, with b features not in s,

    phi_j =  v * integral of t^(|z| - 1) (1 - t)^b dt    for j in z
    phi_j = -v * integral of t^|z| (1 - t)^(b - 1) dt    for j not in s

over [0, 1]. Both depend on the rows through s and z alone, of which a leaf sees few: what occurs is counted once. Summing over all z
within s, for every s there could be, takes d 2^(d - 1) additions for each quadrature node (the zeta transform of the subsets' lattice);
where few occur, or a path is long, pairs of s and z are gone through instead. A single row has a walk of its own (`one_row.py`).
"""

from math import comb
from typing import Any

import numpy as np
from numba import njit

from workbench.schema import Floats
from workbench.trees.lanes import (
    NODES,
    ROWS,
    add,
    either,
    is_left,
    load_nodes,
    load_rows,
    pack,
    select,
    splat,
    store,
    unpack,
)
from workbench.trees.program import STRIDE, Program
from workbench.trees.shapley import levels

LONGEST = 30
"""Most features on a path: a row's conditions are the bits of one number."""
DENSE = 13
"""Up to so many features there is an array of all patterns that there could be."""
ALL = 0xFFFFFFFF


@njit(cache=True, nogil=True)
def interventional(
    program: Program, tables: Any, background: Floats, n_background: int, codes: Floats, n: int, values: Floats
) -> bool:
    """Codes of the background (C, at least n_background) and of n rows (C, at least n) -> values (F, n), added to what is there.

    `tables` are `leaf_tables()`; the codes' lengths are multiples of `ROWS`. False where a path is longer than LONGEST.
    """
    _, first, _, _, _, edges, _ = program
    deepest = levels(edges)
    known = np.full((deepest, background.shape[1] // ROWS), ALL, np.uint32)
    asked = np.full((deepest, codes.shape[1] // ROWS), ALL, np.uint32)
    path, last = np.zeros(deepest, np.int64), np.zeros(deepest, np.int64)
    failed, satisfied = np.empty(background.shape[1], np.int32), np.empty(codes.shape[1], np.int32)
    for tree in range(len(first) - 1):
        for e in range(first[tree], first[tree + 1]):
            edge = edges[e]
            path[edge.level] = e
            _satisfy(edge, background, known)
            _satisfy(edge, codes, asked)
            if not edge.is_leaf:
                continue
            d = _last(edge.level, path, edges, last)
            if d > LONGEST:
                return False
            _patterns(known, last[:d], failed)
            _patterns(asked, last[:d], satisfied)
            for i in range(n_background):
                failed[i] ^= (1 << d) - 1
            which, table = _leaf(d, failed[:n_background], satisfied[:n], tables, edge.value / n_background)
            for k in range(d):
                into = values[edges[path[last[k]]].feature]
                for i in range(len(which)):
                    into[i] += table[which[i], k]
    return True


def leaf_tables() -> tuple[Any, Floats, Floats, Floats]:
    """How many bits a byte has; (a - 1)! b! / (a + b)! at [a, b]; the n places and weights of Gauss-Legendre quadrature at [n]."""
    sizes = np.array([i.bit_count() for i in range(256)])
    weights = np.zeros((LONGEST + 1, LONGEST + 1))
    for a in range(1, LONGEST + 1):
        for b in range(LONGEST + 1 - a):
            weights[a, b] = 1 / (a * comb(a + b, a))
    places, shares = np.zeros((DENSE, DENSE)), np.zeros((DENSE, DENSE))
    for n in range(1, DENSE):
        t, w = np.polynomial.legendre.leggauss(n)
        places[n, :n], shares[n, :n] = (t + 1) / 2, w / 2
    return sizes, weights, places, shares


@njit(cache=True, nogil=True)
def _satisfy(edge: Any, codes: Floats, satisfied: Any) -> None:
    """Which rows satisfy the edge's feature so far, a bit a row."""
    flat, start, rank = codes.reshape(-1), edge.column * codes.shape[1], splat(edge.rank)
    for block in range(satisfied.shape[1]):
        bits = pack(is_left(load_rows(flat, start + block * ROWS), rank, edge.right))
        satisfied[edge.level, block] = bits & satisfied[edge.above, block]


@njit(cache=True, nogil=True)
def _last(deepest: int, path: Any, edges: Any, last: Any) -> int:
    """The levels at which the path asks for a feature for the last time; gives their number."""
    found = 0
    for k in range(1, deepest + 1):
        again = False
        for later in range(k + 1, deepest + 1):
            again = again or edges[path[later]].above == k
        if not again:
            last[found] = k
            found += 1
    return found


@njit(cache=True, nogil=True)
def _patterns(satisfied: Any, last: Any, patterns: Any) -> None:
    """A row's conditions as bits: the k-th for the k-th feature of the path."""
    none = splat(np.int32(0))
    for block in range(satisfied.shape[1]):
        pattern = none
        for k in range(len(last)):
            pattern = either(pattern, select(unpack(satisfied[last[k], block]), splat(np.int32(1 << k)), none))
        store(patterns, block * ROWS, pattern)


@njit(cache=True, nogil=True)
def _distinct(d: int, patterns: Any) -> tuple[Any, Any, Any]:
    """The patterns that occur, how often, and for each row which it is."""
    if d > DENSE:
        found = np.unique(patterns)
        which = np.searchsorted(found, patterns)
    else:
        seen = np.zeros(1 << d, np.int32)
        for pattern in patterns:
            seen[pattern] = 1
        found = np.flatnonzero(seen).astype(np.int32)
        for i in range(len(found)):
            seen[found[i]] = i
        which = np.empty(len(patterns), np.int64)
        for i in range(len(patterns)):
            which[i] = seen[patterns[i]]
    counts = np.zeros(len(found))
    for i in which:
        counts[i] += 1
    return found, counts, which


@njit(cache=True, nogil=True)
def _leaf(d: int, failed: Any, satisfied: Any, tables: Any, value: float) -> tuple[Any, Floats]:
    """For each row which line of the table holds its values; and the table, (distinct s, d)."""
    some, counts, _ = _distinct(d, failed)
    asked, _, which = _distinct(d, satisfied)
    if d > DENSE or len(some) * len(asked) < d << d:
        return which, _by_pairs(d, some, counts * value, asked, tables)
    return which, _by_sums(d, some, counts * value, asked, tables)


@njit(cache=True, nogil=True)
def _by_pairs(d: int, some: Any, amounts: Floats, asked: Any, tables: Any) -> Floats:
    sizes, weights, _, _ = tables
    table = np.zeros((len(asked), d))
    for i in range(len(asked)):
        fails, own, out = ~asked[i], table[i], 0.0
        b = d - _size(asked[i], sizes)
        for k in range(len(some)):
            if some[k] & fails == 0:
                a = _size(some[k], sizes)
                out += amounts[k] * weights[b, a]
                for j in range(d):
                    own[j] += amounts[k] * weights[a, b] * (some[k] >> j & 1)
        for j in range(d):
            own[j] -= out * (fails >> j & 1)
    return table


@njit(cache=True, nogil=True)
def _by_sums(d: int, some: Any, amounts: Floats, asked: Any, tables: Any) -> Floats:
    sizes, _, places, shares = tables
    n, width = (d + 1) // 2, -(-((d + 1) // 2) // STRIDE) * STRIDE
    sums, table = np.zeros((1 << d) * width), np.zeros((len(asked), d))
    for k in range(len(some)):
        for q in range(n):
            sums[some[k] * width + q] += amounts[k] * places[n, q] ** _size(some[k], sizes)
    for j in range(d):
        for s in range(1 << d):
            if s >> j & 1:
                for q in range(0, width, NODES):
                    to = s * width + q
                    store(sums, to, add(load_nodes(sums, to), load_nodes(sums, to - (width << j))))
    for i in range(len(asked)):
        s = asked[i]
        b = d - _size(s, sizes)
        for q in range(n):
            t, whole = places[n, q], sums[s * width + q]
            inside, outside = shares[n, q] * (1 - t) ** b / t, shares[n, q] * (1 - t) ** (b - 1) * whole
            for j in range(d):
                if s >> j & 1:
                    table[i, j] += inside * (whole - sums[(s ^ (1 << j)) * width + q])
                else:
                    table[i, j] -= outside
    return table


@njit(cache=True, nogil=True)
def _size(bits: int, sizes: Any) -> Any:
    return sizes[bits & 255] + sizes[bits >> 8 & 255] + sizes[bits >> 16 & 255] + sizes[bits >> 24 & 255]
