"""LIME's weighted ridge regression on switches, grown by batches: coefficients, their standard errors, and how well it fits.

Minimises Σ w (y - b - z'β)² + α |β|² from moments, so that a batch costs only itself. LIME adds the explained row itself (all
switches on, weight 1) to its 4,999 draws and takes α = 1; both are carried here in that proportion to the draws. At 4,999 draws
the fit is LIME's own, and at any number of draws it estimates the same thing: what endless draws in LIME's proportions come to.
Standard errors are about that value. They are White's sandwich, since a local fit is never the true model and its errors are not
alike. LIME draws the switches z independently and its weight is a product over them, so that they are uncorrelated under it, and
of the sandwich no more is left than Σ w² r² (z - z̄)² / (Σ w (z - z̄)² + α)² for each. Both the residuals r, which a fit makes too
small, and the chance correlations of few draws are allowed for by 1 / (1 - p/n) with p coefficients: HC3 at mean leverage
(MacKinnon and White 1985).
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
        self._solution = np.zeros(k + 1)
        self._moments = np.zeros((k + 2, k + 2))  # Σ w (1, z, y)(1, z, y)'
        self._scores = np.zeros(k + 1)  # Σ w² r² (1, z), which is also the sum of its squares

    def add(self, on: NDArray[np.bool_], weights: Floats, y: Floats) -> None:
        """Take in n draws: switches (n, k), weights (n,) and y (n,). The first time n > k + 1 are needed."""
        x, root = np.empty((len(y), len(self._moments))), np.sqrt(weights)
        x[:, 0], x[:, 1:-1], x[:, -1] = 1, on, y
        x *= root[:, None]
        self.draws += len(y)
        self._moments += x.T @ x
        full = self._full()
        penalty = np.diag([0.0, *[ALPHA * self.draws / LIME_DRAWS] * (len(full) - 2)])
        self._solution = np.asarray(np.linalg.solve(full[:-1, :-1] + penalty, full[:-1, -1]), np.float64)
        residuals = x[:, -1] - x[:, :-1] @ self._solution
        self._scores += (root * residuals**2) @ x[:, :-1] * self._few()

    def _full(self) -> Floats:
        """The moments with the explained row in them, whose switches are on and whose y is 0."""
        full = self._moments.copy()
        full[:-1, :-1] += self.draws / LIME_DRAWS
        return full

    def _few(self) -> float:
        """1 / (1 - p/n)."""
        return self.draws / (self.draws - len(self._solution))

    @property
    def intercept(self) -> float:
        """The fit with all switches off."""
        return float(self._solution[0])

    @property
    def coefficients(self) -> Floats:
        """(k,) what each switch adds."""
        return self._solution[1:]

    @property
    def std_error(self) -> Floats:
        """(k,) standard errors of the coefficients."""
        total, *on = self._full()[0, :-1]
        mean = np.array(on) / total
        scores = (1 - 2 * mean) * self._scores[1:] + mean**2 * self._scores[0]  # z² = z
        errors: Floats = np.sqrt(scores * self._few()) / (total * mean * (1 - mean) + ALPHA * self.draws / LIME_DRAWS)
        return errors

    @property
    def r2(self) -> float:
        """Weighted R², adjusted for the number of switches, so that few draws do not flatter it; 1 where y does not vary."""
        full = self._full()
        total = full[-1, -1] - full[0, -1] ** 2 / full[0, 0]
        away = np.append(-self._solution, 1)
        return float(1 - (away @ full @ away) / total * self._few()) if total > 0 else 1.0
