"""`workbench adoption`: adoption against the predicted win rate and against how long the explanation took."""

from typing import TYPE_CHECKING, Annotated

import typer

from workbench import console
from workbench.cli_options import Bundle, Json, Lang, Language, Seed, helped
from workbench.text import say, text

if TYPE_CHECKING:  # pandas would make --help slow
    from workbench.adoption import Adoption, Bin, Rate


def command(
    bundle: Bundle,
    example: Annotated[bool, typer.Option("--example", help=helped("example"))] = False,
    seed: Seed = 0,
    lang: Language = Lang.en,
    json_file: Json = None,
) -> None:
    """Compare adoption with the predicted win rate and with how long the explanation took."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from workbench.adoption import of_advice, of_bundle
    from workbench.bundles import load_bundle
    from workbench.schema import BadInputError, Fault

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    quiet = not console.err.is_terminal
    found = load_bundle(bundle)
    with Progress(*columns, console=console.err, transient=True, disable=quiet) as bar:
        bar.add_task(text("adoption.page.running", lang))
        report = of_advice(seed) if example else of_bundle(found, seed)
    if report is None:
        key = "adoption.no_example" if example else "adoption.missing"
        raise BadInputError([Fault(key, "bundle.toml", None if example else "[decisions]")])
    if json_file:
        console.emit(json_file, {"bundle": None if example else found.name} | report.to_dict())
    else:
        _print(report, lang)


def _print(report: "Adoption", lang: str) -> None:
    """The table by time, the table by predicted win rate, and the finding."""
    people = report.source == "advice"
    facts = {"rows": report.decisions, "units": report.units, "length": report.block_length}
    if people:
        console.out.print(text("adoption.students", lang, **facts))
    else:
        console.out.print(text("adoption.counted", lang, **facts))
    _table("seconds" if people else "latency", report.by_latency, lang, seconds=people)
    _table("predicted", report.by_predicted, lang)
    console.out.print(say(report.sentence, lang))


def _table(heading: str, bins: "tuple[Bin, ...]", lang: str, *, seconds: bool = False) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in (heading, "count", "adopted", "interval", "won", "interval"):
        table.add_column(text(f"adoption.table.{name}", lang), justify="right")
    scale = 0.001 if seconds else 1
    places = 2 if heading == "predicted" else 1 if seconds else 0
    for each in bins:
        span = f"{scale * each.low:,.{places}f} – {scale * each.high:,.{places}f}"
        table.add_row(span, f"{each.adopted.count:,}", *_spelled(each.adopted), *_spelled(each.won))
    console.out.print(table)


def _spelled(rate: "Rate") -> tuple[str, str]:
    return (f"{rate.value:.1%}", f"{rate.low:.1%} – {rate.high:.1%}") if rate.count else ("–", "–")
