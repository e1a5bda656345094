"""Whose turn it is: callers in rotation, so that one who asks much does not keep the others waiting."""

import threading
from collections import deque
from collections.abc import Hashable

LONGEST = 16


class LineFullError(Exception):
    """So many wait already that one more would only make all of them late."""


class Cancelled:
    """Whether anybody still waits for an answer; a line looks at it, and is woken when it changes."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self.is_set = False

    def watch(self, line: "Line") -> None:
        """Wake `line` when this is set."""
        self._lines.append(line)

    def set(self) -> None:
        """Nobody waits any more."""
        self.is_set = True
        for line in self._lines:
            line.wake()


class Line:
    """A line before one worker. Each caller's requests come in their order, the callers take turns."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._waiting: dict[Hashable, deque[object]] = {}
        self._taken = False

    def __len__(self) -> int:
        return sum(map(len, tuple(self._waiting.values())))

    @property
    def idle(self) -> bool:
        """Whether nobody is served and nobody waits."""
        return not self._taken and not self._waiting

    def enter(self, caller: Hashable, wait_ms: float, cancelled: Cancelled | None = None) -> None:
        """Wait for a turn, which lasts until `leave`. Raises LineFullError, or TimeoutError after `wait_ms` or when cancelled."""
        place = object()
        if cancelled is not None:
            cancelled.watch(self)

        def ready() -> bool:
            return bool(cancelled and cancelled.is_set) or (not self._taken and self._next() is place)

        with self._change:
            if len(self) >= LONGEST:
                raise LineFullError
            self._waiting.setdefault(caller, deque()).append(place)
            try:
                came = self._change.wait_for(ready, max(wait_ms, 0) / 1000)
                if not came or (cancelled and cancelled.is_set):
                    raise TimeoutError
                self._taken = True
            finally:
                self._quit(caller, place)
                self._change.notify_all()

    def _next(self) -> object | None:
        return next((places[0] for places in self._waiting.values()), None)

    def _quit(self, caller: Hashable, place: object) -> None:
        """Take a place out; the caller's other requests go behind everybody else's."""
        places = self._waiting.pop(caller)
        places.remove(place)
        if places:
            self._waiting[caller] = places

    def leave(self) -> None:
        """End the turn."""
        with self._change:
            self._taken = False
            self._change.notify_all()

    def wake(self) -> None:
        """Let all who wait look again."""
        with self._change:
            self._change.notify_all()
