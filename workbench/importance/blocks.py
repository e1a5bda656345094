"""How far a mean over a panel may be off, where neighbouring decisions say much the same: a moving-block bootstrap of decision times.

All rows of a date are drawn together, and dates in blocks of consecutive ones (Künsch 1989; circular: Politis and Romano 1992). Rows
count as many only as far as they are independent of each other: twenty days that share a 20-day label are hardly more than one.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t

from workbench.schema import Floats

Ints = NDArray[np.intp]

LEVEL, NORMAL = 0.95, 1.959964
DRAWS = 999
LONGER = 3
"""Times Politis and White's length: theirs makes the standard error's own error smallest, intervals are right with longer blocks and
quantiles of t (Lazarus, Lewis, Stock and Watson 2018, JBES 36, 541-559). tests/bench/importance.py shows the difference."""
FEWEST_BLOCKS = 4
FEWEST_TIMES = 20
CELLS = 2_000_000


@dataclass(frozen=True)
class Means:
    """Means (k,) with their standard error and 95 % interval (k,), in the units of what was averaged; NaN where times are too few.

    The error says how far the mean would move on another stretch of the same weather, the models held fixed; it knows nothing of how
    another fit of the model would differ.
    """

    value: Floats
    std_error: Floats
    low: Floats
    high: Floats

    def within(self, low: float, high: float) -> "Means":
        """The same, the interval cut to where such a mean can be."""
        return replace(self, low=np.clip(self.low, low, high), high=np.clip(self.high, low, high))


def block_length(series: Floats, least: int = 1) -> int:
    """Times a block for series (T, k): the longest need of the columns, at least `least`, at most a quarter of T.

    Three times the length of Politis and White (2004; Patton, Politis and White 2009) for circular blocks.
    """
    from arch.bootstrap import optimal_block_length  # noqa: PLC0415 - takes two seconds, and numba along

    moving = series[:, np.ptp(series, axis=0) > 0]
    needed = 1.0
    if len(series) >= FEWEST_TIMES and moving.shape[1]:
        needed = float(optimal_block_length(pd.DataFrame(moving))["circular"].max())
    return int(np.clip(np.ceil(LONGER * needed), least, max(len(series) // FEWEST_BLOCKS, 1)))


@dataclass(frozen=True)
class Blocks:
    """Draws of blocks of decision times. `firsts` (T,): the first row of each time, rows in order of time; `starts` (draws, blocks)."""

    firsts: Ints
    rows: int
    length: int
    starts: Ints

    @property
    def times(self) -> int:
        """How many decision times there are."""
        return len(self.firsts)

    @property
    def stretches(self) -> float:
        """How many blocks fill the panel: the count behind the error bars."""
        return self.times / self.length

    @cached_property
    def _finite(self) -> float:
        """√(T / (T - b)): deviations are from the sample's own mean, as n - 1 for a standard deviation."""
        return float(np.sqrt(self.times / (self.times - self.length))) if self.times > self.length else np.nan

    @cached_property
    def stretch(self) -> float:
        """What makes a draw's deviation as wide as the interval: the finite sample's factor and t's quantile over the normal one."""
        freedom = self.stretches - 1
        quantile = t.ppf((1 + LEVEL) / 2, freedom) if self.times >= FEWEST_TIMES else np.nan
        return float(quantile / NORMAL * self._finite)

    def sums(self, x: Floats) -> Floats:
        """(draws, k): the sums over the drawn rows of x (n, k)."""
        by_time = np.add.reduceat(x, self.firsts, axis=0)
        running = np.zeros((self.times + self.length + 1, x.shape[1]))
        np.cumsum(np.concatenate([by_time, by_time[: self.length]]), axis=0, out=running[1:])
        blocks = self.starts.shape[1]
        lengths = np.full(blocks, self.length)
        lengths[-1] = self.times - self.length * (blocks - 1)
        some = max(CELLS // (blocks * x.shape[1]), 1)
        parts = np.split(self.starts, range(some, len(self.starts), some))
        return np.concatenate([(running[part + lengths] - running[part]).sum(axis=1) for part in parts])

    def means(self, x: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
        """Means (k,) over the rows of x (n, k), and those of each draw (draws, k); `weight` (n,) 0 leaves a row out.

        A draw that holds none of the weight is NaN.
        """
        weights = np.ones((self.rows, 1)) if weight is None else weight[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = self.sums(x * weights) / np.where((total := self.sums(weights)) > 0, total, np.nan)
            return (x * weights).sum(axis=0) / weights.sum(), drawn

    def interval(self, value: Floats, drawn: Floats) -> Means:
        """`value` (k,) ± the draws' standard deviation, times t's quantile of as many degrees of freedom as blocks less one."""
        known = np.isfinite(drawn).all(axis=1)
        enough = 2 * known.sum() > len(drawn)  # else the draws that can be used are a choice
        spread = drawn[known].std(axis=0, ddof=1) if enough else np.full(len(value), np.nan)
        half = NORMAL * self.stretch * spread
        error = self._finite * spread + 0 * half  # unknown where the interval is
        return Means(value, error, value - half, value + half)


def blocks_of(times: pd.DatetimeIndex, x: Floats, least: int = 1, *, draws: int = DRAWS, seed: int = 0) -> Blocks:
    """Blocks for rows at `times` (n,), in order, as long as the persistence of the dates' means of x (n, k) asks for."""
    firsts = np.flatnonzero(np.r_[True, times[1:] != times[:-1]])
    counts = np.diff(np.r_[firsts, len(times)])[:, None]
    length = block_length(np.add.reduceat(x, firsts, axis=0) / counts, least)
    size = (draws, -(-len(firsts) // length))
    return Blocks(firsts, len(times), length, np.random.default_rng(seed).integers(0, len(firsts), size))
