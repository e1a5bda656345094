"""bundle.toml as types: what may stand in a manifest, and what is meant where nothing stands.

The keys are the contract. An unknown key is an error; `bundles.py` turns each of pydantic's complaints into a sentence with the
place and the nearest known key.
"""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints, model_validator

# Strict: a number is not a date, and true is not 1.
Number = Annotated[float, Strict()]
Count = Annotated[int, Strict()]
Share = Annotated[Number, Field(ge=0, le=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
Moment = Annotated[datetime, Strict()] | Annotated[date, Strict()] | Annotated[str, Strict()]
Factor = Literal["equity", "duration", "credit", "convertible"]
Family = Literal["rates", "credit", "equity", "convertible", "macro", "fx", "volatility", "momentum", "other"]


class Section(BaseModel):
    """A table of the manifest: frozen, and closed to keys that the contract does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(Section):
    """The same words in both languages."""

    en: str
    zh: str


class BundleSection(Section):
    """[bundle]."""

    name: Name
    title: Words | None = None
    description: str | None = None


class Refit(Section):
    """[[model.refits]]: a model that was live from `from`."""

    file: str
    since: Moment = Field(alias="from")
    train_end: Moment


class ModelSection(Section):
    """[model]."""

    file: str | None = None
    format: Literal["lightgbm", "xgboost", "catboost", "sklearn", "onnx", "python"]
    task: Literal["regression", "classification", "anomaly"] = "regression"
    entry: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    refits: tuple[Refit, ...] = ()

    @model_validator(mode="after")
    def _file_or_entry(self) -> "ModelSection":
        needed = "entry" if self.format == "python" else "file"
        if getattr(self, needed) is None:
            raise ValueError(f'format = "{self.format}" needs the key `{needed}`')
        return self


class PanelSection(Section):
    """[panel]."""

    file: str
    time: str
    entity: str | None = None
    features: tuple[str, ...] | None = Field(default=None, min_length=1)
    label: str | None = None
    horizon: Count | None = Field(default=None, ge=1)


class FeatureSection(Section):
    """[features.NAME]."""

    family: Family = "other"
    published_lag_days: Count | None = Field(default=None, ge=0)
    revised: Annotated[bool, Strict()] = False
    lag_of: str | None = None
    lag: Count | None = Field(default=None, ge=0)
    label: Words | None = None
    unit: str | None = None


class SplitSection(Section):
    """[split]."""

    train_end: Moment
    valid_end: Moment | None = None
    validation: Literal["walk_forward", "purged", "blocked", "shuffled", "none"] = "none"
    embargo: Count = Field(default=0, ge=0)
    trials: Count | None = Field(default=None, ge=1)
    trial_returns: str | None = None


class ReturnsSection(Section):
    """[returns] and [returns.factors]."""

    file: str
    time: str
    strategy: str
    gross: str | None = None
    benchmark: str | None = None
    position: str | None = None
    underlying: str | None = None
    valuation: Literal["third_party_t0", "third_party_t1", "close", "own_model", "smoothed"] | None = None
    turnover: str | None = None
    periods_per_year: Number = Field(default=252, gt=0)
    factors: dict[Factor, str] = {}


class MandateSection(Section):
    """[mandate]."""

    equity_max: Share | None = None
    max_drawdown: Share | None = None
    attribution_max: dict[Family, Share] = {}


class DecisionsSection(Section):
    """[decisions]."""

    file: str
    time: str
    predicted: str
    latency_ms: str
    adopted: str
    outcome: str | None = None


class BudgetSection(Section):
    """[budget]."""

    ms: Number = Field(default=800, gt=0)


class DatedTable(Section):
    """[holdings]."""

    file: str
    time: str


class PlainTable(Section):
    """[universe], [vintages]."""

    file: str


class FeaturesCode(Section):
    """[features_code]."""

    entry: str
    raw: str


class ClaimedMetric(Section):
    """metric = { name, value } of [claims]."""

    name: str
    value: Number


class ClaimsSection(Section):
    """[claims]."""

    alpha: Number | None = None
    win_rate: Share | None = None
    metric: ClaimedMetric | None = None


class GovernanceSection(Section):
    """[governance]."""

    author: str | None = None
    validator: str | None = None
    approver: str | None = None
    approved: Moment | None = None
    expires: Moment | None = None
    report_sha256: str | None = None


class EvidenceSection(Section):
    """[evidence]."""

    minutes: tuple[str, ...] = ()
    figures: Literal["real", "public_data", "reconstructed"] | None = None


class Manifest(Section):
    """The whole of bundle.toml."""

    bundle: BundleSection
    model: ModelSection
    panel: PanelSection
    features: dict[str, FeatureSection] = {}
    split: SplitSection | None = None
    returns: ReturnsSection | None = None
    mandate: MandateSection | None = None
    decisions: DecisionsSection | None = None
    budget: BudgetSection = BudgetSection()
    holdings: DatedTable | None = None
    universe: PlainTable | None = None
    vintages: PlainTable | None = None
    features_code: FeaturesCode | None = None
    claims: ClaimsSection | None = None
    governance: GovernanceSection | None = None
    evidence: EvidenceSection = EvidenceSection()
