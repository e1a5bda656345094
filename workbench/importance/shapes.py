"""What is drawn of all rows without a mark for each: swarms, dependence and the course through time, binned from every row."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.importance.blocks import Ints
from workbench.importance.measures import MISSING, thirds
from workbench.schema import Floats

SWARM_BINS = 72
ACROSS, UP = 48, 36
CURVE = 16
MONTHS, QUARTERS = 72, 360
"""Up to how many months a panel is cut into months, and into quarters."""
PARTNER_BINS = 20
SETTLED = 1e-12


@dataclass(frozen=True)
class Swarm:
    """One feature's values φ: `edges` (m + 1,) in the output's units, `counts` (m, 4) rows in each by the third that the feature was in."""

    edges: Floats
    counts: Ints


@dataclass(frozen=True)
class Dependence:
    """φ of one feature against its value, binned; `missing` rows hold no value.

    `cells`: x0, x1, y0, y1, rows in it. `curves`: third of `partner`'s values, mean x, mean φ, 10 and 90 % quantiles of φ, rows.
    """

    feature: int
    partner: int | None
    cells: tuple[tuple[float, float, float, float, int], ...]
    curves: tuple[tuple[int, float, float, float, float, int], ...]
    missing: int


@dataclass(frozen=True)
class Periods:
    """Mean φ (m, d) and mean |φ| (m, d) in calendar months, quarters or years (`unit` M, Q, Y), by their first day; `rows` (m,)."""

    unit: str
    starts: pd.DatetimeIndex
    mean: Floats
    size: Floats
    rows: Ints


def swarms(values: Floats, X: Floats) -> list[Swarm]:
    """A swarm a column of values (n, d), all on the same bins, coloured by the columns of X (n, d)."""
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high if high > low else low + 1.0, SWARM_BINS + 1)
    return [Swarm(edges, _counts(column, thirds(x), edges)) for column, x in zip(values.T, X.T, strict=True)]


def _counts(column: Floats, third: Ints, edges: Floats) -> Ints:
    place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, len(edges) - 2)
    flat = np.bincount(place * (MISSING + 1) + third, minlength=(len(edges) - 1) * (MISSING + 1))
    return flat.reshape(-1, MISSING + 1).astype(np.intp)


def dependence(values: Floats, X: Floats, feature: int, partner: int | None = None) -> Dependence:
    """How φ of `feature` (n,) goes with its value, in each third of the `partner` (default: who explains most of what is left)."""
    known = np.isfinite(X[:, feature])
    x, y = X[known, feature], values[known, feature]
    other = partner if partner is not None else strongest_partner(values, X, feature)
    third = np.ones(len(x), np.intp) if other is None else thirds(X[known, other])
    curves = [
        (int(each), *_summary(x[rows], y[rows]))
        for each in np.unique(third)
        for rows in _equal_bins(x, np.flatnonzero(third == each))
    ]
    return Dependence(feature, other, _cells(x, y), tuple(curves), int((~known).sum()))


def _equal_bins(x: Floats, rows: Ints) -> list[Ints]:
    """Rows in order of x, in bins of about as many each; equal values stay together."""
    ranks = pd.Series(x[rows]).rank(method="min").to_numpy()
    bins = (ranks - 1) * CURVE // len(rows)
    return [rows[bins == each] for each in np.unique(bins)]


def _summary(x: Floats, y: Floats) -> tuple[float, float, float, float, int]:
    low, high = np.quantile(y, [0.1, 0.9])
    return float(x.mean()), float(y.mean()), float(low), float(high), len(x)


def _cells(x: Floats, y: Floats) -> tuple[tuple[float, float, float, float, int], ...]:
    if not len(x):
        return ()
    counts, across, up = np.histogram2d(x, y, bins=(ACROSS, UP))
    held = np.argwhere(counts > 0)
    return tuple(
        (float(across[i]), float(across[i + 1]), float(up[j]), float(up[j + 1]), int(counts[i, j])) for i, j in held
    )


def strongest_partner(values: Floats, X: Floats, feature: int) -> int | None:
    """The feature that goes furthest with φ of `feature` among rows of like value; None where nothing is left to explain.

    Largest sum of |covariance| in each of twenty bins of the feature's value, over both sizes: of φ and the other's ranks, as
    `shap.approximate_interactions` looks for it; a guess that interaction values replace where there are any.
    """
    known = np.isfinite(X[:, feature])
    if known.sum() <= PARTNER_BINS:
        return None
    ranks = pd.DataFrame(X[known]).rank()
    ranks = ranks.fillna(ranks.mean()).fillna(0.0)
    bins = (ranks[feature] - 1) * PARTNER_BINS // len(ranks)
    rest = ranks.assign(phi=values[known, feature])
    rest = rest - rest.groupby(bins).transform("mean")
    own = rest.pop("phi").to_numpy()
    others = rest.to_numpy(np.float64)
    if not (own**2).sum() > SETTLED * (values[known, feature] ** 2).sum():
        return None
    place = bins.to_numpy(np.intp)
    together = np.array([np.abs(np.bincount(place, own * other)).sum() for other in others.T])
    size = np.sqrt((others**2).sum(axis=0))
    strength = together / np.where(size > 0, size, np.inf)
    strength[feature] = 0.0
    return int(strength.argmax()) if strength.max() > 0 else None


def through_time(values: Floats, times: pd.DatetimeIndex) -> Periods:
    """Means over calendar months, quarters or years, whichever is the finest that still fits on a page."""
    months = (times[-1].year - times[0].year) * 12 + times[-1].month - times[0].month + 1
    unit = "M" if months <= MONTHS else "Q" if months <= QUARTERS else "Y"
    period = times.to_period(unit)
    firsts = np.flatnonzero(np.r_[True, period[1:] != period[:-1]])
    rows = np.diff(np.r_[firsts, len(times)])
    mean, size = (np.add.reduceat(each, firsts, axis=0) / rows[:, None] for each in (values, np.abs(values)))
    return Periods(unit, period[firsts].to_timestamp(), mean, size, rows.astype(np.intp))
