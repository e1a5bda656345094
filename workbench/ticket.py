"""A question that was put to the desk, held by whoever waits for its answer."""

import threading

from workbench.line import Cancelled
from workbench.schema import Explanation

MOMENT_S = 0.03  # most exact answers are complete by then, and nothing has to be drawn twice


class Ticket:
    """A question that was put. `latest` is the best answer so far (None before the first), `done` whether it is the last."""

    def __init__(self) -> None:
        self.latest: Explanation | None = None
        self.error: Exception | None = None
        self.cancelled = Cancelled()
        self._came, self._done = threading.Event(), threading.Event()

    @property
    def done(self) -> bool:
        """Whether `latest` will not get any better."""
        return self._done.is_set()

    def first(self) -> Explanation:
        """Wait for an answer, however early, and a moment for the last. Raises what went wrong, where something did."""
        self._came.wait()
        self._done.wait(MOMENT_S)
        return self._answer()

    def last(self) -> Explanation:
        """Wait until no better answer will come. Raises what went wrong, where something did."""
        self._done.wait()
        return self._answer()

    def _answer(self) -> Explanation:
        if self.latest is None:
            raise self.error or RuntimeError("an answer that never came")
        return self.latest

    def show(self, answer: Explanation) -> None:
        """Take in an answer that is better than the last."""
        self.latest = answer
        self._came.set()

    def end(self, error: Exception | None = None) -> None:
        """No better answer will come."""
        self.error = error
        self._done.set()
        self._came.set()

    def cancel(self) -> None:
        """Nobody waits for this any more: it leaves the line, or its worker turns to the next as soon as it can."""
        self.cancelled.set()
