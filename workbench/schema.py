"""The nouns: what goes in (`StrategyBundle`), what comes out (`Explanation`, `AuditReport`), and the words for what went wrong.

Everything here is frozen. Arrays are float64; n counts rows, d features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.manifest import Manifest
from workbench.text import say, text

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Message:
    """A sentence to be: a key of words/*.toml and what goes into its placeholders. `text.say` speaks it."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the input: where it stands and, by `key` and `values`, what was expected and what to do."""

    key: str
    file: str
    place: str | None = None
    row: int | None = None
    values: Mapping[str, object] = field(default_factory=dict)

    def spoken(self, lang: str = "en") -> str:
        """One line: where it stands, then the sentence."""
        where = [self.file, *([self.place] if self.place else [])]
        where += [text("outcome.row", lang, row=self.row)] if self.row is not None else []
        return f"{', '.join(where)}: {say(self, lang)}"


def finite(number: float | None) -> float | None:
    """A plain float for JSON, or None where there is no finite number."""
    return float(number) if number is not None and np.isfinite(number) else None


class BadInputError(Exception):
    """The input is bad (exit status 2); every fault found is listed."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{f.file}: {f.key} {dict(f.values)}" for f in faults))
        self.faults = tuple(faults)


class WordedError(Exception):
    """An error with a sentence for the reader."""

    def __init__(self, message: Message) -> None:
        super().__init__(f"{message.key} {dict(message.values)}")
        self.message = message


class ModelFailedError(WordedError):
    """The model failed, crashed or hung while it was run (exit status 3); the program itself goes on."""


@dataclass(frozen=True)
class ModelFile:
    """A model of the bundle: the file, and from which decision on it was live (None: from the beginning)."""

    name: str
    path: Path
    format: str
    sha256: str
    since: pd.Timestamp | None = None
    train_end: pd.Timestamp | None = None
    entry: str | None = None


@dataclass(frozen=True)
class Panel:
    """One row a decision, sorted by time (and entity). `table` holds every column; numbers are float64, missing is NaN."""

    times: pd.DatetimeIndex
    table: pd.DataFrame
    features: tuple[str, ...]
    entities: NDArray[np.str_] | None = None
    label: str | None = None
    horizon: int | None = None

    @cached_property
    def X(self) -> Floats:  # noqa: N802 - the field's name for it
        """(n, d) feature values in the model's order."""
        return self.table[list(self.features)].to_numpy(np.float64)

    @cached_property
    def y(self) -> Floats:
        """(n,) labels; NaN where the label is not known yet."""
        return self.table[self.label].to_numpy(np.float64) if self.label else np.full(len(self.table), np.nan)


@dataclass(frozen=True)
class Returns:
    """Simple periodic returns as fractions, indexed by time: `table` has the manifest's roles as columns, `factors` the factor names."""

    table: pd.DataFrame
    factors: pd.DataFrame
    periods_per_year: float
    valuation: str | None = None


@dataclass(frozen=True)
class StrategyBundle:
    """The thing under review. `models` are ordered by `since`; `tables` holds decisions, holdings, … under the manifest's names."""

    folder: Path
    manifest: Manifest
    models: tuple[ModelFile, ...]
    panel: Panel
    returns: Returns | None
    tables: Mapping[str, pd.DataFrame]
    panel_sha256: str
    bundle_sha256: str
    notes: tuple[Message, ...] = ()

    @property
    def name(self) -> str:
        """The name in reports and records."""
        return self.manifest.bundle.name

    def served_by(self, times: pd.DatetimeIndex | None = None) -> NDArray[np.intp]:
        """(n,) position in `models` of the model that was live at each decision (default: the panel's); the oldest before any was live."""
        times = self.panel.times if times is None else times
        starts = pd.DatetimeIndex([m.since for m in self.models[1:]])
        return np.searchsorted(starts.to_numpy(), times.to_numpy(), side="right").astype(np.intp)

    def family(self, feature: str) -> str:
        """The feature's declared family, or `other`."""
        section = self.manifest.features.get(feature)
        return section.family if section else "other"


@dataclass(frozen=True)
class Attributions:
    """Exact Shapley values of many rows: values (n, d), base_values (n,), and the model's own predictions (n,)."""

    values: Floats
    base_values: Floats
    predictions: Floats


@dataclass(frozen=True)
class Explanation:
    """One decision explained, under shap's names. A value's `std_error` is 0 only where the value is exact."""

    values: Floats
    base_values: float
    data: Floats
    feature_names: tuple[str, ...]
    std_error: Floats
    prediction: float | None
    method: str
    asked: str
    output: str
    exact: bool
    complete: bool
    additivity_gap: float | None
    budget_ms: float
    elapsed_ms: float
    stages_ms: Mapping[str, float]
    bundle: str
    time: str
    families: tuple[str, ...]
    model_sha256: str
    panel_sha256: str
    entity: str | None = None
    samples: int | None = None
    fit_r2: float | None = None
    stability: float | None = None
    model: str = ""
    why: Message | None = None
    background: Mapping[str, object] = field(default_factory=dict)
    reason: Message | None = None
    warnings: tuple[Message, ...] = ()
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def within_budget(self) -> bool:
        """Whether values came, and by the deadline."""
        return len(self.values) > 0 and self.elapsed_ms <= self.budget_ms

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """The machine's form of `explain --json`; sentences in `lang`, numbers that are not finite as None."""
        each = zip(self.feature_names, self.data, self.values, self.std_error, self.families, strict=True)
        features = [
            {"name": name, "value": finite(x), "contribution": float(v), "std_error": float(e), "family": family}
            for name, x, v, e, family in each
        ]
        plain = "bundle method asked output exact complete samples budget_ms elapsed_ms within_budget seed model"
        return {name: getattr(self, name) for name in f"{plain} model_sha256 panel_sha256".split()} | {
            "row": {"time": self.time, "entity": self.entity},
            "prediction": finite(self.prediction),
            "base_value": finite(self.base_values),
            "features": features,
            "additivity_gap": self.additivity_gap,
            "fit_r2": self.fit_r2,
            "stability": self.stability,
            "background": dict(self.background),
            "stages_ms": dict(self.stages_ms),
            "why": None if self.why is None else say(self.why, lang),
            "reason": None if self.reason is None else say(self.reason, lang),
            "warnings": [say(w, lang) for w in self.warnings],
            "versions": dict(self.versions),
        }

    def to_shap(self) -> Any:
        """The same as a `shap.Explanation`, for shap's own plots (needs the shap package)."""
        import shap  # noqa: PLC0415 - heavy, and only for those who ask

        return shap.Explanation(
            values=self.values, base_values=self.base_values, data=self.data, feature_names=list(self.feature_names)
        )


class Outcome(StrEnum):
    """How a check ended. `insufficient`: it ran but could not have seen the fault; `not_run`: an input is missing."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
    NOT_RUN = "not_run"
    ERROR = "error"


@dataclass(frozen=True)
class Table:
    """Evidence to look at: `kind` names the figure in charts/evidence.py, `columns` its data, `lines` its reference values.

    Series and columns are named by keys; the check's TOML has the words for them.
    """

    kind: str
    columns: Mapping[str, Sequence[Any]]
    lines: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """A fact without opinion: the statistic, its p-value if it is a test, and the smallest value that the sample could have shown."""

    value: float
    p_value: float | None = None
    smallest_effect: float | None = None
    facts: Mapping[str, float | int | str | None] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)


class CannotMeasureError(WordedError):
    """A measure's input is missing or cannot serve: the finding is `not_run` with this reason."""


@dataclass(frozen=True)
class Finding:
    """A check's judgement on one bundle. `outcome` is by the raw p-value, `adjusted_outcome` by Holm's: it makes the verdict."""

    code: str
    outcome: Outcome
    adjusted_outcome: Outcome
    measurement: Measurement | None
    p_adjusted: float | None
    reason: Message | None
    elapsed_ms: float


@dataclass(frozen=True)
class AuditReport:
    """A checklist executed on a bundle: every check exactly once, in the checklist's order."""

    bundle: str
    checklist: str
    version: str
    verdict: Outcome
    findings: tuple[Finding, ...]
    model_sha256: str
    panel_sha256: str
    bundle_sha256: str
    seed: int
    started: str
    elapsed_ms: float
