"""The parts done on a Dask cluster: each of its worker processes keeps a desk, so that model code runs in a child of its own there too.

A task is a part. Bundle and folder are reached by the same path everywhere; only receipts travel.
"""

import atexit
import hashlib
import threading
from collections.abc import Generator, Sequence
from functools import cache
from typing import Any

from workbench import __version__
from workbench.desk import BATCH_ROWS, Desk
from workbench.foreign import shown
from workbench.panel.compiled import compiled
from workbench.panel.job import Job, said
from workbench.panel.part import Receipt, explain_part
from workbench.reading.stream import Reader, Stream
from workbench.schema import BadInputError, Fault, Message, ModelFailedError

CONNECT_S, WORKERS_S = 10, 30

# What a task gives back: faults and failures as what they are made of, because an exception does not travel well.
Outcome = Receipt | tuple[Fault, ...] | Message

_kept = threading.local()


def on_cluster(job: Job, parts: Sequence[int], address: str) -> Generator[Receipt, None, None]:
    """Receipts as they come. A worker that is lost has its part done again by another; a part that costs several is told."""
    client = _client(address)
    from distributed import as_completed  # noqa: PLC0415 - heavy, and only for those who ask

    left = set(client.map(serve_part, parts, job=job, pure=False))
    try:
        for future in as_completed(list(left)):
            receipt = _received(future)
            left.remove(future)
            future.release()  # what the cluster need not keep it does not make again when its keeper is lost
            yield receipt
    finally:
        client.cancel(list(left))
        client.close()


def _client(address: str) -> Any:
    """A client of the cluster. Raises `BadInputError` where there is none, or nobody in it."""
    try:
        import distributed  # noqa: PLC0415 - heavy, and only for those who ask
    except ModuleNotFoundError as missing:
        raise BadInputError([Fault("panel.no_library", "--scheduler")]) from missing
    where = shown(address, 100)
    try:
        client = distributed.Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise BadInputError([Fault("panel.no_scheduler", "--scheduler", values={"address": where})]) from error
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError as error:
        client.close()
        values = {"address": where, "seconds": WORKERS_S}
        raise BadInputError([Fault("panel.no_workers", "--scheduler", values=values)]) from error
    return client


def _received(future: Any) -> Receipt:
    """A task's receipt. Raises what the task was told, or what became of the cluster."""
    from distributed import KilledWorker  # noqa: PLC0415

    try:
        outcome: Outcome = future.result()
    except KilledWorker as killed:
        raise ModelFailedError(Message("panel.killed", {"text": shown(killed.task, 300)})) from killed
    except Exception as error:
        values = {"kind": type(error).__name__, "text": shown(error, 300)}
        raise ModelFailedError(Message("panel.cluster", values)) from error
    if isinstance(outcome, Message):
        raise ModelFailedError(outcome)
    if isinstance(outcome, tuple):
        raise BadInputError(outcome)
    return outcome


def serve_part(part: int, job: Job) -> Outcome:
    """In a process of the cluster: explain one part with the desk, the models and the place in the panel that it keeps."""
    try:
        return explain_part(job, _desk(), _reader(job), part)
    except BadInputError as bad:
        return bad.faults
    except ModelFailedError as failed:
        return failed.message


def _reader(job: Job) -> Reader:
    """This thread's place in the panel. Raises `BadInputError` where this process does not see what the job was made from."""
    key = (job.bundle.bundle_sha256, job.stamp)
    if getattr(_kept, "key", None) != key:
        bundle = job.bundle
        path = bundle.folder / bundle.manifest.panel.file
        absent = [str(p) for p in (path, *(m.path for m in bundle.models), job.folder) if not p.exists()]
        if absent:
            raise BadInputError([Fault("panel.not_shared", shown(absent[0], 200))])
        kernels = compiled()
        for model in bundle.models:
            if hashlib.sha256(model.path.read_bytes()).hexdigest() != model.sha256:
                raise BadInputError([Fault("panel.changed", model.name)])
            here = {"workbench": __version__, **kernels, **dict([_desk().card(bundle, model)["library"]])}
            if here != job.versions():
                values = {"was": said(job.versions()), "now": said(here)}
                raise BadInputError([Fault("panel.other_versions", model.name, values=values)])
        _kept.reader = Reader(Stream(path, bundle.manifest.panel, bundle.panel.features), BATCH_ROWS)
        _kept.key = key
    reader: Reader = _kept.reader
    return reader


@cache
def _desk() -> Desk:
    desk = Desk()
    atexit.register(desk.close)
    return desk
