"""`workbench panel`: every row explained into partitioned Parquet."""

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench import console
from workbench.cli_options import DONE, MODEL_FAILED, Bundle, Json, Lang, Language, Trust, helped
from workbench.text import text

if TYPE_CHECKING:  # pandas would make --help slow
    from collections.abc import Callable

    from workbench.panel.run import Done
    from workbench.reading.stream import Stream
    from workbench.schema import StrategyBundle

# As workbench.panel.run has it, which --help does not wait for.
ROWS_PER_PART = 100_000


def command(
    bundle: Bundle,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help=helped("panel_out"))],
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help=helped("scheduler"))] = None,
    workers: Annotated[int | None, typer.Option(min=1, help=helped("workers"))] = None,
    rows_per_part: Annotated[int, typer.Option(min=1, help=helped("rows_per_part"))] = ROWS_PER_PART,
    float32: Annotated[bool, typer.Option("--float32", help=helped("float32"))] = False,
    lang: Language = Lang.en,
    json_file: Json = None,
    trust_code: Trust = False,
) -> None:
    """Explain every row into partitioned Parquet, here or on a Dask cluster; goes on where it was interrupted."""
    from workbench.bundles import format_of
    from workbench.desk import Desk
    from workbench.panel.run import explain_panel

    lanes = 1 if scheduler else workers or _cores()
    how = partial(explain_panel, rows_per_part=rows_per_part, single=float32, scheduler=scheduler)
    with ExitStack() as stack:
        # their libraries load while the panel is read
        desks = [stack.enter_context(Desk(formats=format_of(bundle))) for _ in range(lanes)]
        done = _watched(bundle, lambda found, stream, step: how(found, stream, out, desks, step=step), lang, trust_code)
    if json_file:
        console.emit(json_file, done.to_dict())
    else:
        _print(done, lang)
    if done.withheld:
        named = ", ".join(map(str, done.named))
        console.err.print(text("panel.withheld", lang, count=done.withheld, rows=named))
    raise typer.Exit(MODEL_FAILED if done.withheld else DONE)


def _watched(
    bundle: str,
    work: "Callable[[StrategyBundle, Stream, Callable[[int, int], None]], Done]",
    lang: str,
    trust_code: bool,
) -> "Done":
    """Open the bundle and do the work, with a bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from workbench.bundles import open_bundle

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = not console.err.is_terminal
    with Progress(*columns, console=console.err, transient=True, disable=quiet) as bar:
        line = bar.add_task(text("panel.reading", lang), total=None)
        found, stream = open_bundle(bundle, trust_code=trust_code)
        for note in console.notes(found, lang):
            console.err.print(note)
        bar.update(line, description=text("panel.rows", lang))
        return work(found, stream, lambda done, total: bar.update(line, completed=done, total=total))


def _cores() -> int:
    """The cores that this process may use, which in a container are not all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _print(done: "Done", lang: str) -> None:
    facts = {"rows": done.job.rows, "parts": len(done.job.parts), "folder": done.job.folder}
    console.out.print(text("panel.written", lang, **facts))
    if done.us_per_row is None:
        console.out.print(text("panel.nothing_left", lang))
    else:
        took = {"fresh": done.fresh, "seconds": done.seconds, "us": done.us_per_row}
        console.out.print(text("panel.took", lang, **took))
