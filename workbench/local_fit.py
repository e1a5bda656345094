"""LIME's weighted ridge regression on switches, grown by batches: coefficients, their standard errors, and how well it fits.

Minimises Σ w (y - b - z'β)² + α |β|² from moments, so that a batch costs only itself. LIME adds the explained row itself (all
switches on, weight 1) to its 4,999 draws and takes α = 1; both are carried here in that proportion to the draws. At 4,999 draws
the plain fit is LIME's own, and at any number of draws it estimates the same thing: what endless draws in LIME's proportions come to.
Standard errors are about that value. They are White's sandwich, since a local fit is never the true model and its errors are not
alike. LIME draws the switches z independently and its weight is a product over them, so that they are uncorrelated under it, and
of the sandwich no more is left than Σ w² r² (z - z̄)² / (Σ w (z - z̄)² + α)² for each. Both the residuals r, which a fit makes too
small, and the chance correlations of few draws are allowed for by 1 / (1 - p/n) with p coefficients: HC3 at mean leverage
(MacKinnon and White 1985).

Most of what a switch leaves unexplained comes from where in the bin a value lies. Whatever is linear in those deviations has a
mean of 0 whether the switch is on or off, so it can be taken off y without changing what the fit comes to: control variates.
Their slopes are learnt from earlier batches only, which keeps the fit unbiased; without deviations it is the plain one.
"""

import numpy as np
from numpy.typing import NDArray

from workbench.schema import Floats

ALPHA = 1.0
LIME_DRAWS = 4999


class LocalFit:
    """The fit of y on k independent switches. y is measured from the explained row's own."""

    def __init__(self, k: int) -> None:
        self.draws = 0
        self._solutions = np.zeros((k + 1, 2))  # for steadied y and for y itself
        self._moments = np.zeros((k + 3, k + 3))  # Σ w (1, z, steadied y, y)(…)'
        self._scores = np.zeros(k + 1)  # Σ w² r² (1, z), which is also the sum of its squares
        self._products: Floats | float = 0.0  # Σ w c y, what other features explain taken off y
        self._slopes: Floats | None = None

    def add(self, on: NDArray[np.bool_], weights: Floats, y: Floats, deviations: Floats) -> None:
        """Take in n draws: switches (n, k), weights (n,), y (n,), deviations (n, c) of unit size, c >= 0. At first n > k + 1."""
        slopes = np.zeros(deviations.shape[1]) if self._slopes is None else self._slopes
        x, root = np.empty((len(y), len(self._moments))), np.sqrt(weights)
        x[:, 0], x[:, 1:-2], x[:, -2], x[:, -1] = 1, on, y - deviations @ slopes, y
        x *= root[:, None]
        self.draws += len(y)
        self._moments += x.T @ x
        full = self._full()
        penalty = np.diag([0.0, *[ALPHA * self.draws / LIME_DRAWS] * (len(full) - 3)])
        self._solutions = np.asarray(np.linalg.solve(full[:-2, :-2] + penalty, full[:-2, -2:]), np.float64)
        residuals = x[:, -2] - x[:, :-2] @ self._solutions[:, 0]
        self._scores += (root * residuals**2) @ x[:, :-2] * self._few()
        self._products = self._products + (root * residuals) @ deviations + weights.sum() * slopes
        # a slope that is within its noise is none (positive-part James-Stein)
        kept = 1 - self._scores[0] / np.maximum(self._products**2, self._scores[0] or 1)
        self._slopes = kept * self._products / self._moments[0, 0]

    def _full(self) -> Floats:
        """The moments with the explained row in them, whose switches are on and whose y is 0."""
        full = self._moments.copy()
        full[:-2, :-2] += self.draws / LIME_DRAWS
        return full

    def _few(self) -> float:
        """1 / (1 - p/n)."""
        return self.draws / (self.draws - len(self._solutions))

    @property
    def intercept(self) -> float:
        """The fit with all switches off."""
        return float(self._solutions[0, 0])

    @property
    def coefficients(self) -> Floats:
        """(k,) what each switch adds."""
        return self._solutions[1:, 0]

    @property
    def std_error(self) -> Floats:
        """(k,) standard errors of the coefficients."""
        total, *on = self._full()[0, :-2]
        mean = np.array(on) / total
        scores = (1 - 2 * mean) * self._scores[1:] + mean**2 * self._scores[0]  # z² = z
        errors: Floats = np.sqrt(scores * self._few()) / (total * mean * (1 - mean) + ALPHA * self.draws / LIME_DRAWS)
        return errors

    @property
    def r2(self) -> float:
        """Weighted R², adjusted for the number of switches, so that few draws do not flatter it; 1 where y does not vary."""
        full = self._full()
        total = full[-1, -1] - full[0, -1] ** 2 / full[0, 0]
        away = np.concatenate([-self._solutions[:, 1], [0, 1]])
        return float(1 - (away @ full @ away) / total * self._few()) if total > 0 else 1.0
