"""T: whether the model was fed, selected or scored with what was not yet known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau, rankdata

from workbench.evidence import Refit, evenly, missing
from workbench.folds import Folds, Ints, Mask, contiguous
from workbench.manifest import FeatureSection, SplitSection
from workbench.schema import CannotMeasureError, Floats, Measurement, Message, Panel, Table

OFFSETS = np.arange(-30, 61)
"""How many rows older (negative: younger) a column may be than the one that it is declared to be an older value of."""

SAME = 0.99
"""Share of comparable rows on which a column must equal the shifted base before the offset counts as found."""

SEARCHED = 5000
FEWEST = 30
MOST_BARS = 12


def availability(panel: Panel, features: Mapping[str, FeatureSection]) -> Measurement:
    """Cells that the model used before they could be known: value's date + publication lag > decision time.

    A value is dated by the row that it stands in, or `lag` rows earlier. Executed, not believed: where the panel has the base column
    (`lag_of`), the offset is the one at which the two columns are equal, whatever was declared. A lagged column without a publication
    lag of its own has its base's. Cells without either, and cells that do not equal the base at the offset, are `unproven_cells`.
    """
    found = [_column(panel, features, name) for name in panel.features]
    if not any(column.stamped for column in found):
        raise missing(f"[features.{panel.features[0]}] published_lag_days")
    found.sort(key=lambda column: (-column.early, -column.unproven))
    contradicted = [column for column in found if column.declared not in {None, column.offset}]
    shown = found[:MOST_BARS]
    tables = {
        "cells_by_feature": Table(
            "bars",
            {
                "feature": [column.name for column in shown],
                "early_cells": [column.early for column in shown],
                "unproven_cells": [column.unproven for column in shown],
            },
        )
    }
    if contradicted:
        tables["lags"] = Table(
            "bars",
            {
                "feature": [column.name for column in contradicted],
                "declared_lag": [column.declared for column in contradicted],
                "found_lag": [column.offset for column in contradicted],
            },
        )
    return Measurement(
        value=float(sum(column.early for column in found)),
        facts={
            "cells": sum(column.cells for column in found),
            "unproven_cells": sum(column.unproven for column in found),
            "unstamped_features": sum(not column.stamped for column in found),
            "contradicted_features": len(contradicted),
            "worst_feature": found[0].name if found[0].early else None,
            "lead_days": max(column.lead for column in found),
        },
        tables=tables,
    )


@dataclass(frozen=True)
class _Column:
    """One feature: its age in rows as declared and as found, cells used early and by how many days at most, cells not proved."""

    name: str
    stamped: bool
    declared: int | None
    offset: int
    cells: int
    early: int
    lead: float
    unproven: int


def _column(panel: Panel, features: Mapping[str, FeatureSection], name: str) -> _Column:
    section = features.get(name, FeatureSection())
    lag_days, base = section.published_lag_days, section.lag_of
    if lag_days is None and base in features:
        lag_days = features[str(base)].published_lag_days
    column, group = panel.table[name].to_numpy(np.float64), _group(panel)
    known, offset = np.isfinite(column), section.lag or 0
    proved = np.full(len(known), lag_days is not None)
    if base in panel.table and base != name:
        offset, agree = _find_offset(column, panel.table[base].to_numpy(np.float64), offset, group)
        proved &= agree
    lead = np.zeros(len(known))
    if lag_days is not None:
        source = _shifted(np.arange(len(known)), offset, group)
        days = panel.times.to_numpy().astype("datetime64[s]").astype(np.int64) / 86400
        lead = np.where(known & (source >= 0), days[source] + lag_days - days, 0.0)
    return _Column(
        name=name,
        stamped=lag_days is not None,
        declared=section.lag,
        offset=offset,
        cells=int(known.sum()),
        early=int((lead > 0).sum()),
        lead=float(lead.max(initial=0.0)),
        unproven=int((known & ~proved).sum()),
    )


def _find_offset(column: Floats, base: Floats, declared: int, group: Ints | None = None) -> tuple[int, Mask]:
    """Find the offset k in [-30, 60] with column[t] == base[t - k], and the rows on which that holds.

    Ties (a constant column equals itself at any offset) go to the offset nearest to the declared one. Where no offset fits 99 % of
    the comparable rows, the declared one is kept and no row agrees. `group` (n,) numbers the entities; no offset crosses them.
    """
    group = np.zeros(len(column), np.intp) if group is None else group
    candidates = evenly(np.flatnonzero(np.isfinite(column)), SEARCHED)

    def same(k: int, rows: Ints) -> tuple[Mask, Mask]:
        source = _shifted(rows, k, group)
        comparable = (source >= 0) & np.isfinite(base[source])
        return comparable & np.isclose(column[rows], base[source], rtol=1e-9, atol=1e-12), comparable

    best, share = declared, -1.0
    for k in sorted({*OFFSETS.tolist(), declared}, key=lambda k: abs(k - declared)):
        agree, comparable = same(k, candidates)
        if comparable.sum() >= FEWEST and agree.sum() / comparable.sum() > share:
            best, share = k, agree.sum() / comparable.sum()
    if share < SAME:
        return declared, np.zeros(len(column), bool)
    agree, comparable = same(best, np.arange(len(column)))
    return best, agree | ~comparable


def _group(panel: Panel) -> Ints:
    if panel.entities is None:
        return np.zeros(len(panel.times), np.intp)
    return np.unique(panel.entities, return_inverse=True)[1].astype(np.intp)


def _shifted(rows: Ints, k: int, group: Ints) -> Ints:
    """Positions k rows earlier within the same entity; -1 where there is none."""
    order = np.argsort(group, kind="stable")
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    moved = place[rows] - k
    inside = (moved >= 0) & (moved < len(order))
    source = order[np.where(inside, moved, 0)]
    return np.where(inside & (group[source] == group[rows]), source, -1)


def label_overlap(
    panel: Panel,
    horizon: int,
    *,
    split: SplitSection,
    service: Folds,
    validation: Folds | None,
    task: str,
    refit: Refit,
) -> Measurement:
    """How much better the model scores because labels of training rows reach into the rows that it is scored on.

    Counted where the models went live (training rows whose label was not known at the first decision served) and inside the author's
    own validation. Where there is overlap, the value is concordance(folds as used) - concordance(the same folds, contiguous, purged
    and embargoed), the model refitted for both; without overlap it is 0 by construction and nothing is refitted.

    Concordance is the AUC for classes and (1 + Kendall's τ) / 2 for numbers: the chance that of two rows the better one is ranked
    higher. So both tasks stand on the scale on which the lines were measured; a correlation would not.
    """
    shares = {"service_overlap": service.overlap(horizon)}
    shares["validation_overlap"] = validation.overlap(horizon) if validation else 0.0
    facts: dict[str, float | int | str | None] = {"overlap": max(shares.values()), **shares}
    facts |= {"horizon": horizon, "embargo": split.embargo, "validation": split.validation}
    if facts["overlap"] == 0:
        return Measurement(0.0, facts=facts)
    used = validation if validation and shares["validation_overlap"] > 0 else service
    base = used
    if used is validation and split.validation == "shuffled":
        base = contiguous(used.steps, np.asarray((used.train | used.test).any(axis=0)), len(used.test))
    clean = base.purged(horizon, embargo=horizon)
    scores, purged = (_scores(panel.y, folds, refit(folds.train, folds.test), task) for folds in (used, clean))
    if not (np.isfinite(scores).any() and np.isfinite(purged).any()):
        raise CannotMeasureError(Message("audit.unscored"))
    means = {"used_score": float(np.nanmean(scores)), "purged_score": float(np.nanmean(purged))}
    numbers = [str(i + 1) for i in range(len(scores))]
    return Measurement(
        value=means["used_score"] - means["purged_score"],
        facts=facts | means,
        tables={
            "scores": Table("bars", {"fold": numbers, "used_score": scores, "purged_score": purged}, {"chance": 0.5})
        },
    )


def _scores(y: Floats, folds: Folds, predicted: Floats, task: str) -> list[float]:
    """Score each fold by itself: pooling would punish contiguous folds for their different levels."""
    tested = [test & np.isfinite(y) & np.isfinite(predicted) for test in folds.test]
    return [_concordance(y[rows], predicted[rows], task) for rows in tested]


def _concordance(y: Floats, score: Floats, task: str) -> float:
    """Chance that of two rows with different outcomes the better one has the higher score; NaN where that has no meaning."""
    if len(y) < FEWEST or not (np.ptp(y) > 0 and np.ptp(score) > 0):
        return float("nan")
    if task == "regression":
        return float((1 + kendalltau(y, score).statistic) / 2)
    won = y > y.min()
    wins = rankdata(score)[won].sum() - won.sum() * (won.sum() + 1) / 2
    return float(wins / (won.sum() * (~won).sum()))
