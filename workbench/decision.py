"""One decision and what was known when it was taken: its row, the model that was live, earlier rows, the trained range."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.schema import BadInputError, Fault, Floats, ModelFile, StrategyBundle

BLOCK = 5


def spoken_time(moment: pd.Timestamp) -> str:
    """ISO form, without a time of day where there is none.

    >>> spoken_time(pd.Timestamp("2022-10-13")), spoken_time(pd.Timestamp("2022-10-13 14:30"))
    ('2022-10-13', '2022-10-13T14:30:00')
    """
    return moment.date().isoformat() if moment == moment.normalize() else moment.isoformat()


def locate(bundle: StrategyBundle, at: str | pd.Timestamp | None = None, entity: str | None = None) -> int:
    """The row of the decision taken `at` (default: the last). Raises BadInputError naming the nearest decisions."""
    panel, file = bundle.panel, bundle.manifest.panel.file
    fits = np.ones(len(panel.times), bool)
    if entity is not None:
        fits = panel.entities == entity if panel.entities is not None else np.zeros(len(fits), bool)
        if not fits.any():
            known = ", ".join(sorted(set(panel.entities))[:10]) if panel.entities is not None else "-"
            raise BadInputError([Fault("desk.no_such_entity", file, values={"entity": entity, "known": known})])
    if at is None:
        return int(np.flatnonzero(fits)[-1])
    try:
        moment = pd.Timestamp(at)
    except ValueError as error:
        raise BadInputError([Fault("desk.not_a_time", "--at", values={"at": at})]) from error
    found = np.flatnonzero(fits & (panel.times == moment))
    if len(found) == 0:
        times = panel.times[fits]
        around = [spoken_time(t) for t in (*times[times < moment][-1:], *times[times > moment][:1])]
        values = {"at": spoken_time(moment), "nearest": ", ".join(around)}
        raise BadInputError([Fault("desk.no_such_time", file, place=bundle.manifest.panel.time, values=values)])
    if len(found) > 1 and panel.entities is not None:
        values = {"at": spoken_time(moment), "known": ", ".join(panel.entities[found][:10])}
        raise BadInputError([Fault("desk.which_entity", file, place=bundle.manifest.panel.entity, values=values)])
    return int(found[0])


def live_model(bundle: StrategyBundle, position: int) -> ModelFile:
    """The model that was live when the decision in row `position` was taken."""
    return bundle.models[int(bundle.served_by()[position])]


def training_rows(bundle: StrategyBundle, model: ModelFile) -> NDArray[np.bool_]:
    """(n,) rows up to the model's train_end (the split's, where the model names none); all False where nothing is said."""
    end = model.train_end
    if end is None and bundle.manifest.split is not None:
        end = pd.Timestamp(bundle.manifest.split.train_end)
    if end is None:
        return np.zeros(len(bundle.panel.times), bool)
    return np.asarray(bundle.panel.times <= end)


@dataclass(frozen=True)
class Background:
    """The rows (b, d) that an explanation is set against: how many of how many, from when to when, drawn by which seed."""

    rows: Floats
    first: str
    last: str
    known: int
    seed: int

    def facts(self) -> dict[str, object]:
        """What a record says of it."""
        return {
            "rows": len(self.rows),
            "of": self.known,
            "first": self.first,
            "last": self.last,
            "block": BLOCK,
            "seed": self.seed,
        }


def background(
    bundle: StrategyBundle, position: int, seed: int, most: int = 100, *, missing: bool = True
) -> Background:
    """Up to `most` rows from before the decision, in blocks of BLOCK neighbours drawn by `seed`.

    Only rows that were known: an explanation may not borrow tomorrow either. For the very first decision, the row itself. Rows with missing
    values are left out unless `missing`.
    """
    times, X = bundle.panel.times, bundle.panel.X
    known = np.arange(int(np.searchsorted(times.to_numpy(), times.to_numpy()[position])))
    if not missing:
        known = known[np.isfinite(X[known]).all(axis=1)]
    chosen = known if len(known) else np.array([position])
    if len(chosen) > most:
        blocks = np.random.default_rng(seed).choice(len(known) // BLOCK, most // BLOCK, replace=False)
        chosen = known[(np.sort(blocks)[:, None] * BLOCK + np.arange(BLOCK)).ravel()]
    first, last = (spoken_time(times[int(chosen[i])]) for i in (0, -1))
    return Background(X[chosen], first, last, len(known), seed)


def outside_trained_range(bundle: StrategyBundle, model: ModelFile, row: Floats) -> tuple[str, ...]:
    """Names of the features whose value in row (d,) lies outside what the model's training rows held."""
    trained = bundle.panel.X[training_rows(bundle, model)]
    if not len(trained):
        return ()
    low, high = np.fmin.reduce(trained), np.fmax.reduce(trained)
    outside = (row < low) | (row > high)
    return tuple(np.array(bundle.panel.features)[outside])
