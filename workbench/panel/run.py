"""A panel explained from end to end: the parts that are missing, whoever does them."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from workbench.desk import Desk
from workbench.panel.cluster import on_cluster
from workbench.panel.folder import Folder
from workbench.panel.job import Job, prepare
from workbench.panel.local import locally
from workbench.panel.part import NAMED_ROWS
from workbench.reading.stream import Stream
from workbench.schema import StrategyBundle

ROWS_PER_PART = 100_000


@dataclass(frozen=True)
class Done:
    """What stands in the folder now; `fresh` rows were explained by this run, in `seconds`. `named`: the first rows withheld."""

    job: Job
    fresh: int
    seconds: float
    withheld: int
    named: tuple[int, ...]

    @property
    def us_per_row(self) -> float | None:
        """Microseconds of this run a row that it explained."""
        return self.seconds / self.fresh * 1e6 if self.fresh else None

    def to_dict(self) -> dict[str, object]:
        """The machine's form."""
        facts = {"folder": str(self.job.folder), "parts": len(self.job.parts), "explained": self.fresh}
        facts |= {"seconds": self.seconds, "us_per_row": self.us_per_row}
        return self.job.settings() | facts | {"withheld": self.withheld, "withheld_rows": list(self.named)}


def explain_panel(
    bundle: StrategyBundle,
    stream: Stream,
    folder: Path,
    desks: Sequence[Desk],
    *,
    rows_per_part: int = ROWS_PER_PART,
    single: bool = False,
    scheduler: str | None = None,
    step: Callable[[int, int], None] = lambda _done, _of: None,
) -> Done:
    """Explain every row of the panel into `folder`, a lane a desk, or on the cluster of `scheduler`.

    Args:
        bundle: As `open_bundle` gives it, with `stream`.
        stream: The panel.
        folder: New, empty, or one that the same call has begun: finished parts are kept.
        desks: At least one.
        rows_per_part: How many rows a file holds.
        single: Whether numbers are written as float32.
        scheduler: A Dask scheduler's address.
        step: Told how many rows of how many are done.

    Raises:
        BadInputError: The folder holds something else, the model has no exact method, or the panel is not what was checked.
        ModelFailedError: A model failed; what was finished stays.

    """
    started = perf_counter()
    folder = folder.resolve()
    with Folder(folder) as kept:
        job = prepare(bundle, stream, folder, desks[0], rows_per_part=rows_per_part, single=single)
        missing = kept.begin(job)
        done = sum(receipt.rows for receipt in kept.finished.values())
        fresh = job.rows - done
        step(done, job.rows)
        on_a_cluster = scheduler is not None and missing
        work = on_cluster(job, missing, str(scheduler)) if on_a_cluster else locally(job, stream, missing, desks)
        with closing(work):
            for receipt in work:
                kept.add(receipt)
                done += receipt.rows
                step(done, job.rows)
        receipts = [kept.finished[part] for part in job.parts]
    named = [row for receipt in receipts for row in receipt.named]
    withheld = sum(receipt.withheld for receipt in receipts)
    return Done(job, fresh, perf_counter() - started, withheld, tuple(named[:NAMED_ROWS]))
