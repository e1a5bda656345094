"""LIME tabular for any model: a weighted ridge regression of the predictions around a row on "is the feature in the row's bin".

Ribeiro, Singh and Guestrin (2016), in the form and with the defaults of the lime package: quartile bins, rows drawn as
`neighbourhood` says, weights √exp(-D²/w²) of the Euclidean distance D between switches with w = 0.75 √d, ridge with α = 1
(`local_fit`). A value is the coefficient of the row's own bin, the base value the intercept, and their sum is the local model's
prediction at the row, which is not the model's: `fit_r2` says how far to trust it. What is estimated is what lime comes to with
endless draws; control variates (`local_fit`) get there with several times fewer.

All features are fitted (lime's `feature_selection="none"`). lime by default chooses some first and fits those alone; the values
then depend on the choice, which is another one with each seed.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.budget import Deadline
from workbench.local_fit import LocalFit
from workbench.model import Estimate, Model
from workbench.neighbourhood import Neighbourhood
from workbench.schema import Floats, Message, ModelFailedError

WEIGHED = False
BACKGROUND_ROWS = 1000
KERNEL_WIDTH = 0.75
SHARE_OF_REST = 0.25
FIRST_ROWS = 16
MOST_CELLS = 250_000
# Fewer rows, or fewer a coefficient, than this say nothing about their own errors.
LEAST_ROWS, ROWS_A_COEFFICIENT = 100, 3
TOP = 5
# Settled: the leading coefficients keep their order at CLEAR standard errors and the first is known to LEADING of itself, or
# every error is below PRECISION of the first, where no order is worth more work.
CLEAR, LEADING, PRECISION = 3.0, 0.02, 0.005
REPLICAS = 200


def applies(model: Model) -> bool:
    """Any model that predicts."""
    del model
    return True


def explain(
    model: Model, row: Floats, background: Floats, deadline: Deadline, rng: np.random.Generator
) -> Iterator[Estimate]:
    """Yield fits of ever more rows, doubled each time as far as the deadline allows; `samples` counts the rows drawn.

    Raises ModelFailedError (`desk.not_finite`) where the model gives no finite number around the row.
    """
    here = float(model.predict(row[None])[0])
    near = Neighbourhood(row, background)
    weight = kernel(len(row))
    fit, least = LocalFit(len(near.varying)), max(LEAST_ROWS, ROWS_A_COEFFICIENT * (len(near.varying) + 1))
    waiting: list[tuple[NDArray[np.bool_], Floats, Floats, Floats]] = []
    drawn, size = 0, FIRST_ROWS
    while size > drawn // 1000:  # less would not be seen in the errors
        before = deadline.elapsed_ms()
        rows, on, deviations = near.draw(size, rng)
        y = model.predict(rows) - here
        if not np.isfinite(y).all():
            raise ModelFailedError(Message("desk.not_finite", {"rows": int((~np.isfinite(y)).sum()), "total": size}))
        waiting.append((on, weight[(~on).sum(axis=1)], y, deviations))
        drawn += size
        if drawn >= least:
            fit.add(*(np.concatenate(part) for part in zip(*waiting, strict=True)))
            waiting.clear()
            estimate = _estimate(fit, near.varying, len(row), here, rng)
            yield estimate
            if estimate.settled:
                return
        affordable = SHARE_OF_REST * deadline.left_ms() * size / max(deadline.elapsed_ms() - before, 1e-3)
        size = int(min(affordable, max(drawn, least - drawn), MOST_CELLS // len(row) + 1))


def kernel(d: int) -> Floats:
    """Weights (d + 1,) of rows with 0, 1, … d switches off: √exp(-D²/w²), D² = the number off, w² = 0.75² d."""
    return np.sqrt(np.exp(-np.arange(d + 1) / (KERNEL_WIDTH**2 * d)))


def _estimate(fit: LocalFit, varying: NDArray[np.intp], d: int, here: float, rng: np.random.Generator) -> Estimate:
    """The fit, spread over all d features: one that cannot vary has the value 0, exactly."""
    values, error = np.zeros(d), np.zeros(d)
    values[varying], error[varying] = fit.coefficients, fit.std_error
    return Estimate(
        values,
        here + fit.intercept,
        error,
        exact=False,
        settled=_settled(values, error),
        samples=fit.draws,
        fit_r2=fit.r2,
        stability=stability(values, error, rng),
    )


def _settled(values: Floats, error: Floats) -> bool:
    order = np.argsort(-np.abs(values))[: TOP + 1]
    size, spread = np.abs(values[order]), error[order]
    clear = size[:-1] - size[1:] > CLEAR * np.hypot(spread[:-1], spread[1:])
    return bool((clear.all() and spread[0] <= LEADING * size[0]) or error.max() <= PRECISION * size[0])


def stability(values: Floats, error: Floats, rng: np.random.Generator) -> float:
    """The share of the TOP largest that two runs of this length would both name, 0..1, foreseen from values and errors (d,).

    The mean over REPLICAS pairs of runs. What leads, leads in part by luck, so runs are drawn around values that are first
    shrunk by 1 - (error / value)² (positive-part James-Stein, value by value).
    """
    top = min(TOP, len(values))
    kept = 1 - np.divide(error, values, out=np.ones_like(values), where=np.abs(values) > error) ** 2
    runs = np.abs(kept * values + error * rng.standard_normal((2, REPLICAS, len(values))))
    named = np.zeros(runs.shape, bool)
    np.put_along_axis(named, np.argpartition(-runs, top - 1, axis=-1)[..., :top], values=True, axis=-1)
    return float((named[0] & named[1]).sum() / (REPLICAS * top))
