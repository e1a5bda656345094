"""The desk hands out work to workers, keeps the deadline, and kills what overruns. The app process never runs a model."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench import decision, explain
from workbench.budget import Clock, Deadline
from workbench.ledger import Ledger
from workbench.request import Request
from workbench.schema import (
    Attributions,
    BadInputError,
    Explanation,
    Fault,
    Floats,
    Message,
    ModelFailedError,
    ModelFile,
    StrategyBundle,
)
from workbench.supervisor import ModelRaisedError, Supervisor, WorkerGoneError, WorkerProcess
from workbench.text import words
from workbench.wire import Arrays, Head

LOAD_MS = 30_000
BATCH_MS = 600_000
BATCH_ROWS = 1000
# Kept back from a worker's share of the budget for the way home, so that what it has is here before the deadline.
RETURN_SHARE, RETURN_MS = 0.05, 20.0
POSTS = 8


@dataclass
class _Post:
    """A bundle's place at the desk: its worker, what that worker has loaded, and whose turn it is."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    worker: WorkerProcess | None = None
    loaded: dict[str, Head] = field(default_factory=dict)

    def dismiss(self) -> None:
        """End the worker, if there is one."""
        if self.worker is not None:
            self.worker.kill()


class Desk:
    """Holds the models in workers of their own; a context manager.

    `ledger` keeps a record of every explanation. `clock` is for tests.
    """

    def __init__(self, ledger: Ledger | None = None, *, clock: Clock = monotonic) -> None:
        self._supervisor = Supervisor()
        self._posts: dict[tuple[str, str], _Post] = {}
        self._lock = threading.Lock()
        self._clock = clock
        self.ledger = ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let all workers go and write what the ledger still has to hold."""
        with self._lock:
            for post in self._posts.values():
                post.dismiss()
            self._posts.clear()
        self._supervisor.close()
        if self.ledger is not None:
            self.ledger.flush()

    def explain(
        self,
        bundle: StrategyBundle,
        at: str | pd.Timestamp | None = None,
        entity: str | None = None,
        method: str = "auto",
        *,
        budget_ms: float | None = None,
        seed: int = 0,
        record: bool = True,
    ) -> Explanation:
        """Explain one decision; returns by the deadline, whatever the model does.

        Args:
            bundle: The strategy under review.
            at: The decision's time; default: the last row.
            entity: The instrument, where the panel has several a date.
            method: `auto` or one of `explain.methods()`.
            budget_ms: Default: the bundle's own budget.
            seed: Of background and sampling.
            record: Whether the ledger, if there is one, keeps the answer; no for calls that only measure.

        Returns:
            The best explanation known at the deadline. Where nothing came, one without values and with a `reason`.

        Raises:
            BadInputError: No such decision, or no such method.

        """
        if method != "auto" and method not in explain.methods():
            known = ", ".join(("auto", *explain.methods()))
            raise BadInputError([Fault("desk.no_such_method", "--method", values={"method": method, "known": known})])
        position = decision.locate(bundle, at, entity)
        deadline = Deadline(budget_ms or bundle.manifest.budget.ms, self._clock)
        request = Request(bundle, position, method, seed, deadline)
        try:
            self._answer(request)
        except TimeoutError:
            request.reason = Message("desk.deadline", {"budget": deadline.ms})
        except (WorkerGoneError, ModelRaisedError) as error:
            request.reason = _reason(error, request.model)
        explanation = request.explanation()
        if self.ledger is not None and record:
            self.ledger.append("explanation", explanation.to_dict())
        return explanation

    def _answer(self, request: Request) -> None:
        """Queue, load if need be, ask; `request` keeps the best that came, even when an error ends it."""
        deadline, model = request.deadline, request.model
        with self._turn(request.bundle, "live", deadline.left_ms()) as post:
            request.stages["queue"] = deadline.elapsed_ms()
            try:
                worker, card = self._ready(request.bundle, post, model)
            finally:
                request.stages["load"] = deadline.elapsed_ms() - request.stages["queue"]
            if not request.choose(card):
                return
            arrays = request.arrays()
            left = max(deadline.left_ms() + request.stages["load"], 1.0)
            own = max(left - min(RETURN_MS, RETURN_SHARE * deadline.ms), 1.0)
            head = {"op": "explain", "model": model.sha256, "method": request.method, "seed": request.seed}
            for reply, numbers in worker.ask(head | {"budget_ms": own}, arrays, left):
                request.note(reply, numbers)

    def predict(self, bundle: StrategyBundle, rows: Floats, model: ModelFile) -> Floats:
        """Predictions (n,) for rows (n, d) in the panel's feature order. Raises ModelFailedError."""
        return self._batch(bundle, model, "predict", rows)["predictions"]

    def attributions(self, bundle: StrategyBundle, rows: Floats, model: ModelFile) -> Attributions:
        """Exact Shapley values of many rows (n, d). Raises ModelFailedError, also where the model has no exact method."""
        return Attributions(**self._batch(bundle, model, "attributions", rows))

    def refit(
        self,
        bundle: StrategyBundle,
        rows: Floats,
        y: Floats,
        train: NDArray[np.bool_],
        test: NDArray[np.bool_],
        *,
        model: ModelFile,
        seed: int = 0,
    ) -> Floats:
        """Out-of-fold predictions (n,) of the same learner; masks (k, n); NaN where never tested.

        Raises ModelFailedError, also where the model's format cannot be fitted anew.
        """
        arrays = {"rows": rows, "y": y, "train": train, "test": test}
        return self._ask(bundle, model, {"op": "refit", "seed": seed}, arrays)["predictions"]

    def _batch(self, bundle: StrategyBundle, model: ModelFile, operation: str, rows: Floats) -> Arrays:
        """Ask in chunks, so that no message grows without bound, and join the answers."""
        starts = range(0, max(len(rows), 1), BATCH_ROWS)
        chunks = [self._ask(bundle, model, {"op": operation}, {"rows": rows[i : i + BATCH_ROWS]}) for i in starts]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}

    def _ask(self, bundle: StrategyBundle, model: ModelFile, head: Head, arrays: Arrays) -> Arrays:
        """One request to the bundle's batch worker: explanations for people do not wait behind it."""
        try:
            with self._turn(bundle, "batch", BATCH_MS) as post:
                worker, _ = self._ready(bundle, post, model)
                return [numbers for _, numbers in worker.ask(head | {"model": model.sha256}, arrays, BATCH_MS)][-1]
        except TimeoutError as late:
            raise ModelFailedError(Message("desk.hung", {"file": model.name, "seconds": BATCH_MS / 1000})) from late
        except (WorkerGoneError, ModelRaisedError) as error:
            raise ModelFailedError(_reason(error, model)) from error

    @contextmanager
    def _turn(self, bundle: StrategyBundle, kind: str, wait_ms: float) -> Iterator[_Post]:
        """The bundle's post, as soon as it is free; TimeoutError if that takes longer than `wait_ms`."""
        key = (bundle.bundle_sha256, kind)
        with self._lock:
            post = self._posts.pop(key, None) or _Post()
            idle = [k for k, p in self._posts.items() if not p.lock.locked()]
            for k in idle[: max(len(self._posts) + 1 - POSTS, 0)]:
                self._posts.pop(k).dismiss()
            self._posts[key] = post  # the last one is the most recently used
        if not post.lock.acquire(timeout=max(wait_ms, 0) / 1000):
            raise TimeoutError
        try:
            yield post
        finally:
            post.lock.release()

    def _ready(self, bundle: StrategyBundle, post: _Post, model: ModelFile) -> tuple[WorkerProcess, Head]:
        """A living worker that has loaded `model`, and what it said of it."""
        if post.worker is None or not post.worker.alive:
            post.worker, post.loaded = self._supervisor.hire(), {}
        if model.sha256 not in post.loaded:
            head: Head = {"op": "load", "model": model.sha256, "format": model.format, "path": str(model.path)}
            head |= {"entry": model.entry, "features": list(bundle.panel.features)}
            try:
                for card, _ in post.worker.ask(head, {}, LOAD_MS):
                    post.loaded[model.sha256] = card
            except TimeoutError as late:
                said = {"key": "desk.hung", "values": {"file": model.name, "seconds": LOAD_MS / 1000}}
                raise ModelRaisedError(said) from late
        return post.worker, post.loaded[model.sha256]


def _reason(error: WorkerGoneError | ModelRaisedError, model: ModelFile) -> Message:
    if isinstance(error, WorkerGoneError):
        return Message("desk.crashed", {"file": model.name})
    if error.said.get("key") in words():
        return Message(error.said["key"], error.said["values"])
    said = {name: str(error.said.get(name)) for name in ("kind", "text")}
    return Message("desk.raised", {"file": model.name, **said})
