"""Did people act on the signal? Adoption against the predicted win rate and against how long the explanation took.

The founding observation is that traders' adoption fell by 63 % where an explanation took longer than 800 ms. Here both numbers are
estimated on the user's own log ([decisions]); `threshold.py` has the regression, this room the rules of when it may speak.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.advice import advice_log
from workbench.schema import Floats, Message, StrategyBundle
from workbench.text import LANGUAGES, say
from workbench.threshold import LEVEL, Ints, Threshold, block_length, candidates, threshold

FOUNDING_MS, FOUNDING_DROP = 800.0, 0.63
BINS = 10
FEWEST, FEWEST_EACH, FEWEST_UNITS, FEWEST_PLACES = 300, 30, 20, 10
"""Decisions; decisions on either side of a threshold, adopted, and not adopted; days; distinct thresholds."""
TRIMMED = 0.05
"""Share of the decisions that has to lie on either side of a threshold."""
WORTH_SEEING = 0.45
"""A log that could not have shown such a drop, well below the founding one, cannot tell that there is no break."""
NORMAL = 1.959964


class Finding(StrEnum):
    """What adoption does as explanations get slower. `insufficient`: the log could not have shown it."""

    BREAK = "break"
    DECLINE = "decline"
    RISE = "rise"
    NONE = "none"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval and how many decisions it is of; NaN where it is of none."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Bin:
    """Decisions with like latency (ms) or predicted win rate: `low` to `high`, their mean, and what became of them."""

    low: float
    high: float
    mean: float
    adopted: Rate
    won: Rate


@dataclass(frozen=True)
class Adoption:
    """The log examined. `threshold` is None where the log is too small to be examined, and then `reason` says why."""

    source: Literal["decisions", "advice"]
    finding: Finding
    reason: Message | None
    threshold: Threshold | None
    by_predicted: tuple[Bin, ...]
    by_latency: tuple[Bin, ...]
    decisions: int
    units: int
    block_length: int
    reference_ms: float
    seed: int

    @property
    def sentence(self) -> Message:
        """The finding in one sentence, with its interval."""
        if self.threshold is None or self.reason is not None:
            assert self.reason is not None  # noqa: S101 - no threshold without a reason
            return self.reason
        key, values = _key(self.finding, self.threshold), _spelled(self.threshold)
        students = Message(f"adoption.advice.{key}", values)
        return students if self.source == "advice" else Message(f"adoption.decisions.{key}", values)

    def to_dict(self) -> dict[str, Any]:
        """The machine's form."""
        found = self.threshold
        return {
            "source": self.source,
            "finding": self.finding.value,
            "sentence": {lang: say(self.sentence, lang) for lang in LANGUAGES},
            "decisions": self.decisions,
            "units": self.units,
            "block_length": self.block_length,
            "reference_ms": self.reference_ms,
            "level": LEVEL,
            "seed": self.seed,
            "break": None if found is None else _threshold_form(found),
            "by_latency": [_bin_form(each) for each in self.by_latency],
            "by_predicted": [_bin_form(each) for each in self.by_predicted],
        }


def examine(
    table: pd.DataFrame,
    *,
    reference_ms: float = FOUNDING_MS,
    seed: int = 0,
    source: Literal["decisions", "advice"] = "decisions",
    units: Ints | None = None,
) -> Adoption:
    """Examine a log: columns predicted (0..1), latency_ms, adopted (0/1), outcome (0/1 or NaN, may be absent), rows in order of time.

    `units` (n,) numbers what goes together, such as one person's decisions; by default it is the day of the index.
    """
    latency, predicted, adopted = (table[name].to_numpy(np.float64) for name in ("latency_ms", "predicted", "adopted"))
    won = table["outcome"].to_numpy(np.float64) if "outcome" in table else np.full(len(table), np.nan)
    length = 1  # persons do not follow each other
    if units is None:
        units = days(pd.DatetimeIndex(table.index))
        length = block_length(units)
    least = max(FEWEST_EACH, int(TRIMMED * len(table)))
    reason = _too_small(latency, adopted, units, least)
    found = None
    if reason is None:
        found = threshold(latency, predicted, adopted, units, length, least=least, reference=reference_ms, seed=seed)
    finding = Finding.INSUFFICIENT if found is None else _finding(found)
    if found is not None and finding is Finding.INSUFFICIENT:
        seen, values = _trend(found).value, _spelled(found)
        students = Message(f"adoption.advice_power.{seen}", values)
        reason = students if source == "advice" else Message(f"adoption.power.{seen}", values)
    return Adoption(
        source=source,
        finding=finding,
        reason=reason,
        threshold=found,
        by_predicted=bins(predicted, adopted, won, units // length),
        by_latency=bins(latency, adopted, won, units // length),
        decisions=len(table),
        units=int(units.max()) + 1,
        block_length=length,
        reference_ms=reference_ms,
        seed=seed,
    )


def of_bundle(bundle: StrategyBundle, seed: int = 0) -> Adoption | None:
    """The bundle's own log examined against its budget; None where it has no [decisions]."""
    table = bundle.tables.get("decisions")
    return None if table is None else examine(table, reference_ms=bundle.manifest.budget.ms, seed=seed)


def of_advice(seed: int = 0) -> Adoption | None:
    """The worked example: the students' log examined in the same way; None where its data are not at hand."""
    found = advice_log()
    if found is None:
        return None
    table, people = found
    middle = float(table["latency_ms"].median())
    return examine(table, reference_ms=middle, seed=seed, source="advice", units=people)


def days(times: pd.DatetimeIndex) -> Ints:
    """(n,) number of the day of each row; a log of few days is cut into 40 runs instead."""
    codes = np.unique(times.normalize(), return_inverse=True)[1]
    if codes.max() + 1 < FEWEST_UNITS:
        codes = np.arange(len(times)) * min(2 * FEWEST_UNITS, len(times)) // len(times)
    return codes.astype(np.intp)


def _too_small(latency: Floats, adopted: Floats, units: Ints, least: int) -> Message | None:
    """Why the log cannot be examined, or None."""
    yes = int(adopted.sum())
    places = len(candidates(latency, least).at)
    counted = {
        "decisions": (len(adopted), FEWEST),
        "yes": (yes, FEWEST_EACH),
        "no": (len(adopted) - yes, FEWEST_EACH),
        "units": (int(units.max()) + 1, FEWEST_UNITS),
        "places": (places, FEWEST_PLACES),
    }
    for name, (count, needed) in counted.items():
        if count < needed:
            return Message(f"adoption.few.{name}", {"count": count, "needed": needed})
    return None


def _finding(found: Threshold) -> Finding:
    if found.p_value <= LEVEL:
        return Finding.BREAK
    if found.smallest > WORTH_SEEING:
        return Finding.INSUFFICIENT
    return _trend(found)


def _trend(found: Threshold) -> Finding:
    if found.trend_p_value > LEVEL:
        return Finding.NONE
    return Finding.DECLINE if found.trend < 0 else Finding.RISE


def bins(by: Floats, adopted: Floats, won: Floats, blocks: Ints) -> tuple[Bin, ...]:
    """At most ten bins of about as many decisions each, equal values together."""
    edges = np.unique(np.quantile(by, np.linspace(0, 1, BINS + 1)))
    part = np.clip(np.searchsorted(edges, by, side="left") - 1, 0, max(len(edges) - 2, 0))
    members = [part == i for i in np.unique(part)]
    return tuple(
        Bin(
            float(by[rows].min()),
            float(by[rows].max()),
            float(by[rows].mean()),
            rate(adopted, rows, blocks),
            rate(won, rows & np.isfinite(won), blocks),
        )
        for rows in members
    )


def rate(y: Floats, rows: NDArray[np.bool_], blocks: Ints) -> Rate:
    """The share of 1 among `rows`, with Wilson's interval (1927) on the count that is left after the blocks' design effect (Kish 1965)."""
    count = int(rows.sum())
    if not count:
        return Rate(np.nan, np.nan, np.nan, 0)
    p = float(y[rows].mean())
    sums = np.bincount(blocks[rows], y[rows] - p)
    groups = len(np.unique(blocks[rows]))
    variance = float((sums**2).sum()) / count**2 * groups / max(groups - 1, 1)
    effective = min(count, p * (1 - p) / variance) if variance > 0 else count
    z2 = NORMAL**2 / effective
    centre = (p + z2 / 2) / (1 + z2)
    reach = NORMAL / (1 + z2) * float(np.sqrt(p * (1 - p) / effective + z2 / (4 * effective)))
    return Rate(p, max(0.0, centre - reach), min(1.0, centre + reach), count)


def _key(finding: Finding, found: Threshold) -> str:
    return "step_up" if finding is Finding.BREAK and found.drop < 0 else finding.value


def _spelled(found: Threshold) -> Mapping[str, object]:
    """The numbers of a sentence as the reader sees them."""
    size = 1 if found.drop >= 0 else -1
    low, high = sorted(size * end for end in found.drop_interval)
    return {
        "at": f"{found.at:,.0f}",
        "at_low": f"{found.at_interval[0]:,.0f}",
        "at_high": f"{found.at_interval[1]:,.0f}",
        "seconds": f"{found.at / 1000:.1f}",
        "seconds_low": f"{found.at_interval[0] / 1000:.1f}",
        "seconds_high": f"{found.at_interval[1] / 1000:.1f}",
        "drop": f"{size * found.drop:.0%}",
        "drop_low": f"{low:.0%}".replace("-", "−"),
        "drop_high": f"{high:.0%}".replace("-", "−"),
        "below": f"{found.below:.0%}",
        "above": f"{found.above:.0%}",
        "smallest": f"{found.smallest:.0%}",
        "reference": f"{found.at_reference:,.0f}",
    }


def _threshold_form(found: Threshold) -> dict[str, Any]:
    return {
        "p_value": found.p_value,
        "at_ms": found.at,
        "at_ms_interval": list(found.at_interval),
        "adopted_below": found.below,
        "adopted_above": found.above,
        "drop": found.drop,
        "drop_interval": list(found.drop_interval),
        "trend": found.trend,
        "trend_p_value": found.trend_p_value,
        "smallest_drop": found.smallest,
        "smallest_drop_at_ms": found.at_reference,
    }


def _bin_form(each: Bin) -> dict[str, Any]:
    return {"low": each.low, "high": each.high, "mean": each.mean, "count": each.adopted.count} | {
        name: None if not of.count else {"share": of.value, "low": of.low, "high": of.high, "count": of.count}
        for name, of in (("adopted", each.adopted), ("won", each.won))
    }
