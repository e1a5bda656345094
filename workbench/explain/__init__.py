"""One file an explainer; the folder is the registry.

Each has `applies(model) -> bool`, `EXACT`, `BACKGROUND_ROWS` and
`explain(model, row, background, deadline, rng) -> Iterator[Estimate]`: ever better estimates of one row's attributions.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from workbench.budget import Deadline
from workbench.model import Estimate, Model
from workbench.schema import Floats


class Explainer(Protocol):
    """What a file in this folder offers."""

    EXACT: bool
    BACKGROUND_ROWS: int
    """How many rows from before the decision it wants, at most."""

    def applies(self, model: Model) -> bool:
        """Whether this method can explain this model."""

    def explain(
        self, model: Model, row: Floats, background: Floats, deadline: Deadline, rng: np.random.Generator
    ) -> Iterator[Estimate]:
        """Yield estimates for row (d,) against background (b, d), each better than the last, until the deadline is near."""


def methods() -> tuple[str, ...]:
    """The names of the methods, from the folder's listing.

    >>> "tree_shap" in methods()
    True
    """
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("[a-z]*.py")))


def find(name: str) -> Explainer:
    """The explainer of that name; KeyError for a name that the folder does not hold."""
    if name not in methods():
        raise KeyError(name)
    return cast("Explainer", importlib.import_module(f"{__name__}.{name}"))


def choose(model: Model) -> str:
    """What `auto` means for this model: an exact method if one applies, else sampled Shapley values."""
    return next((name for name in methods() if find(name).EXACT and find(name).applies(model)), "shap")
