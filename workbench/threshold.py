"""Does a 0/1 answer break at a threshold of x, where, and by how much? Logistic threshold regression under dependence in time.

Model: logit P(y = 1) = smooth(x) + γ covariate + β 1[x > τ], smooth a natural cubic spline in log(1 + x) with four knots at Harrell's
quantiles. H0 is β = 0 at every τ: a smooth decline, of whatever bend, is no break.

* Test: the largest studentised efficient score over τ (Andrews 1993). Its null distribution comes from flipping the signs of whole
  blocks' scores, the wild bootstrap of Hansen (1996) and Kline and Santos (2012), so that decisions of a block may depend on each other.
* Place: profile likelihood over τ, each step a quadratic expansion at the last best τ. Interval: all τ whose likelihood ratio is at
  most Hansen's (2000) 7.35, which is conservative for large steps; blocks do not matter for it, as the decisions near τ are of many days.
* Drop: 1 - p_above / p_below, the covariate held at its distribution. Interval: moving-block bootstrap that seeks τ anew each time
  (Künsch 1989); log ratio ± t times its standard deviation, since percentiles from a few dozen blocks are too narrow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from workbench.schema import Floats

Ints = NDArray[np.intp]

LEVEL = 0.01
"""Of the test. Below the 5 % that is promised, because the promise also covers smooth curves that a spline of four knots fits badly."""
POWER = 0.8
MOST = 300
"""Candidate thresholds."""
FLIPS, DRAWS = 1999, 200
HANSEN = -2 * float(np.log(1 - np.sqrt(0.95)))
Z2 = float(norm.ppf(0.975) ** 2)
KNOTS = (0.05, 0.35, 0.65, 0.95)
RIDGE = 0.01
"""A weak pull of each coefficient towards none, which keeps a side without a single yes finite."""
BLOCKS = 25
"""Blocks are made longer only as long as this many remain."""
CELLS = 500_000
"""Decisions times resamples that are worked on at once."""
ENOUGH = 1e-5


@dataclass(frozen=True)
class Threshold:
    """The break: its p-value, place, rates on both sides, drop (negative: a rise), each with a 95 % interval; the trend's p-value and sign.

    `smallest` is the smallest drop at `at_reference` that the test would have seen with a power of 80 %.
    """

    p_value: float
    at: float
    at_interval: tuple[float, float]
    below: float
    above: float
    drop: float
    drop_interval: tuple[float, float]
    trend: float
    trend_p_value: float
    smallest: float
    at_reference: float


@dataclass(frozen=True)
class Sides:
    """Candidate thresholds τ (k,), rising, and how many of them each x lies above (n,): x > τ_j where above > j."""

    at: Floats
    above: Ints

    def sums(self, units: Ints, values: Floats) -> Floats:
        """(units, k) sums of `values` (n,) over what lies above each threshold."""
        width, count = len(self.at) + 1, int(units.max()) + 1
        cells = np.bincount(units * width + self.above, values, count * width).reshape(count, width)
        summed: Floats = cells[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        return summed


def candidates(x: Floats, least: int) -> Sides:
    """Midpoints between neighbouring distinct values that leave at least `least` on either side; at most 300, even in rank."""
    ordered = np.sort(x)
    last = np.flatnonzero(np.diff(ordered) > 0)
    last = last[(last + 1 >= least) & (len(x) - last - 1 >= least)]
    if len(last) > MOST:
        last = last[np.linspace(0, len(last) - 1, MOST).round().astype(int)]
    at = (ordered[last] + ordered[last + 1]) / 2
    return Sides(at, np.searchsorted(at, x))


def spline(x: Floats) -> Floats:
    """(n, 3) natural cubic spline of log(1 + x); fewer columns where ties leave fewer knots."""
    z = standardised(np.log1p(x))
    knots = np.unique(np.quantile(z, KNOTS))
    columns = [z]
    if len(knots) > 2:  # noqa: PLR2004 - a line needs no bend
        cubes = [np.maximum(z - knot, 0) ** 3 for knot in knots]
        gap = knots[-1] - knots[-2]
        for knot, cube in zip(knots[:-2], cubes[:-2], strict=True):
            tail = cubes[-2] * (knots[-1] - knot) - cubes[-1] * (knots[-2] - knot)
            columns.append(standardised(cube - tail / gap))
    return np.column_stack(columns)


def standardised(x: Floats) -> Floats:
    """Mean 0 and standard deviation 1; a constant becomes 0."""
    spread = x.std()
    return (x - x.mean()) / spread if spread > 0 else np.zeros_like(x)


def expit(eta: Floats) -> Floats:
    """1 / (1 + e^-η)."""
    p: Floats = 1 / (1 + np.exp(-np.clip(eta, -30, 30)))
    return p


def fit(
    X: Floats, y: Floats, step: Floats | None = None, weights: Floats | None = None, start: Floats | float = 0.0
) -> Floats:
    """Logistic regressions by Newton's method, all at once: y (n,) on X (n, q) and each row of `step` (m, n) -> coefficients (m, q + 1).

    `weights` (m, n); `start` where the search begins. Without `step` there is one regression, on X alone: (1, q).
    """
    ones = np.ones((1 if step is None else len(step), len(y)))
    weights, q = ones if weights is None else weights, X.shape[1]
    width = q if step is None else q + 1
    products = (X[:, :, None] * X[:, None, :]).reshape(len(y), -1)
    beta = np.zeros((len(ones), width)) + start
    for _ in range(25):
        eta = beta[:, :q] @ X.T + (0 if step is None else step * beta[:, -1:])
        p = expit(eta)
        w, residual = weights * p * (1 - p), weights * (y - p)
        hessian, gradient = np.empty((len(ones), width, width)), np.empty((len(ones), width))
        hessian[:, :q, :q], gradient[:, :q] = (w @ products).reshape(-1, q, q), residual @ X
        if step is not None:
            behind = w * step
            hessian[:, :q, q] = hessian[:, q, :q] = behind @ X
            hessian[:, q, q], gradient[:, q] = (behind * step).sum(axis=1), (residual * step).sum(axis=1)
        change = np.linalg.solve(hessian + RIDGE * np.eye(width), (gradient - RIDGE * beta)[:, :, None])[:, :, 0]
        beta += change
        if np.abs(change).max() < ENOUGH:
            break
    return beta


def threshold(
    x: Floats, covariate: Floats, y: Floats, units: Ints, length: int, *, least: int, reference: float, seed: int = 0
) -> Threshold:
    """Test, place and size of the break of y (n,) of 0 and 1 in x (n,) ≥ 0.

    `units` (n,) numbers what goes together (days in their order, or persons) from 0 without gaps, `length` of them are a block.
    Needs at least one candidate.
    """
    rng = np.random.default_rng(seed)
    sides = candidates(x, least)
    z = standardised(covariate)
    smooth = np.column_stack([np.ones(len(y)), z, spline(x)])
    score = _score(smooth, y, sides, units // length, rng)
    place, deviance, eta, weight = _profile(smooth, y, sides, int(np.argmax(score.z)))
    inside = np.flatnonzero(deviance <= HANSEN)
    ends = sides.at[[max(inside[0] - 1, 0), min(inside[-1] + 1, len(sides.at) - 1)]]  # τ may lie between two candidates
    counts = _moving_blocks(int(units.max()) + 1, length, rng)
    again = _places(smooth, (weight * eta + y - expit(eta), weight), sides, units, counts)
    linear = np.column_stack([np.ones(len(y)), z])
    below, above = _rates(linear, y, sides, np.array([place]))[0]
    ratios = np.log(np.divide(*_rates(linear, y, sides, again, counts[:, units]).T[::-1]))
    centre, reach = np.log(above / below), t.ppf(0.975, counts.shape[1] // length - 1) * ratios.std()
    low, high = 1 - np.exp(centre + reach), 1 - np.exp(centre - reach)
    behind = y[sides.above > place]
    if not behind.any():  # a bootstrap of noes knows no yes: Wilson's bound for 0 of n
        low = min(low, 1 - Z2 / (len(behind) + Z2) / below)
    trend, trend_p_value = _trend(linear, y, np.log1p(x), units // length, rng)
    near = int(np.argmin(np.abs(sides.at - reference)))
    return Threshold(
        p_value=score.p_value,
        at=float(sides.at[place]),
        at_interval=(float(ends[0]), float(ends[1])),
        below=float(below),
        above=float(above),
        drop=float(1 - above / below),
        drop_interval=(float(low), float(high)),
        trend=trend,
        trend_p_value=trend_p_value,
        smallest=_smallest(score.error[near], score.critical, float(y[sides.above <= near].mean())),
        at_reference=float(sides.at[near]),
    )


def block_length(units: Ints) -> int:
    """Units a block: the cube root of their number, as long as 25 blocks remain."""
    count = int(units.max()) + 1
    return max(1, min(int(np.ceil(count ** (1 / 3))), count // BLOCKS))


@dataclass(frozen=True)
class _Score:
    """Score statistics |z| (k,) at each threshold, the test's p-value, the critical |z|, and the step's standard error (k,) under H0."""

    z: Floats
    p_value: float
    critical: float
    error: Floats


def _score(X: Floats, y: Floats, sides: Sides, blocks: Ints, rng: np.random.Generator) -> _Score:
    p = expit(X @ fit(X, y)[0])
    w, residual = p * (1 - p), y - p
    crossed = np.column_stack([sides.sums(blocks * 0, w * column)[0] for column in X.T])
    slope = np.linalg.solve((X * w[:, None]).T @ X + RIDGE * np.eye(X.shape[1]), crossed.T)
    own = np.column_stack([np.bincount(blocks, column * residual) for column in X.T])
    scores = sides.sums(blocks, residual) - own @ slope
    spread = np.sqrt((scores**2).sum(axis=0))
    information = sides.sums(blocks * 0, w)[0] - (crossed.T * slope).sum(axis=0)
    z = np.abs(scores.sum(axis=0)) / spread
    flipped = np.abs(rng.choice([-1.0, 1.0], (FLIPS, len(scores))) @ (scores / spread)).max(axis=1)
    critical = float(np.quantile(flipped, 1 - LEVEL))
    # |z| of sums that are not centred stays below √blocks; this is the t that it stands for
    critical /= np.sqrt(max(1 - critical**2 / len(scores), 0.05))
    return _Score(z, _share(flipped, z.max()), critical, spread / np.maximum(information, 1e-9))


def _share(null: Floats, observed: float) -> float:
    """The p-value of a resampling test (Davison and Hinkley 1997, 4.11)."""
    return float((1 + (null >= observed - 1e-12).sum()) / (1 + len(null)))


def _trend(X: Floats, y: Floats, x: Floats, blocks: Ints, rng: np.random.Generator) -> tuple[float, float]:
    """Coefficient of `x` beside X, and the p-value of the sign-flip score test of there being none."""
    coefficient = fit(X, y, (x - x.mean())[None])[0, -1]
    p = expit(X @ fit(X, y)[0])
    w = p * (1 - p)
    weighted = (X * w[:, None]).T
    left = x - X @ np.linalg.solve(weighted @ X + RIDGE * np.eye(X.shape[1]), weighted @ x)
    scores = np.bincount(blocks, left * (y - p))
    flipped = np.abs(rng.choice([-1.0, 1.0], (FLIPS, len(scores))) @ scores)
    return float(coefficient), _share(flipped, abs(scores.sum()))


def _profile(X: Floats, y: Floats, sides: Sides, place: int) -> tuple[int, Floats, Floats, Floats]:
    """Best threshold's position, the loss of 2 log L at each against it (k,), and the best fit's η and weights (n,)."""
    for _ in range(10):
        full = np.column_stack([X, sides.above > place])
        eta = full @ fit(full, y)[0]
        p = expit(eta)
        w = p * (1 - p)
        ones = np.zeros(len(y), np.intp)
        gain = _gains(X, (w * eta + y - p, w), sides, ones, np.ones((1, 1)))[0]
        best = int(np.argmax(gain))
        if best == place:
            break
        place = best
    return place, gain.max() - gain, eta, w


def _gains(X: Floats, working: tuple[Floats, Floats], sides: Sides, units: Ints, counts: Floats) -> Floats:
    """(m, k) gain of 2 log L by a step at each threshold, quadratic in η, each unit counted `counts` (m, units) times.

    `working` are weight times working response, and weights (n,).
    """
    response, w = working
    q = range(X.shape[1])
    products = np.stack([np.bincount(units, w * X[:, i] * X[:, j]) for i in q for j in q])
    inverse = np.linalg.inv((counts @ products.T).reshape(-1, len(q), len(q)) + RIDGE * np.eye(len(q)))
    simple = counts @ np.stack([np.bincount(units, column * response) for column in X.T]).T
    crossed = np.stack([counts @ sides.sums(units, w * column) for column in X.T], axis=2)
    slope = crossed @ inverse
    score = counts @ sides.sums(units, response) - (slope @ simple[:, :, None])[:, :, 0]
    information = counts @ sides.sums(units, w) - (slope * crossed).sum(axis=2)
    gains: Floats = score**2 / np.maximum(information, 1e-9)
    return gains


def _places(X: Floats, working: tuple[Floats, Floats], sides: Sides, units: Ints, counts: Floats) -> Ints:
    """(m,) best threshold's position in each resample of the units."""
    return np.asarray(np.argmax(_gains(X, working, sides, units, counts), axis=1))


def _rates(X: Floats, y: Floats, sides: Sides, places: Ints, weights: Floats | None = None) -> Floats:
    """(m, 2) rates below and above each threshold by logit of X and the step, X held at its (weighted) distribution."""
    rates = np.empty((len(places), 2))
    start = fit(X, y, (sides.above > places[0])[None].astype(np.float64))
    stride = max(1, CELLS // len(y))
    for first in range(0, len(places), stride):
        chosen = places[first : first + stride]
        w = np.ones((len(chosen), len(y))) if weights is None else weights[first : first + stride]
        beta = fit(X, y, (sides.above > chosen[:, None]).astype(np.float64), w, start)
        base = beta[:, :-1] @ X.T
        for side, eta in enumerate((base, base + beta[:, -1:])):
            rates[first : first + stride, side] = (w * expit(eta)).sum(axis=1) / w.sum(axis=1)
    return rates


def _moving_blocks(units: int, length: int, rng: np.random.Generator) -> Floats:
    """(200, units) how often each unit is drawn by blocks of consecutive ones, the last followed by the first."""
    starts = rng.integers(0, units, (DRAWS, -(-units // length)))
    drawn = ((starts[:, :, None] + np.arange(length)) % units).reshape(DRAWS, -1)[:, :units]
    return np.stack([np.bincount(row, minlength=units) for row in drawn]).astype(np.float64)


def _smallest(error: float, critical: float, below: float) -> float:
    """The drop from the rate `below` by a step of (critical + z of the power) standard errors."""
    odds = below / (1 - below) * np.exp(-(critical + norm.ppf(POWER)) * error)
    return float(1 - odds / (1 + odds) / below)
