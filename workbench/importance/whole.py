"""The whole panel explained: every row by the model of its day, once, and what is measured and drawn from it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from workbench.decision import training_rows
from workbench.desk import Desk
from workbench.evidence import Evidence
from workbench.foreign import shown
from workbench.importance.blocks import DRAWS, Blocks, Ints, blocks_of
from workbench.importance.measures import Groups, Importance, Pairs, Regimes, groups, importance, pairs, regimes
from workbench.importance.shapes import Dependence, Periods, dependence, through_time
from workbench.schema import (
    Attributions,
    BadInputError,
    CannotMeasureError,
    Fault,
    Floats,
    Message,
    ModelFailedError,
    StrategyBundle,
)

CHUNK = 5000
Progress = Callable[[int, int], None]
OUTPUT = {"regression": "return", "anomaly": "score"}
"""A classifier's exact values may be of its raw score or of its probability, which the model knows."""
STATES = ("volatility", "rates")
"""Families of whose features the most important one tells the regimes apart."""
FEW_STRETCHES, MOST_STRETCHES = 10, 30
WIDE_GAP = 1e-3
NOT_ASKED = Message("importance.no_interactions")


@dataclass(frozen=True)
class Whole:
    """Exact values (n, d) of `rows` (n,) out of the panel's, with what was measured from them. `blocks` has length and count of draws.

    `output`: what the values are parts of: return, score, probability or raw. `trained`: how many of the rows the model that explains
    them was fitted on. `gap`: largest |base + Σφ - f(x)| in standard deviations of f. `without`: why there are no interactions.
    """

    bundle: StrategyBundle
    rows: Ints
    values: Floats
    output: str
    trained: int
    gap: float
    seed: int
    blocks: Blocks
    importance: Importance
    families: Groups
    lags: Groups
    regimes: Regimes | None
    interactions: Pairs | None = None
    without: Message = NOT_ASKED

    @property
    def of(self) -> int:
        """The panel's rows, explained or not."""
        return len(self.bundle.panel.times)

    @property
    def X(self) -> Floats:  # noqa: N802 - the field's name for it
        """(n, d) feature values of the explained rows."""
        return self.bundle.panel.X[self.rows]

    @property
    def times(self) -> pd.DatetimeIndex:
        """(n,) decision times of the explained rows."""
        return self.bundle.panel.times[self.rows]

    @property
    def sentences(self) -> tuple[Message, ...]:
        """What a reader has to know: how many of how many rows, what the error bars are, and what not to rely on."""
        rows = {"rows": f"{len(self.rows):,}", "of": f"{self.of:,}", "trained": f"{self.trained:,}"}
        blocks = {"draws": DRAWS, "length": self.blocks.length, "seed": self.seed}
        told = [Message("importance.rows", rows)]
        told += [Message("importance.bars", blocks | {"blocks": f"{self.blocks.stretches:.1f}"})]
        told += [Message("importance.few")] if self.blocks.stretches < FEW_STRETCHES else []
        told += [Message("importance.gap", {"gap": f"{self.gap:.1e}"})] if not self.gap <= WIDE_GAP else []
        return (*told, *((Message("importance.no_regimes"),) if self.regimes is None else ()))

    def feature(self, name: str) -> int:
        """The position of the feature. Raises BadInputError naming those that there are."""
        return position(self.bundle, name)

    def dependence(self, feature: int) -> Dependence:
        """One feature's values against its contribution, by thirds of the feature that it goes with most."""
        known = self.interactions.pairs if self.interactions else ()
        partner = next((sum(pair) - feature for pair in known if feature in pair), None)
        return dependence(self.values, self.X, feature, partner)

    def periods(self) -> Periods:
        """Means through time."""
        return through_time(self.values, self.times)

    def under(self, feature: str) -> Regimes | None:
        """Importance in each third of another feature's values; None where there are not three."""
        return regimes(self.values, self.X[:, self.feature(feature)], feature, self.blocks)


def position(bundle: StrategyBundle, feature: str) -> int:
    """The position of the feature among the panel's. Raises BadInputError naming those that there are."""
    features = bundle.panel.features
    if feature not in features:
        values = {"name": shown(feature, 80), "known": ", ".join(features)}
        raise BadInputError([Fault("importance.no_such_feature", "--feature", values=values)])
    return features.index(feature)


def explain_panel(bundle: StrategyBundle, desk: Desk, seed: int = 0, progress: Progress | None = None) -> Whole:
    """Explain every row of the panel, each by the model of its day (the first one before any was live), and measure.

    Rows whose prediction is not finite are left out, and counted. `progress(done, total)` is called after each piece. Raises
    CannotMeasureError where the model's format has no exact values, ModelFailedError where it dies.
    """
    found = _attributions(bundle, desk, progress or (lambda _done, _of: None))
    whole = np.isfinite(found.values).all(axis=1) & np.isfinite(found.predictions)
    rows = np.flatnonzero(whole)
    if not len(rows):
        raise BadInputError([Fault("importance.no_values", bundle.manifest.panel.file)])
    values = found.values[whole]
    blocks = blocks_of(bundle.panel.times[rows], np.abs(values), bundle.panel.horizon or 1, seed=seed)
    ranked = importance(values, blocks)
    state = _state(bundle, ranked)
    features = bundle.panel.features
    return Whole(
        bundle=bundle,
        rows=rows,
        values=values,
        output=OUTPUT.get(bundle.manifest.model.task) or desk.explain(bundle, seed=seed, record=False).output,
        trained=int(_trained(bundle)[rows].sum()),
        gap=_gap(found, whole),
        seed=seed,
        blocks=blocks,
        importance=ranked,
        families=groups(values, [bundle.family(name) for name in features], blocks),
        lags=groups(values, [lag_of(bundle, name) for name in features], blocks),
        regimes=None if state is None else regimes(values, bundle.panel.X[rows, state], features[state], blocks),
    )


def with_interactions(whole: Whole, desk: Desk, progress: Progress | None = None) -> Whole:
    """The same with the strongest pairs of features from all its rows, or with the reason why there are none.

    Errors are from as many stretches of time as there are blocks, thirty at most.
    """
    try:
        return replace(whole, interactions=_pairs_of(whole, desk, progress or (lambda _done, _of: None)))
    except ModelFailedError as failed:
        return replace(whole, without=failed.message)


def _pairs_of(whole: Whole, desk: Desk, progress: Progress) -> Pairs:
    bundle, starts = whole.bundle, np.append(whole.blocks.firsts, len(whole.rows))
    count = int(np.clip(whole.blocks.stretches, 1, MOST_STRETCHES))
    ends = starts[np.linspace(0, whole.blocks.times, count + 1).round().astype(np.intp)]
    means = []
    for low, high in pairwise(ends.tolist()):
        rows = whole.rows[low:high]
        served = bundle.served_by()[rows]
        parts = [rows[served == i] for i in np.unique(served)]
        found = [desk.interactions(bundle, bundle.panel.X[p], bundle.models[bundle.served_by()[p[0]]]) for p in parts]
        means.append(np.average(found, axis=0, weights=[len(part) for part in parts]))
        progress(high, len(whole.rows))
    return pairs(np.array(means), np.diff(ends).astype(np.float64))


def _attributions(bundle: StrategyBundle, desk: Desk, progress: Progress) -> Attributions:
    """The evidence's values, of all rows instead of those that a check looks at, piece by piece so that the wait can be shown."""
    every = np.arange(len(bundle.panel.times))
    pieces = []
    for rows in np.array_split(every, max(-(-len(every) // CHUNK), 1)):
        evidence = Evidence(bundle, desk)
        evidence.explained = rows
        try:
            pieces.append(evidence.attributions)
        except CannotMeasureError as without:
            raise CannotMeasureError(Message("importance.no_exact", without.message.values)) from without
        progress(int(rows[-1]) + 1, len(every))
    return Attributions(
        *(np.concatenate([getattr(p, name) for p in pieces]) for name in ("values", "base_values", "predictions"))
    )


def _gap(found: Attributions, whole: Any) -> float:
    """As the check of additivity measures it; over the predictions' size where they do not vary."""
    predictions = found.predictions[whole]
    gaps = np.abs(found.base_values[whole] + found.values[whole].sum(axis=1) - predictions)
    return float(gaps.max() / (predictions.std() or np.abs(predictions).max() or 1.0))


def _trained(bundle: StrategyBundle) -> Any:
    """(n,) whether the model of the row's day was fitted on it."""
    masks = np.array([training_rows(bundle, model) for model in bundle.models])
    return masks[bundle.served_by(), np.arange(masks.shape[1])]


def _state(bundle: StrategyBundle, ranked: Importance) -> int | None:
    """The most important feature of the first family in STATES that has one."""
    for family in STATES:
        for feature in ranked.order:
            if bundle.family(bundle.panel.features[feature]) == family:
                return int(feature)
    return None


def lag_of(bundle: StrategyBundle, feature: str) -> str:
    """The declared lag of a feature in rows, or "" where none is declared."""
    section = bundle.manifest.features.get(feature)
    return "" if section is None or section.lag is None else str(section.lag)
