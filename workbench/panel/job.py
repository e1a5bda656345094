"""What is to be done: the rows cut into parts, the settings that make the result, and how far a row's sum may miss its prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench import __version__
from workbench.decision import spoken_time
from workbench.desk import BATCH_ROWS, Desk
from workbench.panel.compiled import compiled
from workbench.reading.stream import Reader, Stream
from workbench.schema import BadInputError, Fault, Floats, StrategyBundle

METHOD = "tree_shap"
MOST_PARTS = 10_000
# The spread of a model's output is taken over so many rows, in runs spaced evenly over the panel.
SAMPLE_RUNS, RUN_ROWS = 5, 200


@dataclass(frozen=True)
class Limit:
    """How far base + sum may miss a prediction p: `precision` (spread + |p|); `gaps`: whether the model takes missing values."""

    precision: float
    spread: float
    gaps: bool
    library: Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """What whoever explains a part has to know. Nothing in it depends on who that is, so the result does not either.

    `bundle` holds no rows; `stamp` tells whether the panel's file is still the one that was checked; `limits` by model's sha256.
    """

    bundle: StrategyBundle
    folder: Path
    rows: int
    rows_per_part: int
    single: bool
    stamp: tuple[int, int]
    limits: Mapping[str, Limit]
    kernels: Mapping[str, str]
    version: str = __version__

    @property
    def parts(self) -> range:
        """The numbers of all parts."""
        return range(-(-self.rows // self.rows_per_part))

    def bounds(self, part: int) -> tuple[int, int]:
        """First row of a part and the one after its last, counted from 0."""
        return part * self.rows_per_part, min((part + 1) * self.rows_per_part, self.rows)

    def file(self, part: int) -> Path:
        """Where a part is written."""
        return self.folder / f"part-{part:05}.parquet"

    def facts(self) -> dict[str, object]:
        """What makes the values: a reader of a part finds it in the file's metadata."""
        models = (
            {"name": m.name, "sha256": m.sha256, "from": None if m.since is None else spoken_time(m.since)}
            for m in self.bundle.models
        )
        return {
            "bundle": self.bundle.name,
            "method": METHOD,
            "panel_sha256": self.bundle.panel_sha256,
            "models": list(models),
            "versions": self.versions(),
        }

    def versions(self) -> dict[str, str]:
        """Whose values these are."""
        found = {"workbench": self.version, **self.kernels}
        for limit in self.limits.values():
            found |= limit.library
        return found

    def settings(self) -> dict[str, object]:
        """The facts and how they are laid out in files: a folder holds parts of one such set only."""
        kind = "float32" if self.single else "float64"
        return self.facts() | {"rows": self.rows, "rows_per_part": self.rows_per_part, "numbers": kind}


def said(versions: Mapping[str, str]) -> str:
    """Versions in a sentence.

    >>> said({"workbench": "1.0", "lightgbm": "4.6"})
    'workbench 1.0, lightgbm 4.6'
    """
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def prepare(
    bundle: StrategyBundle, stream: Stream, folder: Path, desk: Desk, *, rows_per_part: int, single: bool
) -> Job:
    """Ask each model what it can do and how far its output spreads. Raises `BadInputError`, ModelFailedError."""
    faults = []
    taken = {stream.section.time, stream.section.entity, "prediction", "base_value"}
    clash = [name for name in bundle.panel.features if name in taken]
    if clash:
        faults.append(Fault("panel.name_taken", stream.file, clash[0]))
    if -(-stream.rows // rows_per_part) > MOST_PARTS:
        values = {"rows": stream.rows, "most": MOST_PARTS, "least": -(-stream.rows // MOST_PARTS)}
        faults.append(Fault("panel.too_many_parts", "--rows-per-part", values=values))
    sample, kernels, limits = _sample(stream), compiled(), {}
    for model in bundle.models:
        card = desk.card(bundle, model)
        if METHOD not in card["methods"]:
            values = {"method": METHOD, "known": ", ".join(card["methods"])}
            raise BadInputError([*faults, Fault("desk.not_applicable", model.name, values=values)])
        known = sample if card["takes_missing"] else sample[~np.isnan(sample).any(axis=1)]
        output = desk.attributions(bundle, known, model).predictions if len(known) else np.zeros(1)
        spread = float(np.std(output[np.isfinite(output)])) if np.isfinite(output).any() else 0.0
        library = dict([card["library"]] if card["library"] else [])
        limits[model.sha256] = Limit(float(card["precision"]), spread, bool(card["takes_missing"]), library)
    if faults:
        raise BadInputError(faults)
    return Job(bundle, folder, stream.rows, rows_per_part, single, stream.stamp, limits, kernels)


def _sample(stream: Stream) -> Floats:
    """(n, d) rows from all over the panel, the same ones whatever the parts."""
    starts = np.linspace(0, max(stream.rows - RUN_ROWS, 0), SAMPLE_RUNS).astype(int)
    with Reader(stream, BATCH_ROWS) as reader:
        runs = (rows.X for at in np.unique(starts) for rows in reader.rows(at, min(at + RUN_ROWS, stream.rows)))
        return np.concatenate(list(runs))
