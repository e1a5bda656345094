"""What a model is to those who explain it, inside a worker, and what an explainer makes of it."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from workbench.schema import Floats

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
