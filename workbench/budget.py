"""How long is left. The clock is passed in, so that tests never sleep."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

Clock = Callable[[], float]


@dataclass(frozen=True)
class Deadline:
    """A moment `ms` milliseconds after `start` (seconds on `clock`).

    >>> now = [100.0]
    >>> deadline = Deadline(800, clock=lambda: now[0])
    >>> now[0] += 0.3
    >>> round(deadline.left_ms()), round(deadline.elapsed_ms()), deadline.expired()
    (500, 300, False)
    """

    ms: float
    clock: Clock = monotonic
    start: float = field(default=-1.0)

    def __post_init__(self) -> None:
        if self.start < 0:
            object.__setattr__(self, "start", self.clock())

    def elapsed_ms(self) -> float:
        """Milliseconds since the start."""
        return (self.clock() - self.start) * 1000

    def left_ms(self) -> float:
        """Milliseconds until the deadline; negative once it has passed."""
        return self.ms - self.elapsed_ms()

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.left_ms() <= 0
