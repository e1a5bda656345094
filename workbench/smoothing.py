"""Reported returns as a smoothing of true ones: R_t = θ0 r_t + θ1 r_{t-1} + θ2 r_{t-2}, θ0 + θ1 + θ2 = 1.

Getmansky, Lo and Makarov (2004), "An econometric model of serial correlation and illiquidity in hedge fund returns", J. Financial
Economics 74. Smoothing leaves the mean as it is and shrinks the volatility by √ξ, ξ = Σθ², so it inflates a Sharpe ratio.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky_banded, solve_banded
from scipy.optimize import minimize
from scipy.signal import lfilter

from workbench.schema import CannotMeasureError, Floats, Message

FEWEST = 60
"""Fewer returns than this say nothing about an MA(2)."""


@dataclass(frozen=True)
class Smoothing:
    """θ of the MA(2), (3,), summing to 1."""

    theta: Floats

    @property
    def xi(self) -> float:
        """Σθ²: the variance of reported returns over that of true ones; 1 without smoothing."""
        return float(np.sum(self.theta**2))

    @property
    def sharpe_inflation(self) -> float:
        """1/√ξ - 1: how much smoothing alone raises the Sharpe ratio."""
        return float(self.xi**-0.5 - 1)

    def unsmooth(self, reported: Floats) -> Floats:
        """True returns (n,) behind the reported ones; the mean stays."""
        mean = reported.mean()
        true: Floats = mean + lfilter([1.0], self.theta, reported - mean)
        return true


def moving_average(partial: Floats) -> Floats:
    """Coefficients (1, b1, b2) of the invertible MA(2) with these two partial coefficients in (-1, 1) (Monahan 1984)."""
    return np.array([1.0, partial[0] * (1 + partial[1]), partial[1]])


def fit_smoothing(reported: Floats) -> Smoothing:
    """Exact Gaussian maximum likelihood of a demeaned MA(2), then normalised to sum to 1 (GLM 2004, section 4.2).

    `reported` (n,) are simple returns. Raises CannotMeasureError on fewer than 60, or where they do not vary.
    """
    if len(reported) < FEWEST:
        raise CannotMeasureError(Message("audit.too_few_returns", {"rows": len(reported), "needed": FEWEST}))
    x = reported - reported.mean()
    if not np.ptp(x) > 0:
        raise CannotMeasureError(Message("audit.constant_returns"))
    x /= x.std()
    start = np.arctanh(np.clip([x[1:] @ x[:-1] / (x @ x), x[2:] @ x[:-2] / (x @ x)], -0.8, 0.8))
    best = minimize(lambda z: _minus_log_likelihood(moving_average(np.tanh(z)), x), start, method="Nelder-Mead")
    b = moving_average(np.tanh(best.x))
    return Smoothing(b / b.sum())


def _minus_log_likelihood(b: Floats, x: Floats) -> float:
    """-2 log L / n up to a constant, the scale concentrated out; the covariance is banded, so it costs O(n)."""
    n = len(x)
    bands = np.zeros((3, n))
    bands[0], bands[1], bands[2] = b @ b, b[1:] @ b[:-1], b[0] * b[2]
    factor = cholesky_banded(bands, lower=True)
    e = solve_banded((2, 0), factor, x)
    return float(np.log(e @ e / n) + 2 * np.log(factor[0]).mean())


def autocorrelation(x: Floats, lag: int = 1) -> tuple[float, float]:
    """ρ of (n,) numbers at a lag, and its standard error under H0 of no correlation, robust to heteroskedasticity."""
    centred = x - x.mean()
    squares = centred @ centred
    product = centred[lag:] * centred[:-lag]
    return float(product.sum() / squares), float(np.sqrt(product @ product) / squares)


def lo_eta(rho: Sequence[float], q: int) -> float:
    """Give Lo's (2002) η(q) = q / √(q + 2 Σ_{k<q} (q - k) ρ_k): the Sharpe ratio over q periods is η(q) times that of one.

    `rho` are ρ1, ρ2, …; what is not given is zero.

    >>> round(lo_eta([0.0], 12), 3)
    3.464
    """
    summed = sum((q - k) * r for k, r in enumerate(rho, start=1) if k < q)
    return float(q / np.sqrt(q + 2 * summed))
