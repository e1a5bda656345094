"""One file an explainer; the folder is the registry.

Each has `applies(model) -> bool`, `WEIGHED`, `BACKGROUND_ROWS` and
`explain(model, row, background, deadline, rng) -> Iterator[Estimate]`: ever better estimates of one row's attributions.
"""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from workbench.budget import Deadline
from workbench.model import Estimate, Model
from workbench.schema import Floats, Message

# A method fits into a budget if what it was measured to cost takes up at most this share: the next time may be slower.
FITS = 0.7


class Explainer(Protocol):
    """What a file in this folder offers."""

    WEIGHED: bool
    """Whether it is exact, and `auto` weighs it by what it was measured to cost."""
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


def choose(cost_ms: Mapping[str, float | None], budget_ms: float) -> tuple[str, Message]:
    """What `auto` means, and why: the exact method that costs least where it fits into the budget, else sampled Shapley values.

    `cost_ms`: the methods that apply, with what a row was measured to cost; None for those that are not weighed by it.

    >>> choose({"shap": None, "tree_shap": 4.0}, 800)[0], choose({"shap": None, "tree_shap": 2000.0}, 800)[0]
    ('tree_shap', 'shap')
    """
    exact = {name: cost for name, cost in cost_ms.items() if cost is not None}
    if not exact:
        return "shap", Message("desk.why.general")
    name = min(exact, key=exact.__getitem__)
    values = {"method": name, "cost": exact[name], "budget": budget_ms}
    if exact[name] <= FITS * budget_ms:
        return name, Message("desk.why.exact", values)
    return "shap", Message("desk.why.slow", values)
