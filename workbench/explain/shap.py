"""Interventional Shapley values of any model, as exact as the time allows: sampled first, summed over all coalitions where that fits.

One draw is a background row and a random order of the features, walked forwards and backwards (antithetic pairs: Mitchell et al. 2022,
section 3), which leaves interactions of two features without noise. Each draw takes the next background row, so that orders and background
are averaged by the same calls of `predict`; the background rows are strata of a finite population (Cochran 1977, chapters 5 and 7): visited
once, a row stands for itself, and what is left of the error is the noise of the orders.
"""

from collections.abc import Callable, Iterator
from math import factorial

import numpy as np
from numpy.typing import NDArray

from workbench.budget import Deadline
from workbench.model import Estimate, Model
from workbench.schema import Floats

WEIGHED = False
BACKGROUND_ROWS = 100
# Rows a call of `predict`: enough to make its overhead small, few enough to stay in the processor's cache.
CHUNK = 1024
LEAST_STRATA = 10
MOST_EXACT = 12
# A batch takes this share of the time that was spent, within bounds, and at most that share of what is left.
SHARE_OF_SPENT, SHORTEST_MS, LONGEST_MS, SHARE_OF_REST = 0.5, 2.0, 50.0, 0.25
# Settled: every standard error is below this share of the largest contribution.
PRECISION = 0.005
ENOUGH_DRAWS = 30
UNREPEATED, ENOUGH_REPEATED = 30, 4
# What a feature that never moved may still have moved, in draws of the average feature.
DOUBT = 0.25
EPSILON = float(np.finfo(np.float64).eps)


def applies(model: Model) -> bool:
    """Any model that predicts."""
    del model
    return True


def explain(
    model: Model, row: Floats, background: Floats, deadline: Deadline, rng: np.random.Generator
) -> Iterator[Estimate]:
    """Yield averages with standard errors until they have settled; the exact values where all coalitions fit into the time.

    Row (d,), background (b, d). An interval of 1.96 standard errors covers 95 %, also for few draws. The base value is what the values leave
    of the prediction: the mean prediction over the background once every row of it was used.
    """
    predict = model.predict
    prediction = float(predict(row[None])[0])
    strata, visits = Strata(background, len(row)), _visits(len(background), rng)
    batch = 2
    while True:
        started = deadline.elapsed_ms()
        at = np.fromiter(visits, np.intp, batch)
        strata.add(at, draw(predict, row, background[at], prediction, rng))
        spent = deadline.elapsed_ms()
        cost = max(spent - started, 1e-3) / batch
        rows = len(background) << len(row)
        if len(row) <= MOST_EXACT and rows * cost / (2 * len(row)) < deadline.left_ms() / 2:
            yield strata.estimate(prediction)
            yield exact(predict, row, background)
            return
        estimate = strata.estimate(prediction)
        yield estimate
        wanted = min(max(SHARE_OF_SPENT * spent, SHORTEST_MS), LONGEST_MS)
        batch = max(int(min(wanted, SHARE_OF_REST * deadline.left_ms()) / cost), 1)
        if estimate.settled or SHARE_OF_REST * deadline.left_ms() < cost:
            return


def _visits(rows: int, rng: np.random.Generator) -> Iterator[int]:
    """Background rows in random order, over and over; in the first round, after a while, an earlier one once more after each new.

    Only draws that share a row can tell the noise of the orders from the differences between the rows.
    """
    order = rng.permutation(rows)
    for i, new in enumerate(order):
        yield new
        if i >= UNREPEATED:
            yield order[i - UNREPEATED]
    yield from order[max(rows - UNREPEATED, 0) :]
    while True:
        yield from rng.permutation(rows)


def draw(
    predict: Callable[[Floats], Floats], row: Floats, origins: Floats, prediction: float, rng: np.random.Generator
) -> Floats:
    """Marginal contributions (n, d), each the mean of a random order and its reverse, on the way from `origins` (n, d) to the row."""
    n, d = origins.shape
    rank = np.argsort(rng.random((n, d)), axis=1)  # feature j is switched as number rank[j]
    worth = np.empty((n, 2 * d - 1))
    some = max(CHUNK // (2 * d - 1), 1)
    rows = np.empty((some, 2 * d - 1, d))
    for i in range(0, n, some):
        here = rows[: min(some, n - i)]
        _walk(here, row, origins[i : i + some], rank[i : i + some])
        worth[i : i + some] = predict(here.reshape(-1, d)).reshape(len(here), -1)
    start, end = worth[:, :1], np.full((n, 1), prediction)
    up = np.diff(np.concatenate([start, worth[:, 1:d], end], axis=1), axis=1)
    # Those not switched after so many steps, read backwards, are the reversed order.
    down = -np.diff(np.concatenate([end, worth[:, d:], start], axis=1), axis=1)
    return np.asarray(np.take_along_axis((up + down) / 2, rank, axis=1))


def _walk(rows: Floats, row: Floats, origins: Floats, rank: NDArray[np.intp]) -> None:
    """Fill `rows` (n, 2 d - 1, d): the origin, then the row switched in step by step, then each of these the other way round."""
    d = len(row)
    switched = rank.astype(np.int16)[:, None, :] < np.arange(1, d, dtype=np.int16)[:, None]
    before = origins[:, None, :]
    rows[:, :1] = before
    rows[:, 1:d] = np.where(switched, row, before)
    rows[:, d:] = np.where(switched, before, row)


class Strata:
    """Draws by the background row that they started from, and what they say together."""

    def __init__(self, background: Floats, d: int) -> None:
        self.background, self.population = background, len(background)
        self.count = np.zeros(self.population)
        self.total = np.zeros((self.population, d))
        self.squares = np.zeros((self.population, d))

    def add(self, at: NDArray[np.intp], draws: Floats) -> None:
        """Take in draws (n, d) from the background rows `at` (n,)."""
        np.add.at(self.count, at, 1)
        np.add.at(self.total, at, draws)
        np.add.at(self.squares, at, draws**2)

    def estimate(self, prediction: float) -> Estimate:
        """The mean over the strata that were visited, with its standard errors."""
        seen = self.count > 0
        means, count = self.total[seen] / self.count[seen, None], self.count[seen, None]
        within = np.maximum(self.squares[seen] / count - means**2, 0) * count / np.maximum(count - 1, 1)
        shift, wider = np.zeros(means.shape[1]), np.ones(means.shape[1])
        if LEAST_STRATA <= len(means) < self.population:
            means, shift, wider = self._regressed(means, seen)
        values = means.mean(axis=0) + shift
        draws = int(count.sum())
        rounding = EPSILON * (abs(prediction) + float(np.abs(values).max()))  # 0 is for what is exact
        error = np.maximum(self._error(means, count, within) * wider, rounding)
        settled = draws >= ENOUGH_DRAWS and bool(error.max() <= PRECISION * np.abs(values).max())
        base = prediction - float(values.sum())
        return Estimate(values, base, error, exact=False, settled=settled, samples=draws)

    def _regressed(self, means: Floats, seen: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
        """The regression estimator: a feature's contribution moves with its background value, whose mean over all rows is known.

        Gives the means (v, d) without what that explains, what to add to their mean (d,), and by how much the error of the slope widens
        the standard error (d,). Cochran (1977), chapter 7.
        """
        origins = self.background[seen]
        apart = origins - origins.mean(axis=0)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            slope = (apart * means).sum(axis=0) / (apart**2).sum(axis=0)
            way = self.background.mean(axis=0) - origins.mean(axis=0)
            wider = np.sqrt(1 + len(means) * way**2 / (apart**2).sum(axis=0))
            rest = means - slope * apart
        # Not so for constant columns, or where values are missing.
        known = np.isfinite(slope) & np.isfinite(rest).all(axis=0)
        return np.where(known, rest, means), np.where(known, slope * way, 0.0), np.where(known, wider, 1.0)

    def _error(self, means: Floats, count: Floats, within: Floats) -> Floats:
        """Standard errors (d,): strata not yet seen are as far apart as the seen, those seen err by the noise of the orders alone.

        Means (v, d) and variances within (v, d) of the strata that were seen, and how often each was (v, 1). Cochran (1977), section 10.3,
        two-stage sampling; degrees of freedom by Satterthwaite (1946).
        """
        strata, share = len(means), len(means) / self.population
        apart = max(strata - (2 if LEAST_STRATA <= strata < self.population else 1), 1)
        distance = (means - means.mean(axis=0)) ** 2
        among = _doubted(distance.sum(axis=0) / apart, strata)
        twice = count[:, 0] > 1
        if twice.sum() < ENOUGH_REPEATED and (strata < self.population or not twice.any()):
            return np.sqrt(among / strata) * _student(np.full_like(among, apart))
        unseen = (1 - share) * among / strata
        total, degrees = _noise(within[twice], count[twice], distance[twice], distance[~twice])
        noise = share * total / strata**2
        freedom = (unseen + noise) ** 2 / np.maximum(unseen**2 / apart + noise**2 / degrees, 1e-300)
        return np.asarray(np.sqrt(unseen + noise) * _student(np.maximum(freedom, 1.0)))


def _noise(within: Floats, count: Floats, distance: Floats, others: Floats) -> tuple[Floats, Floats]:
    """The sum over strata of their means' variances (d,), and its degrees of freedom (d,).

    `within` (k, d) is known for strata visited more than once. A stratum visited once may be one of the noisiest: where those are the ones
    far from the rest, its distance (squared, `others`) says so (ratio estimator); at least it is as noisy as the average.
    """
    sum_within = within.sum(axis=0)
    average = len(others) * sum_within / len(within)
    by_distance = others.sum(axis=0) * sum_within / np.maximum(distance.sum(axis=0), 1e-300)
    total = (within / count).sum(axis=0) + np.maximum(average, by_distance)
    # Few strata may hold most of the noise; E[w²] = σ⁴ (ν + 2) / ν of each, ν = count - 1.
    degrees = sum_within**2 / np.maximum((within**2 / (count + 1)).sum(axis=0), 1e-300)
    return _doubted(total, int(count.sum())), np.maximum(degrees, 1.0)


def _doubted(variance: Floats, draws: int) -> Floats:
    return np.asarray(variance + DOUBT * variance.mean() / draws)


def _student(freedom: Floats) -> Floats:
    """Student's 97.5 % point over the normal one (Abramowitz and Stegun 26.7.5).

    >>> (1.959964 * _student(np.array([4.0, 10.0, 1000.0]))).round(2).tolist()
    [2.77, 2.23, 1.96]
    """
    z, n = 1.959964, freedom
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return np.asarray((z + g1 / n + g2 / n**2 + g3 / n**3) / z)


def exact(predict: Callable[[Floats], Floats], row: Floats, background: Floats) -> Estimate:
    """The sum over all coalitions (Shapley 1953), each worth its mean prediction over the background; 2^d b predictions."""
    d = len(row)
    switched = (np.arange(1 << d)[:, None] >> np.arange(d) & 1).astype(bool)
    worth = np.array([predict(np.where(known, row, background)).mean() for known in switched])
    size = switched.sum(axis=1)
    weight = np.array([factorial(s) * factorial(d - s - 1) / factorial(d) for s in range(d)])
    values = np.empty(d)
    for j in range(d):
        without = np.flatnonzero(~switched[:, j])
        values[j] = np.sum(weight[size[without]] * (worth[without | 1 << j] - worth[without]))
    return Estimate(values, float(worth[0]), np.zeros(d), exact=True, settled=True, samples=len(switched))
