"""What a model is to those who explain it, inside a worker, and what an explainer makes of it."""

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from workbench.schema import Floats, Message, ModelFailedError

# Doubles add up to about 1e-13 of the spread of a model's output; beyond this line the values do not belong to the prediction. A model
# whose library reckons in floats has a `precision` of its own.
ADDITIVITY_LINE = 1e-6


class Model(Protocol):
    """What a file in models/ loads: named columns in, one number a row out. Lives in a worker only."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Column names in the model's own order."""

    @property
    def scale(self) -> Literal["raw", "probability"]:
        """What `predict` of a classifier gives: log-odds, or P(y = 1). Regressions are always raw."""

    @property
    def takes_missing(self) -> bool:
        """Whether NaN is a value that the model learnt to deal with; where not, such rows are never put to it."""

    def predict(self, rows: Floats) -> Floats:
        """(n, d) in the model's order -> (n,), in the space that its contributions add up to.

        Raises ModelFailedError (`fault.model.width`) for rows of another width, before native code sees them.
        """


@runtime_checkable
class TreeModel(Model, Protocol):
    """A model that knows its own exact path-dependent Shapley values."""

    def contributions(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n, d) -> Shapley values (n, d) and base values (n,)."""


@dataclass(frozen=True)
class Estimate:
    """What an explainer yields for one row: values (d,), their standard errors (d,), 0 where exact, and the base value.

    `settled`: no more work would change it by anything that matters. Shapley values and the base value add up to the prediction; those
    of a local fit do not, and say by `fit_r2` (weighted R² of the fit) and `stability` (0..1) how good it is.
    """

    values: Floats
    base_values: float
    std_error: Floats
    exact: bool
    settled: bool
    samples: int | None = None
    fit_r2: float | None = None
    stability: float | None = None


def check_width(found: int, expected: int) -> None:
    """Raise ModelFailedError unless there is a column for each feature: native code reads beyond a row that is too short."""
    if found != expected:
        raise ModelFailedError(Message("fault.model.width", {"found": found, "expected": expected}))


def fitting(rows: Floats, expected: int) -> Floats:
    """Rows (n, expected) as native code wants them; ModelFailedError for another width."""
    rows = np.ascontiguousarray(rows, np.float64)
    check_width(rows.shape[-1] if rows.ndim == 2 else 0, expected)  # noqa: PLR2004
    return rows


def threads(walks: int) -> int:
    """One thread for little work (waking a pool costs more than it gives, on a busy machine far more), at most four for much.

    Work is counted in walks of one row through one tree, each well under a tenth of a microsecond.
    """
    return 1 if walks < 1_000_000 else min(4, os.cpu_count() or 1)  # noqa: PLR2004


def import_without(library: str, *hidden: str) -> None:
    """Import a library while others that it would take along, and that nobody here uses, are not to be found."""
    for name in hidden:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type] # None is how Python spells "not to be found"
    try:
        import_module(library)
    finally:
        for name in hidden:
            if sys.modules[name] is None:
                del sys.modules[name]
