"""The parts done on this machine: a lane for each core, which is a thread here and a desk's worker that holds the models."""

import threading
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from workbench.desk import BATCH_ROWS, Desk
from workbench.panel.job import Job
from workbench.panel.part import Receipt, explain_part
from workbench.reading.stream import Reader, Stream


class Remaining:
    """The parts that nobody has begun. A lane goes on where it is, else begins where most is left: who jumps has rows to skip."""

    def __init__(self, job: Job, stream: Stream, parts: Iterable[int]) -> None:
        self._lock = threading.Lock()
        self._groups: dict[int, list[int]] = defaultdict(list)
        self._group = {part: int(np.searchsorted(stream.groups, job.bounds(part)[0], "right")) for part in parts}
        for part, group in self._group.items():
            self._groups[group].append(part)

    def take(self, after: int | None) -> int | None:
        """The next part for a lane that has just done `after`; None when all are taken."""
        with self._lock:
            if not any(self._groups.values()):
                return None
            here = None if after is None else self._group[after]
            if here is None or not self._groups[here]:
                here = max(self._groups, key=lambda group: len(self._groups[group]))
            return self._groups[here].pop(0)

    def clear(self) -> None:
        """Let nobody begin another."""
        with self._lock:
            self._groups.clear()


@dataclass
class Work:
    """What the lanes share; `came` brings receipts, an error, or None from a lane that has ended."""

    job: Job
    stream: Stream
    remaining: Remaining
    came: SimpleQueue[Receipt | Exception | None] = field(default_factory=SimpleQueue)
    stopped: threading.Event = field(default_factory=threading.Event)

    def serve(self, desk: Desk) -> None:
        """Do parts until none is left."""
        try:
            with Reader(self.stream, BATCH_ROWS) as reader:
                part = self.remaining.take(None)
                while part is not None:
                    self.came.put(explain_part(self.job, desk, reader, part, self.stopped.is_set))
                    part = self.remaining.take(part)
            self.came.put(None)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self.came.put(error)


def locally(job: Job, stream: Stream, parts: Sequence[int], desks: Sequence[Desk]) -> Generator[Receipt, None, None]:
    """Receipts as they come, one lane a desk. Closed early, it ends the lanes and leaves whole files only."""
    work = Work(job, stream, Remaining(job, stream, parts))
    lanes = [threading.Thread(target=work.serve, args=(desk,), daemon=True) for desk in desks[: len(parts)]]
    for lane in lanes:
        lane.start()
    try:
        for _ in lanes:
            while (news := work.came.get()) is not None:
                if isinstance(news, Exception):
                    raise news
                yield news
    finally:
        work.stopped.set()
        work.remaining.clear()
        if any(lane.is_alive() for lane in lanes):
            for desk in desks:
                desk.close()  # ends what their workers are at
        for lane in lanes:
            lane.join()
