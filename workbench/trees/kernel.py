"""Exact explanations of an ensemble of trees, and its outputs, from rows in and arrays out."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench.schema import Floats
from workbench.trees.columns import columns_of, encode
from workbench.trees.ensemble import Ensemble
from workbench.trees.interactions import interactions, symmetric
from workbench.trees.interventional import interventional, leaf_tables
from workbench.trees.lanes import NODES, ROWS
from workbench.trees.one_row import one_row
from workbench.trees.outputs import outputs
from workbench.trees.program import programme
from workbench.trees.shapley import batch, single

FEW = 4
"""Rows that are explained against a background one by one."""
TILE = 512
"""Rows at a time: their codes and values stay in the second-level cache."""


class TooDeepError(Exception):
    """A path asks for more features than the interventional kernel can count."""


class TreeKernel:
    """A compiled ensemble. Raises TooLargeError where its tables would not fit into memory.

    With `dtype` float32 the Shapley values of many rows, and the interactions, are reckoned in singles: about a third faster, and
    wrong by about 1e-6 of their range; doubles by about 1e-14. A row's values do not depend on the rows beside it.
    """

    def __init__(self, ensemble: Ensemble, dtype: type = np.float64) -> None:
        self._columns, column, rank = columns_of(ensemble)
        self._program, self.base = programme(ensemble, column, rank)
        self._fast = self._program._replace(tables=self._program.tables.astype(dtype, copy=False))
        self._start = ensemble.base + ensemble.values[~ensemble.roots[ensemble.roots < 0]].sum()
        self._dtype, self.n_features = dtype, ensemble.n_features

    def predict(self, rows: Floats) -> Floats:
        """(n, d) -> raw outputs (n,), summed in the trees' order, trees of a single leaf before all others."""
        found = np.empty(len(rows))
        for part, codes in self._tiles(rows, np.float64, TILE):
            total = np.full(codes.shape[1], self._start)
            outputs(self._program, codes, total)
            found[part] = total[: part.stop - part.start]
        return found

    def contributions(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n, d) -> path-dependent Shapley values (n, d) and base values (n,) (Lundberg et al. 2020).

        One row alone takes a kernel of its own, in doubles, whose last digits differ.
        """
        found = np.empty((len(rows), self.n_features))
        if len(rows) == 1:
            values = np.zeros((self.n_features, NODES))
            single(self._program, self._encoded(rows, np.float64, 1)[:, 0].copy(), values)
            found[0] = values.sum(axis=1)
        else:
            for part, codes in self._tiles(rows, self._dtype, TILE):
                tile = np.zeros((self.n_features, codes.shape[1]), self._dtype)
                batch(self._fast, codes, tile)
                found[part] = tile[:, : part.stop - part.start].T
        return found, np.full(len(rows), self.base)

    def interactions(self, rows: Floats) -> Iterator[tuple[slice, Floats]]:
        """(n, d) -> for a few rows at a time, which they are, and their Shapley interaction values (k, d, d)."""
        for part, codes in self._tiles(rows, self._dtype, ROWS):
            pairs: Any = np.zeros((self.n_features**2, ROWS), self._dtype)
            interactions(self._fast, codes, pairs)
            values: Any = np.zeros((self.n_features, ROWS), self._dtype)
            batch(self._fast, codes, values)
            yield part, symmetric(pairs, values[:, : part.stop - part.start].T)

    def interventional(self, rows: Floats, background: Floats) -> tuple[Floats, Floats]:
        """(n, d) against background rows (m, d) -> interventional Shapley values (n, d) and base values (n,).

        Raises TooDeepError for more than FEW rows where a path asks for more than thirty features.
        """
        known, values = self._encoded(background, np.float64, ROWS), np.zeros((len(rows), self.n_features))
        if len(rows) <= FEW:
            for codes, own in zip(self._encoded(rows, np.float64, 1).T.copy(), values, strict=False):
                lanes = np.zeros((self.n_features, ROWS))
                one_row(self._program, known, codes, len(background), lanes)
                own[:] = lanes.sum(axis=1) / len(background)
        else:
            found, asked = values.T.copy(), self._encoded(rows, np.float64, ROWS)
            if not interventional(self._program, leaf_tables(), known, len(background), asked, len(rows), found):
                raise TooDeepError
            values = found.T
        return values, np.full(len(rows), self.predict(background).mean())

    def _encoded(self, rows: Floats, dtype: type, multiple: int) -> Any:
        codes: Any = np.zeros((len(self._columns.feature), -(-len(rows) // multiple) * multiple), dtype)
        # Of one kind, writable ones: for another, numba would compile while somebody waits.
        encode(self._columns, np.require(rows, np.float64, ["C", "W"]), codes)
        return codes

    def _tiles(self, rows: Floats, dtype: type, size: int) -> Iterator[tuple[slice, Any]]:
        for first in range(0, len(rows), size):
            part = slice(first, min(first + size, len(rows)))
            yield part, self._encoded(rows[part], dtype, ROWS)
