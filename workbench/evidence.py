"""What a measure may ask for by parameter name: each thing computed once, when it is first asked for.

A measure says `def overlap(panel: Panel, split: SplitSection)`, and that is its whole declaration. What the bundle lacks raises
CannotMeasureError naming the manifest's key, so the finding is `not_run` without a line of code in the measure; a parameter that is
annotated `X | None` gets None instead.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, signature
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.decision import training_rows
from workbench.desk import Desk
from workbench.manifest import BudgetSection, ClaimsSection, FeatureSection, SplitSection
from workbench.schema import (
    Attributions,
    CannotMeasureError,
    Explanation,
    Floats,
    Measurement,
    Message,
    ModelFile,
    Panel,
    Returns,
    StrategyBundle,
)
from workbench.smoothing import Smoothing, fit_smoothing

Measure = Callable[..., Measurement]
Mask = NDArray[np.bool_]
Refit = Callable[[Mask, Mask], Floats]

MOST_ROWS = 2000
WARM_CALLS = 100


@dataclass(frozen=True)
class Latencies:
    """How long the desk took on this bundle: the first call of the audit, then at least 100 warm ones on as many decisions."""

    first: Explanation
    warm: tuple[Explanation, ...]


def missing(key: str) -> CannotMeasureError:
    """The bundle lacks what a measure needs; `key` is what would have to be written into bundle.toml."""
    return CannotMeasureError(Message("audit.missing", {"what": key}))


def evenly(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of the rows, evenly spaced, first and last included: the same ones on every run.

    >>> evenly(np.arange(9), 3).tolist()
    [0, 4, 8]
    """
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]


class Evidence:
    """One bundle's evidence. Attributes are named as measures ask for them; (n,) and (n, d) run over the panel's rows."""

    def __init__(self, bundle: StrategyBundle, desk: Desk, seed: int = 0) -> None:
        self.bundle, self.desk, self.seed = bundle, desk, seed
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
            elif hasattr(type(self), name) or parameter.default is Parameter.empty:
                given[name] = self._get(name, optional=type(None) in get_args(hints.get(name)))
        return given

    def _get(self, name: str, *, optional: bool) -> Any:
        if name not in self._given:
            try:
                self._given[name] = getattr(self, name)
            except Exception as error:  # noqa: BLE001 - a model that died once is not asked again by the next check
                self._given[name] = error
        found = self._given[name]
        if isinstance(found, CannotMeasureError) and optional:
            return None
        if isinstance(found, Exception):
            raise found
        return found

    def _table(self, name: str, key: str) -> pd.DataFrame:
        if name not in self.bundle.tables:
            raise missing(key)
        return self.bundle.tables[name]

    @cached_property
    def panel(self) -> Panel:
        """The decisions."""
        return self.bundle.panel

    @cached_property
    def features(self) -> dict[str, FeatureSection]:
        """What the manifest says of each feature that the model uses, in the model's order."""
        declared = self.bundle.manifest.features
        return {name: declared.get(name, FeatureSection()) for name in self.panel.features}

    @cached_property
    def task(self) -> str:
        """`regression`, `classification` or `anomaly`."""
        return self.bundle.manifest.model.task

    @cached_property
    def horizon(self) -> int:
        """Rows until a label is known."""
        if self.panel.label is None:
            raise missing("[panel] label")
        if self.panel.horizon is None:
            raise missing("[panel] horizon")
        return self.panel.horizon

    @cached_property
    def split(self) -> SplitSection:
        """[split]."""
        if self.bundle.manifest.split is None:
            raise missing("[split] train_end")
        return self.bundle.manifest.split

    @cached_property
    def models(self) -> tuple[ModelFile, ...]:
        """The models, oldest first."""
        return self.bundle.models

    @cached_property
    def served_by(self) -> NDArray[np.intp]:
        """(n,) position in `models` of the model that made each decision."""
        return self.bundle.served_by()

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
        if not live.any():
            raise CannotMeasureError(Message("audit.no_live_rows"))
        return live

    @cached_property
    def explained(self) -> NDArray[np.intp]:
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
            found = self.desk.attributions(self.bundle, rows[mine], model)
            values[mine] = found.values  # noqa: PD011 - Shapley values, not a frame's
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
        panel = self.panel
        return lambda train, test: self.desk.refit(
            self.bundle, panel.X, panel.y, train, test, model=self.models[-1], seed=self.seed
        )

    @cached_property
    def latencies(self) -> Latencies:
        """One call, then warm ones on evenly spaced decisions, as a user would ask for them."""
        rows = evenly(np.arange(len(self.panel.times)), WARM_CALLS)
        calls = [*rows, *np.resize(rows, max(0, WARM_CALLS - len(rows)))]
        entities = self.panel.entities
        explain = [
            self.desk.explain(self.bundle, self.panel.times[i], None if entities is None else str(entities[i]))
            for i in (calls[0], *calls)
        ]
        return Latencies(explain[0], tuple(explain[1:]))

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

    @cached_property
    def equity_max(self) -> float:
        """The mandate's cap on equity."""
        mandate = self.bundle.manifest.mandate
        if mandate is None or mandate.equity_max is None:
            raise missing("[mandate] equity_max")
        return mandate.equity_max

    @cached_property
    def max_drawdown(self) -> float:
        """The mandate's drawdown budget, a positive fraction."""
        mandate = self.bundle.manifest.mandate
        if mandate is None or mandate.max_drawdown is None:
            raise missing("[mandate] max_drawdown")
        return mandate.max_drawdown

    @cached_property
    def attribution_max(self) -> dict[str, float]:
        """The mandate's caps on families' shares of mean |SHAP|."""
        mandate = self.bundle.manifest.mandate
        if mandate is None or not mandate.attribution_max:
            raise missing("[mandate] attribution_max")
        return {str(family): share for family, share in mandate.attribution_max.items()}

    @cached_property
    def budget(self) -> BudgetSection:
        """[budget]."""
        return self.bundle.manifest.budget

    @cached_property
    def claims(self) -> ClaimsSection:
        """[claims]."""
        if self.bundle.manifest.claims is None:
            raise missing("[claims]")
        return self.bundle.manifest.claims

    @cached_property
    def trial_returns(self) -> pd.DataFrame:
        """Returns of every configuration tried."""
        return self._table("trial_returns", "[split] trial_returns")

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """[decisions]."""
        return self._table("decisions", "[decisions] file")

    @cached_property
    def holdings(self) -> pd.DataFrame:
        """[holdings]."""
        return self._table("holdings", "[holdings] file")

    @cached_property
    def universe(self) -> pd.DataFrame:
        """[universe]."""
        return self._table("universe", "[universe] file")

    @cached_property
    def vintages(self) -> pd.DataFrame:
        """[vintages]."""
        return self._table("vintages", "[vintages] file")
