"""One part: its rows read, explained by the models that were live, checked, and written as a file that is whole or absent."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from workbench import durable
from workbench.desk import Desk
from workbench.manifest import PanelSection
from workbench.panel.job import Job
from workbench.reading.stream import Reader, Rows, stamp
from workbench.schema import Attributions, BadInputError, Fault, Floats, ModelFailedError, ModelFile

# A worker may die of something else than its rows; a part that costs three is at fault itself.
ATTEMPTS = 3
# So few rows may be reckoned in another order than many, which rounds otherwise; fewer are filled up with copies.
LEAST_ROWS = 64
NAMED_ROWS = 10


class StoppedError(Exception):
    """Nobody waits for the part any more."""


@dataclass(frozen=True)
class Receipt:
    """A part that stands in its file. `withheld` rows have no values, `named` are the first of them as the user counts."""

    part: int
    rows: int
    sha256: str
    withheld: int = 0
    named: tuple[int, ...] = ()


def explain_part(
    job: Job, desk: Desk, reader: Reader, part: int, stopped: Callable[[], bool] = lambda: False
) -> Receipt:
    """Explain and write a part. Raises `BadInputError`, ModelFailedError, StoppedError."""
    stream = reader.stream
    if stamp(stream.path) != job.stamp:
        raise BadInputError([Fault("panel.changed", stream.file)])
    start, stop = job.bounds(part)
    numbers = np.empty((2 + len(stream.features), stop - start), np.float32 if job.single else np.float64)
    times, entities, withheld, at = list[NDArray[np.datetime64]](), list[pa.Array](), list[int](), 0
    for rows in reader.rows(start, stop):
        if stopped():
            raise StoppedError
        found, bad = _explained(job, desk, rows, stopped)
        here = slice(at, at + len(rows.X))
        numbers[0, here], numbers[1, here], numbers[2:, here] = found.predictions, found.base_values, found.values.T
        times.append(rows.times.to_numpy())
        entities += [] if rows.entities is None else [rows.entities]
        withheld += (np.flatnonzero(bad) + start + at + stream.first_row).tolist()
        at += len(rows.X)
    content = _file(job, stream.section, np.concatenate(times), entities, numbers)
    durable.write(job.file(part), content)
    sha = hashlib.sha256(content).hexdigest()
    return Receipt(part, stop - start, sha, len(withheld), tuple(withheld[:NAMED_ROWS]))


def _explained(job: Job, desk: Desk, rows: Rows, stopped: Callable[[], bool]) -> tuple[Attributions, NDArray[np.bool_]]:
    """The rows' attributions, each by the model that was live, and which (n,) of them are withheld: NaN but for the prediction."""
    served = job.bundle.served_by(rows.times)
    live = np.unique(served)
    if len(live) == 1:
        return _by_one(job, desk, rows.X, job.bundle.models[live[0]], stopped)
    n, d = rows.X.shape
    whole, bad = Attributions(np.empty((n, d)), np.empty(n), np.empty(n)), np.empty(n, bool)
    for i in live:
        mine = served == i
        found, bad[mine] = _by_one(job, desk, rows.X[mine], job.bundle.models[i], stopped)
        whole.values[mine], whole.base_values[mine] = found.values, found.base_values
        whole.predictions[mine] = found.predictions
    return whole, bad


def _by_one(
    job: Job, desk: Desk, X: Floats, model: ModelFile, stopped: Callable[[], bool]
) -> tuple[Attributions, NDArray[np.bool_]]:
    """The same of one model: a row that does not add up, or that the model cannot take, is withheld."""
    limit = job.limits[model.sha256]
    gaps = np.zeros(len(X), bool) if limit.gaps else np.asarray(np.isnan(X).any(axis=1))
    found = _asked(job, desk, np.where(gaps[:, None], 0.0, X) if gaps.any() else X, model, stopped)
    gap = np.abs(found.base_values + found.values.sum(axis=1) - found.predictions)
    line = limit.precision * (limit.spread + np.abs(found.predictions))
    bad = gaps | np.logical_not((gap <= line) & np.isfinite(gap))
    if bad.any():
        found.values[bad], found.base_values[bad], found.predictions[gaps] = np.nan, np.nan, np.nan
    return found, bad


def _asked(job: Job, desk: Desk, X: Floats, model: ModelFile, stopped: Callable[[], bool]) -> Attributions:
    n = len(X)
    if n < LEAST_ROWS:
        X = np.resize(X, (LEAST_ROWS, X.shape[1]))
    for attempt in range(1, ATTEMPTS + 1):
        try:
            found = desk.attributions(job.bundle, X, model)
            return Attributions(found.values[:n], found.base_values[:n], found.predictions[:n])
        except ModelFailedError as failed:
            if stopped():
                raise StoppedError from failed
            if failed.message.key != "desk.crashed" or attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _file(
    job: Job,
    section: PanelSection,
    times: NDArray[np.datetime64],
    entities: list[pa.Array],
    numbers: NDArray[np.floating],
) -> memoryview:
    """The part as Parquet. Doubles that look random do not get smaller by packing, so they stand as they are."""
    time, entity = section.time, section.entity
    fixed = [(time, "time", pa.array(pd.DatetimeIndex(times)))]
    fixed += [(entity, "entity", pa.concat_arrays(entities))] if entity is not None else []
    names = [("prediction", "prediction"), ("base_value", "base_value")]
    names += [(name, "contribution") for name in job.bundle.panel.features]
    columns = fixed + [(name, role, pa.array(row)) for (name, role), row in zip(names, numbers, strict=True)]
    fields = [pa.field(name, data.type, metadata={"role": role}) for name, role, data in columns]
    schema = pa.schema(fields, {"workbench": json.dumps(job.facts(), ensure_ascii=False)})
    table, sink = pa.table([data for _, _, data in columns], schema), pa.BufferOutputStream()
    repeated = ["base_value", *([entity] if entity is not None else [])]
    how = {"compression": "none", "use_dictionary": repeated, "write_statistics": [time]}
    pyarrow.parquet.write_table(table, sink, row_group_size=len(times), write_batch_size=len(times), **how)
    return memoryview(sink.getvalue())
