"""Rows around a row, drawn feature by feature the way LIME tabular draws them (Ribeiro, Singh and Guestrin 2016).

A feature falls into quartile bins of the background. A drawn row takes a bin by its frequency and a value in it from a normal
distribution with the bin's mean and standard deviation, cut off at its edges (the lime package's `QuartileDiscretizer`); its
switch is on where that bin is the explained row's own. All of this is one table a feature of equally probable values in
ascending order, so that a drawn row is one random place a feature: frequencies are exact, a bin's normal stands there by its
quantiles, and the switch is on between two places.

Where the lime package has no answer: missing values are a bin of their own; a bin of equal or of infinite values keeps them as
they are (lime puts 0 there); and where the background never saw the row's own bin, or knows one value only and the row another,
the row's own value is drawn one time in four, as a quartile is, for a switch that is never on explains nothing.
"""

from math import ceil, erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from workbench.schema import Floats

QUARTILES = np.array([0.25, 0.5, 0.75])
MISSING, BINS = 4, 5
OWN_SHARE = 0.25
LEAST_PLACES = 1000

# Beyond six standard deviations a table of a few thousand places has none.
NORMAL = np.linspace(-6, 6, 3073)
NORMAL_CDF = np.array([erfc(-z / sqrt(2)) / 2 for z in NORMAL])


class Neighbourhood:
    """What is drawn around row (d,) given background (b, d), b >= 1; NaN is missing.

    `table` (d, places) holds the equally probable values; the row's own are those from `first` (d,) up to before `end` (d,).
    `varying` (k,) names the features whose switch can be off; `deviations` (d, places) says where in its bin a place lies.
    """

    def __init__(self, row: Floats, background: Floats) -> None:
        x = np.sort(background.T, axis=1)  # NaN last
        edges = quartiles(x)
        bins, own = bins_of(x, edges), bins_of(row[:, None], edges)
        times = ceil(LEAST_PLACES / x.shape[1])
        self.table = undiscretize(x, bins, edges, times)
        self.first, self.end = times * (bins < own).sum(axis=1), times * (bins <= own).sum(axis=1)
        self._make_own((self.first == self.end) | ((x[:, 0] == x[:, -1]) & (row != x[:, 0])), row)
        places = self.table.shape[1]
        self.varying = np.flatnonzero(self.end - self.first < places)
        self._place = np.min_scalar_type(places)
        self._offsets = np.arange(len(row)) * places
        self.deviations = self._deviations()

    def _deviations(self) -> Floats:
        """How far each place (d, places) lies from the mean of its side, own bin or all others, a feature's root mean square as unit.

        0 where a value is missing or infinite, so that the mean of each side stays 0.
        """
        at, finite = np.arange(self.table.shape[1]), np.isfinite(self.table)
        deviations = np.where(finite, self.table, 0)
        own = (at >= self.first[:, None]) & (at < self.end[:, None])
        for side in (own & finite, ~own & finite):
            mean = np.where(side, deviations, 0).sum(axis=1) / np.maximum(side.sum(axis=1), 1)
            deviations -= np.where(side, mean[:, None], 0)
        with np.errstate(over="ignore"):
            size = np.sqrt((deviations**2).mean(axis=1, keepdims=True))
        scaled: Floats = np.divide(deviations, size, out=np.zeros_like(deviations), where=size > 0)
        return scaled

    def _make_own(self, unseen: NDArray[np.bool_], row: Floats) -> None:
        """Give the row's own value the last quarter of the places where its bin is unseen (d,), and thin out the others."""
        places = self.table.shape[1]
        others = places - int(OWN_SHARE * places)
        kept = np.linspace(0, places - 1, others).round().astype(np.intp)
        self.table[unseen, :others] = self.table[unseen][:, kept]
        self.table[unseen, others:] = row[unseen, None]
        self.first[unseen], self.end[unseen] = others, places

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_], Floats]:
        """Rows (n, d), the switches (n, k) of the features that vary: whether the row's own bin was drawn; and deviations (n, d)."""
        d, most = self.table.shape
        at = rng.integers(most, size=(n, d), dtype=self._place)
        width = (self.end - self.first).astype(self._place)
        on = at - self.first.astype(self._place) < width  # unsigned: a place below `first` comes round to far above
        places = at + self._offsets
        return self.table.ravel().take(places), on[:, self.varying], self.deviations.ravel().take(places)


def quartiles(x: Floats) -> Floats:
    """Edges (d, 3) of the observed values of x (d, b), each feature ascending with NaN last: linear percentiles."""
    observed = np.maximum((~np.isnan(x)).sum(axis=1), 1)[:, None]
    at = QUARTILES * (observed - 1)
    low = np.floor(at).astype(np.intp)
    below = np.take_along_axis(x, low, axis=1)
    above = np.take_along_axis(x, np.minimum(low + 1, observed - 1), axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        edges = below + (above - below) * (at - low)
    return np.where(np.isnan(edges), below, edges)


def bins_of(x: Floats, edges: Floats) -> NDArray[np.intp]:
    """Bin numbers (d, n) of x (d, n): how many edges (d, 3) lie below the value; 4 where it is missing."""
    above = sum((x > edge[:, None]).astype(np.intp) for edge in edges.T)
    return np.where(np.isnan(x), MISSING, above)


def undiscretize(x: Floats, bins: NDArray[np.intp], edges: Floats, times: int) -> Floats:
    """Equally probable values (d, b·times) of ascending x (d, b) in `bins` (d, b): quantiles of each bin's truncated normal."""
    d, b = x.shape
    cell = (bins + BINS * np.arange(d)[:, None]).ravel()
    count = np.bincount(cell, minlength=BINS * d)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        mean = np.bincount(cell, x.ravel(), BINS * d) / count
        std = np.sqrt(np.bincount(cell, (x.ravel() - mean[cell]) ** 2, BINS * d) / count)
        highest = np.fmax.reduce(x, axis=1)[:, None]
        low = np.hstack([x[:, :1], edges, highest]).ravel()
        high = np.hstack([edges, highest, highest]).ravel()
        below, above = (np.interp((bound - mean) / std, NORMAL, NORMAL_CDF) for bound in (low, high))
    table, cell = np.repeat(x, times, axis=1).ravel(), np.repeat(cell, times)
    normal = ((std > 0) & np.isfinite(std))[cell]
    cell = cell[normal]
    starts = np.cumsum(count) - count  # features follow each other, and bins in each
    rank = np.flatnonzero(normal) - times * starts[cell]
    share = below[cell] + (above - below)[cell] * (rank + 0.5) / (times * count[cell])
    drawn = mean[cell] + std[cell] * np.interp(share, NORMAL_CDF, NORMAL)
    table[normal] = np.clip(drawn, low[cell], high[cell])
    return table.reshape(d, b * times)
