"""Which model was live from which decision on."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pandas as pd

from workbench.manifest import Manifest
from workbench.reading.complaints import FILE
from workbench.reading.paths import code_file
from workbench.schema import BadInputError, Fault, ModelFile, Panel


def in_line(
    manifest: Manifest,
    paths: Mapping[str, Path],
    hashes: Mapping[str, str],
    panel: Panel,
    moments: Mapping[str, pd.Timestamp],
) -> tuple[ModelFile, ...]:
    """The models by the first decision that they served; the current one takes over after the fit and its embargo."""
    model = manifest.model
    current = model.file if model.format != "python" or model.entry is None else code_file(model.entry)
    assert current is not None  # noqa: S101 - the manifest's types see to it

    def entry(name: str, since: pd.Timestamp | None, end: pd.Timestamp | None) -> ModelFile:
        return ModelFile(name, paths[name], model.format, hashes[name], since, end, model.entry)

    fitted = moments.get("split.train_end")
    if not model.refits:
        return (entry(current, None, fitted),)
    refits = [
        entry(refit.file, moments[f"model.refits.{i}.from"], moments[f"model.refits.{i}.train_end"])
        for i, refit in enumerate(model.refits)
    ]
    for i, (earlier, later) in enumerate(pairwise(refits), start=1):
        if earlier.since >= later.since:  # type: ignore[operator]
            raise BadInputError([Fault("fault.refits.order", FILE, f"model.refits.{i}.from")])
    if current in [refit.name for refit in refits]:
        if refits[-1].name != current:
            raise BadInputError([Fault("fault.refits.current_not_last", FILE, "model.file", values={"file": current})])
        return tuple(refits)
    since = _takes_over(panel, fitted, manifest.split.embargo if manifest.split else 0)
    if since is None or since <= refits[-1].since:  # type: ignore[operator]
        raise BadInputError([Fault("fault.refits.current_when", FILE, "model.refits", values={"file": current})])
    return (*refits, entry(current, since, fitted))


def _takes_over(panel: Panel, fitted: pd.Timestamp | None, embargo: int) -> pd.Timestamp | None:
    """The first decision after `fitted` and `embargo` more; the day after the panel where there is none."""
    if fitted is None:
        return None
    decisions = panel.times.unique()
    at = int(decisions.searchsorted(fitted, side="right")) + embargo
    return decisions[at] if at < len(decisions) else decisions[-1] + pd.Timedelta(days=1)
