"""The desk hands out work to workers, keeps the deadline, and kills what overruns. The app process never runs a model."""

import threading
from collections.abc import Callable, Hashable, Iterable
from time import monotonic
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench import decision, explain
from workbench.budget import Clock, Deadline
from workbench.ledger import Ledger
from workbench.line import LONGEST, Cancelled, LineFullError
from workbench.posts import BATCH_MS, Post, Posts, reason, told
from workbench.request import Request
from workbench.schema import (
    Attributions,
    BadInputError,
    Explanation,
    Fault,
    Floats,
    Message,
    ModelFile,
    StrategyBundle,
)
from workbench.supervisor import ModelRaisedError, WorkerGoneError, WorkerProcess
from workbench.text import words
from workbench.ticket import Ticket
from workbench.wire import Arrays, Head

BATCH_ROWS = 4096
# So many a question that one takes seconds: other callers of the batch worker get their turn in between.
INTERACTION_ROWS = 1024
# Kept back from a worker's share of the budget for the way home, so that what it has is here before the deadline.
RETURN_SHARE, RETURN_MS = 0.05, 20.0
# How much of a newly measured cost goes into what the desk remembers.
LEARNING = 0.3


class Desk:
    """Holds the models in workers of their own; a context manager.

    `ledger` keeps a record of every explanation. `formats`: whose libraries to load at once, before the first question. `clock` is for tests.
    """

    def __init__(self, ledger: Ledger | None = None, *, formats: Iterable[str] = (), clock: Clock = monotonic) -> None:
        self._posts = Posts(formats)
        words()  # read before the first question, not within its budget
        self._cost_ms: dict[tuple[str, str], float] = {}
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
        self._posts.close()
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
        request = self._request(bundle, at, entity, method, budget_ms=budget_ms, seed=seed)
        return self._see_through(request, Cancelled(), threading.get_ident(), record=record)

    def ask(
        self,
        bundle: StrategyBundle,
        at: str | pd.Timestamp | None = None,
        entity: str | None = None,
        method: str = "auto",
        *,
        budget_ms: float | None = None,
        seed: int = 0,
        caller: Hashable = None,
    ) -> Ticket:
        """The same without waiting: the ticket has the first answer as soon as it is there, then better ones.

        `caller` is who asks (a session, say): callers take turns. Raises what `explain` raises.
        """
        request, ticket = self._request(bundle, at, entity, method, budget_ms=budget_ms, seed=seed), Ticket()

        def work() -> None:
            try:
                ticket.show(self._see_through(request, ticket.cancelled, caller or ticket, ticket.show))
                ticket.end()
            except Exception as error:  # noqa: BLE001 - whoever waits is told
                ticket.end(error)

        threading.Thread(target=work, daemon=True).start()
        return ticket

    def _request(
        self,
        bundle: StrategyBundle,
        at: str | pd.Timestamp | None,
        entity: str | None,
        method: str,
        *,
        budget_ms: float | None,
        seed: int,
    ) -> Request:
        if method != "auto" and method not in explain.methods():
            known = ", ".join(("auto", *explain.methods()))
            raise BadInputError([Fault("desk.no_such_method", "--method", values={"method": method, "known": known})])
        position = decision.locate(bundle, at, entity)
        return Request(bundle, position, method, seed, Deadline(budget_ms or bundle.manifest.budget.ms, self._clock))

    def _see_through(
        self,
        request: Request,
        cancelled: Cancelled,
        caller: Hashable,
        show: Callable[[Explanation], None] | None = None,
        *,
        record: bool = True,
    ) -> Explanation:
        try:
            self._answer(request, cancelled, caller, show)
        except LineFullError:
            request.reason = Message("desk.busy", {"waiting": LONGEST})
        except TimeoutError:
            if cancelled.is_set:
                request.reason = Message("desk.cancelled")
            elif request.estimate is None:  # else its sampling was cut short, which the answer says by itself
                request.reason = Message("desk.deadline", {"budget": request.deadline.ms})
        except (WorkerGoneError, ModelRaisedError) as error:
            request.reason = reason(error, request.model)
        request.ended = True
        explanation = request.explanation()
        if self.ledger is not None and record:
            self.ledger.append("explanation", explanation.to_dict())
        return explanation

    def _answer(
        self,
        request: Request,
        cancelled: Cancelled,
        caller: Hashable,
        show: Callable[[Explanation], None] | None,
    ) -> None:
        """Queue, load if need be, ask; `request` keeps the best that came, even when an error ends it."""
        deadline, model = request.deadline, request.model
        margin = min(RETURN_MS, RETURN_SHARE * deadline.ms)  # whose turn comes later than this gets no answer any more
        with self._posts.turn(request.bundle, "live", deadline.left_ms() - margin, caller, cancelled) as post:
            request.stages["queue"] = deadline.elapsed_ms()
            try:
                worker, card = self._posts.ready(post, model)
            finally:
                request.stages["load"] = deadline.elapsed_ms() - request.stages["queue"]
            known = {name: self._cost_ms.get((model.sha256, name), cost) for name, cost in card["methods"].items()}
            if not request.choose(card, known):
                return
            self._put(request, post, worker, cancelled, show)
            if request.doubtful and request.asked == "auto" and request.reason is None:
                request.fall_back()
                self._put(request, post, worker, cancelled, show)
        self._learn(request)

    @staticmethod
    def _put(
        request: Request,
        post: Post,
        worker: WorkerProcess,
        cancelled: Cancelled,
        show: Callable[[Explanation], None] | None,
    ) -> None:
        """Put the question to the worker for the time that is left."""
        deadline = request.deadline
        arrays = request.arrays()
        left = max(deadline.left_ms() + request.stages["load"], 1.0)
        own = max(left - min(RETURN_MS, RETURN_SHARE * deadline.ms), 1.0)
        head = {"op": "explain", "model": request.model.sha256, "method": request.method, "seed": request.seed}

        def enough() -> bool:
            """Nobody waits for it, or it has an answer and had its share of the time while others wait."""
            waiting, spent = len(post.line), deadline.elapsed_ms() - request.stages["load"]
            if waiting and request.estimate is not None and spent > deadline.ms / (1 + waiting):
                request.reason = Message("desk.shared", {"waiting": waiting})
            return cancelled.is_set or request.reason is not None

        request.stages.setdefault("compute", 0.0)
        for reply, numbers in worker.ask(head | {"budget_ms": own}, arrays, left, enough):
            request.note(reply, numbers)
            if show is not None and request.estimate is not None and not request.doubtful:
                show(request.explanation())

    def _learn(self, request: Request) -> None:
        """Remember what an exact method took on this model and machine."""
        if (
            request.estimate is not None
            and request.estimate.exact
            and request.card["methods"][request.method] is not None
        ):
            key, took = (request.model.sha256, request.method), request.stages["compute"]
            self._cost_ms[key] = LEARNING * took + (1 - LEARNING) * self._cost_ms.get(key, took)

    def predict(self, bundle: StrategyBundle, rows: Floats, model: ModelFile) -> Floats:
        """Predictions (n,) for rows (n, d) in the panel's feature order. Raises ModelFailedError."""
        return self._batch(bundle, model, "predict", rows)["predictions"]

    def attributions(self, bundle: StrategyBundle, rows: Floats, model: ModelFile) -> Attributions:
        """Exact Shapley values of many rows (n, d). Raises ModelFailedError, also where the model has no exact method."""
        return Attributions(**self._batch(bundle, model, "attributions", rows))

    def interactions(self, bundle: StrategyBundle, rows: Floats, model: ModelFile) -> Floats:
        """Mean absolute Shapley interaction values over rows (n, d): (d, d), a feature's own effect on the diagonal.

        Raises ModelFailedError, also where the model has no kernel, or it is not compiled yet.
        """
        parts = np.array_split(rows, max(1, len(rows) // INTERACTION_ROWS))
        totals = [self._ask(bundle, model, {"op": "interactions"}, {"rows": part})["total"] for part in parts]
        return np.asarray(np.sum(totals, axis=0) / max(len(rows), 1), np.float64)

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
        return chunks[0] if len(chunks) == 1 else {k: np.concatenate([chunk[k] for chunk in chunks]) for k in chunks[0]}

    def card(self, bundle: StrategyBundle, model: ModelFile) -> Head:
        """What the bundle's batch worker says of a model that it has loaded. Raises ModelFailedError."""
        with told(model), self._posts.turn(bundle, "batch", BATCH_MS, threading.get_ident()) as post:
            return self._posts.ready(post, model)[1]

    def _ask(self, bundle: StrategyBundle, model: ModelFile, head: Head, arrays: Arrays) -> Arrays:
        """One request to the bundle's batch worker: explanations for people do not wait behind it."""
        with told(model), self._posts.turn(bundle, "batch", BATCH_MS, threading.get_ident()) as post:
            worker, _ = self._posts.ready(post, model)
            return [numbers for _, numbers in worker.ask(head | {"model": model.sha256}, arrays, BATCH_MS)][-1]
