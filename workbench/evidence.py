"""What a measure may ask for by parameter name: each thing computed once, when it is first asked for.

A measure says `def overlap(panel: Panel, split: SplitSection)`, and that is its whole declaration. What the bundle lacks raises
CannotMeasureError naming the manifest's key, so the finding is `not_run` without a line of code in the measure; a parameter that is
annotated `X | None` gets None instead.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, signature
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas as pd

from workbench.decision import training_rows
from workbench.desk import Desk
from workbench.folds import Folds, Ints, Mask, as_declared
from workbench.manifest import SplitSection
from workbench.schema import (
    Attributions,
    CannotMeasureError,
    Explanation,
    Floats,
    Measurement,
    Message,
    ModelFailedError,
    ModelFile,
    Returns,
    StrategyBundle,
)
from workbench.smoothing import Smoothing, fit_smoothing

Measure = Callable[..., Measurement]
Refit = Callable[[Mask, Mask], Floats]

MOST_ROWS = 2000
WARM_CALLS = 100
FOLDS = 5


@dataclass(frozen=True)
class Latencies:
    """How long the desk took on this bundle: the first call of the audit, then at least 100 warm ones on as many decisions."""

    first: Explanation
    warm: tuple[Explanation, ...]


def missing(key: str) -> CannotMeasureError:
    """The bundle lacks what a measure needs; `key` is what would have to be written into bundle.toml."""
    return CannotMeasureError(Message("audit.missing", {"what": key}))


def evenly(rows: Ints, most: int) -> Ints:
    """At most `most` of the rows, evenly spaced, first and last included: the same ones on every run.

    >>> evenly(np.arange(9), 3).tolist()
    [0, 4, 8]
    """
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]


@contextmanager
def _able(otherwise: str, model: ModelFile) -> Iterator[None]:
    """A format without the method that is asked for is a missing input, not a model that failed."""
    try:
        yield
    except ModelFailedError as failed:
        if failed.message.values.get("kind") != "AttributeError":
            raise
        raise CannotMeasureError(Message(otherwise, {"format": model.format})) from failed


# Where in the manifest a value stands, and which of its keys names a table's file.
DECLARED = {
    "task": ("model", "task"),
    "features": ("features",),
    "split": ("split",),
    "equity_max": ("mandate", "equity_max"),
    "max_drawdown": ("mandate", "max_drawdown"),
    "attribution_max": ("mandate", "attribution_max"),
    "budget": ("budget",),
    "claims": ("claims",),
    "governance": ("governance",),
}

TABLES = {
    "trial_returns": "[split] trial_returns",
    "decisions": "[decisions] file",
    "holdings": "[holdings] file",
    "universe": "[universe] file",
    "vintages": "[vintages] file",
}


class Evidence:
    """One bundle's evidence. Attributes are named as measures ask for them; (n,) and (n, d) run over the panel's rows.

    `models` stand oldest first; `served_by` (n,) is the position among them of the one that made each decision.
    """

    def __init__(self, bundle: StrategyBundle, desk: Desk, seed: int = 0) -> None:
        self.bundle, self.desk, self.seed = bundle, desk, seed
        self.panel, self.models, self.served_by = bundle.panel, bundle.models, bundle.served_by()
        self._given: dict[str, Any] = {}

    def collect(self, measure: Measure, settings: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Keyword arguments for `measure`: its own generator, the check's settings, and the evidence that it names.

        Raises CannotMeasureError where an input is missing, ModelFailedError where the model died while it was asked.
        """
        hints = get_type_hints(measure)
        given: dict[str, Any] = {}
        for name, parameter in signature(measure).parameters.items():
            if settings and name in settings:
                given[name] = settings[name]
            elif name == "rng":
                given[name] = np.random.default_rng([self.seed, zlib.crc32(measure.__name__.encode())])
            elif parameter.default is Parameter.empty:
                given[name] = self._get(name, optional=type(None) in get_args(hints.get(name)))
        return given

    def _get(self, name: str, *, optional: bool = False) -> Any:
        if name not in self._given:
            try:
                self._given[name] = self._look_up(name)
            except Exception as error:  # noqa: BLE001 - a model that died once is not asked again by the next check
                self._given[name] = error
        found = self._given[name]
        if isinstance(found, CannotMeasureError) and optional:
            return None
        if isinstance(found, Exception):
            raise found
        return found

    def _look_up(self, name: str) -> Any:
        """The manifest's value, the bundle's table, or what is computed here."""
        if name in TABLES and name not in self.bundle.tables:
            raise missing(TABLES[name])
        if name in TABLES:
            return self.bundle.tables[name]
        if name not in DECLARED:
            return getattr(self, name)
        found: Any = self.bundle.manifest
        for key in DECLARED[name]:
            found = getattr(found, key, None)
        if found is None or found == {}:
            raise missing(f"[{DECLARED[name][0]}] {' '.join(DECLARED[name][1:])}".strip())
        return found

    @cached_property
    def horizon(self) -> int:
        """Rows until a label is known."""
        if self.panel.label is None:
            raise missing("[panel] label")
        if self.panel.horizon is None:
            raise missing("[panel] horizon")
        return self.panel.horizon

    @cached_property
    def training(self) -> Mask:
        """(models, n): the rows that each model was fitted on."""
        masks = np.array([training_rows(self.bundle, model) for model in self.models])
        if not masks.any():
            raise missing("[split] train_end")
        return masks

    @cached_property
    def live(self) -> Mask:
        """(n,) decisions that came after everything that the model that made them was fitted on."""
        live = ~self.training[self.served_by, np.arange(len(self.served_by))]
        if (since := self.models[0].since) is not None:
            live &= np.asarray(self.panel.times >= since)
        if not live.any():
            raise CannotMeasureError(Message("audit.no_live_rows"))
        return live

    @cached_property
    def _steps(self) -> Ints:
        return np.unique(self.panel.times.to_numpy(), return_inverse=True)[1].astype(np.intp)

    @cached_property
    def service(self) -> Folds:
        """A fold for each model that was live: its labelled training rows, and the decisions that it made.

        Where no start is given, a model serves from the end of the split's embargo on.
        """
        labelled, train, test = np.isfinite(self.panel.y), [], []
        for i in np.unique(self.served_by[self.live]):
            served = self.live & (self.served_by == i)
            if self.models[i].since is None and self.bundle.manifest.split is not None:
                embargo = self.bundle.manifest.split.embargo
                served &= self._steps > self._steps[self.training[i]].max(initial=-1) + embargo
            train.append(self.training[i] & labelled)
            test.append(served)
        return Folds(np.array(train), np.array(test), self._steps)

    @cached_property
    def validation(self) -> Folds | None:
        """The author's validation of the newest model as the manifest describes it, in five folds; None where there was none."""
        rng, rows = np.random.default_rng(self.seed), self.training[-1] & np.isfinite(self.panel.y)
        split: SplitSection = self._get("split")
        how, embargo = split.validation, split.embargo
        return as_declared(how, self._steps, rows, k=FOLDS, horizon=self.horizon, embargo=embargo, rng=rng)

    @cached_property
    def explained(self) -> Ints:
        """Positions of the decisions that are explained: the live ones, or all where no split is given; 2,000 at most."""
        live = self._get("live", optional=True)
        rows = np.arange(len(self.panel.times)) if live is None else np.flatnonzero(live)
        return evenly(rows, MOST_ROWS)

    def _by_model(self) -> list[tuple[ModelFile, Mask]]:
        served = self.served_by[self.explained]
        return [(self.models[i], served == i) for i in np.unique(served)]

    @cached_property
    def attributions(self) -> Attributions:
        """Exact Shapley values of the rows `explained`, each by the model that made the decision."""
        rows = self.panel.X[self.explained]
        values, base, predictions = np.empty_like(rows), np.empty(len(rows)), np.empty(len(rows))
        for model, mine in self._by_model():
            with _able("audit.no_exact_values", model):
                found = self.desk.attributions(self.bundle, rows[mine], model)
            values[mine] = found.values
            base[mine], predictions[mine] = found.base_values, found.predictions
        return Attributions(values, base, predictions)

    @cached_property
    def predictions(self) -> Floats:
        """The same rows' predictions, asked of the models themselves and of no explainer."""
        rows = self.panel.X[self.explained]
        predictions = np.empty(len(rows))
        for model, mine in self._by_model():
            predictions[mine] = self.desk.predict(self.bundle, rows[mine], model)
        return predictions

    @cached_property
    def refit(self) -> Refit:
        """(train, test), bool (k, n) over the panel -> out-of-fold predictions (n,) of the newest model's learner."""
        panel, model = self.panel, self.models[-1]

        def refit(train: Mask, test: Mask) -> Floats:
            with _able("audit.no_refit", model):
                return self.desk.refit(self.bundle, panel.X, panel.y, train, test, model=model, seed=self.seed)

        return refit

    @cached_property
    def latencies(self) -> Latencies:
        """One call, then warm ones on evenly spaced decisions, as a user would ask for them."""
        rows, names = evenly(np.arange(len(self.panel.times)), WARM_CALLS), self.panel.entities
        asked = [(self.panel.times[int(i)], None if names is None else str(names[i])) for i in rows]
        calls = (self.desk.explain(self.bundle, *asked[i % len(asked)], record=False) for i in range(WARM_CALLS + 1))
        return Latencies(next(calls), tuple(calls))

    @cached_property
    def returns(self) -> Returns:
        """[returns]."""
        if self.bundle.returns is None:
            raise missing("[returns] file")
        return self.bundle.returns

    @cached_property
    def strategy(self) -> pd.Series:
        """The strategy's simple periodic returns after costs, by time, without gaps."""
        strategy: pd.Series = self.returns.table["strategy"].dropna()
        return strategy

    @cached_property
    def live_strategy(self) -> pd.Series:
        """The strategy's returns after the first model's training: all of them where no split is given."""
        training = self._get("training", optional=True)
        if training is None:
            return self.strategy
        lived: pd.Series = self.strategy[self.strategy.index > self.panel.times[training[0]].max()]
        if lived.empty:
            raise CannotMeasureError(Message("audit.no_live_rows"))
        return lived

    @cached_property
    def periods_per_year(self) -> float:
        """Returns a year."""
        return self.returns.periods_per_year

    @cached_property
    def smoothing(self) -> Smoothing:
        """How the strategy's reported returns are smoothed."""
        return fit_smoothing(self.strategy.to_numpy(np.float64))

    @cached_property
    def factors(self) -> pd.DataFrame:
        """Factor returns by time, one column a factor."""
        if self.returns.factors.shape[1] == 0:
            raise missing("[returns.factors]")
        return self.returns.factors
