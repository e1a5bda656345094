"""`workbench bench`: how fast this machine explains, per method and model size."""

from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from workbench import console
from workbench.cli_options import Json, Lang, Language, Seed, helped
from workbench.text import text

if TYPE_CHECKING:
    from workbench.bench.measure import Scope, Timing


def command(
    seed: Seed = 0,
    budget_ms: Annotated[float | None, typer.Option(min=1, help=helped("bench_budget"))] = None,
    quick: Annotated[bool, typer.Option("--quick", help=helped("quick"))] = False,
    lang: Language = Lang.en,
    json_file: Json = None,
) -> None:
    """Measure how fast this machine explains, per method and model size."""
    from workbench.bench.measure import machine, scope

    asked, before = scope(quick=quick, budget_ms=budget_ms, seed=seed), perf_counter()
    timings = _measured(asked, lang)
    took, facts = perf_counter() - before, machine()
    if json_file:
        document = {"machine": facts, "budget_ms": asked.budget_ms, "seed": seed, "quick": quick, "elapsed_s": took}
        console.emit(json_file, document | {"timings": [asdict(timing) for timing in timings]})
        return
    console.out.print(text("bench.machine", lang, **facts))
    console.out.print(_table(timings, lang))
    console.out.print(text("bench.legend", lang, budget=asked.budget_ms, seconds=took))


def _measured(asked: "Scope", lang: str) -> "list[Timing]":
    """The timings, with a bar on a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from workbench.bench.measure import measure
    from workbench.desk import Desk

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    quiet = not console.err.is_terminal
    with (
        Desk(formats=("lightgbm", "python")) as desk,
        Progress(*columns, console=console.err, transient=True, disable=quiet) as bar,
    ):
        line = bar.add_task(text("bench.begins", lang))

        def step(name: str, done: int, total: int) -> None:
            bar.update(line, description=name, completed=done, total=total)

        return measure(asked, desk, step)


def _table(timings: "list[Timing]", lang: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in (
        "model",
        "size",
        "features",
        "method",
        "calls",
        "load",
        "p50",
        "p95",
        "p99",
        "max",
        "within",
        "error",
    ):
        right = heading not in {"model", "size", "method"}
        table.add_column(text(f"bench.{heading}", lang), justify="right" if right else "left")
    for t in timings:
        times = (f"{ms:.1f}" for ms in (t.load_ms, t.p50_ms, t.p95_ms, t.p99_ms, t.max_ms))
        error = "–" if t.error is None else text("bench.exact", lang) if t.exact else f"{t.error:.1%}"
        kind = text(f"bench.{t.model}", lang)
        table.add_row(kind, t.size, str(t.features), t.method, str(t.calls), *times, f"{t.within_budget:.0%}", error)
    return table
