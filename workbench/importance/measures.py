"""What is measured with an error bar: importance of features and of groups of them, in each regime, and of pairs.

Values (n, d) are exact Shapley values φ in the units of the model's output, rows in order of time. None of these is a test against zero:
mean |φ| is positive for whatever a model uses at all, noise included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

from workbench.importance.blocks import LEVEL, NORMAL, Blocks, Ints, Means
from workbench.schema import Floats

TERCILES = 3
LOW, MIDDLE, HIGH, MISSING = range(4)


@dataclass(frozen=True)
class Importance:
    """Features by mean |φ| (output's units; Lundberg and others 2020, Nat. Mach. Intell. 2, 56-67) and its share of the sum (0..1).

    `rank` (d,) counts from 1; it stays between `rank_low` and `rank_high` in 95 % of the draws.
    """

    mean: Means
    share: Means
    rank: Ints
    rank_low: Ints
    rank_high: Ints

    @property
    def order(self) -> Ints:
        """Positions of the features, the most important one first."""
        return np.argsort(self.rank)


@dataclass(frozen=True)
class Groups:
    """Groups of features: `share` (k,) of the sum of mean |φ|, as a mandate's cap counts it, and `net`, mean |Σφ| over the group.

    `net` is smaller than the sum of its features' importances where they pull against each other.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    share: Means
    net: Means


@dataclass(frozen=True)
class Regimes:
    """Shares of mean |φ| in each third of the values of one feature: `share` low, middle, high, each (d,).

    `difference` is high less low (H0: 0, where its interval holds it, nothing was shown); both from the same draws.
    """

    by: str
    edges: tuple[float, float]
    rows: tuple[int, ...]
    share: tuple[Means, ...]
    difference: Means


@dataclass(frozen=True)
class Pairs:
    """Pairs of features (i, j), the strongest first, and mean |φ_ij + φ_ji| in the output's units."""

    pairs: tuple[tuple[int, int], ...]
    mean: Means


def importance(values: Floats, blocks: Blocks) -> Importance:
    """Mean |φ| of each column of values (n, d), its share and its rank."""
    mean, drawn = blocks.means(np.abs(values))
    share, shares = _shares(mean, drawn)
    widened = mean + blocks.stretch * (drawn - mean)
    known = np.isfinite(widened).all()
    low, high = (np.quantile(_ranks(widened), q, axis=0, method="nearest") for q in (0.025, 0.975))
    rank = _ranks(mean[None])[0]
    return Importance(
        blocks.interval(mean, drawn).within(0, np.inf),
        blocks.interval(share, shares).within(0, 1),
        rank,
        (np.minimum(low, rank) if known else np.ones_like(rank)).astype(np.intp),
        (np.maximum(high, rank) if known else np.full_like(rank, len(rank))).astype(np.intp),
    )


def _shares(mean: Floats, drawn: Floats) -> tuple[Floats, Floats]:
    """Each over the sum; 0 where a model leans on nothing."""
    whole, wholes = mean.sum(), drawn.sum(axis=1, keepdims=True)
    return mean / (whole or 1.0), drawn / np.where(wholes == 0, 1.0, wholes)


def _ranks(means: Floats) -> Ints:
    """(draws, d) from 1, the largest first, equals in the features' order."""
    return np.argsort(np.argsort(-means, axis=1, kind="stable"), axis=1, kind="stable") + 1


def groups(values: Floats, labels: Sequence[str], blocks: Blocks) -> Groups:
    """Importance of the groups of columns of values (n, d) that `labels` (d,) name, the largest share first."""
    names, member = np.unique(np.asarray(labels), return_inverse=True)
    belongs = np.eye(len(names))[member]
    mean, drawn = blocks.means(np.abs(values))
    share, shares = _shares(mean @ belongs, drawn @ belongs)
    net = blocks.means(np.abs(values @ belongs))
    order = np.argsort(-share, kind="stable")
    return Groups(
        tuple(str(names[i]) for i in order),
        tuple(int(belongs[:, i].sum()) for i in order),
        blocks.interval(share[order], shares[:, order]).within(0, 1),
        blocks.interval(net[0][order], net[1][:, order]).within(0, np.inf),
    )


def thirds(x: Floats) -> Ints:
    """(n,) which third of the ranks each value of x (n,) is in: LOW, MIDDLE, HIGH, or MISSING where it is NaN; equals share a rank.

    >>> thirds(np.array([5.0, 1.0, 3.0, np.nan])).tolist()
    [2, 0, 1, 3]
    """
    place = pd.Series(x).rank().to_numpy() - 0.5
    known = np.isfinite(place)
    third = np.full(len(x), MISSING)
    third[known] = np.minimum(place[known] * TERCILES // known.sum(), HIGH)
    return third.astype(np.intp)


def regimes(values: Floats, state: Floats, by: str, blocks: Blocks) -> Regimes | None:
    """Importance in each third of `state` (n,), the feature `by` at the decision; None where a third is empty."""
    third = thirds(state)
    rows = tuple(int((third == each).sum()) for each in range(TERCILES))
    if min(rows) == 0:
        return None
    found = [_shares(*blocks.means(np.abs(values), (third == each).astype(float))) for each in range(TERCILES)]
    (low, lows), _, (high, highs) = found
    return Regimes(
        by=by,
        edges=(float(state[third == LOW].max()), float(state[third == MIDDLE].max())),
        rows=rows,
        share=tuple(blocks.interval(share, drawn).within(0, 1) for share, drawn in found),
        difference=blocks.interval(high - low, highs - lows),
    )


def pairs(means: Floats, weights: Floats, most: int = 15) -> Pairs:
    """The `most` strongest pairs by mean |φ_ij + φ_ji|, from means (b, d, d) of |φ_ij| over b stretches of time of `weights` (b,) rows.

    φ_ij is half of a pair's interaction, as shap and XGBoost split it (Lundberg and others 2020). The error is that of batch means: the
    stretches' own spread, with t's quantile of b - 1 degrees of freedom; NaN for a single stretch.
    """
    rows, columns = np.triu_indices(means.shape[1], 1)
    halves = means[:, rows, columns] + means[:, columns, rows]
    share = weights / weights.sum()
    value = share @ halves
    order = np.argsort(-value, kind="stable")[:most]
    freedom = len(means) - 1
    spread = (
        np.sqrt((share**2) @ (halves - value) ** 2 * len(means) / freedom) if freedom else np.full(len(value), np.nan)
    )
    half = (t.ppf((1 + LEVEL) / 2, freedom) if freedom else NORMAL) * spread
    found = Means(value[order], spread[order], (value - half)[order], (value + half)[order]).within(0, np.inf)
    return Pairs(tuple((int(rows[i]), int(columns[i])) for i in order), found)
