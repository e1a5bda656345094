"""`workbench records`: the ledger of explanations and audits, and how well the promise was kept."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from workbench import console
from workbench.cli_options import DONE, FOUND, Json, Lang, Language, helped
from workbench.text import text

if TYPE_CHECKING:  # pandas would make --help slow
    from workbench.latency import Which
    from workbench.ledger import Ledger, Record


class Kind(StrEnum):
    """What a record is of."""

    explanation = "explanation"
    audit = "audit"


class By(StrEnum):
    """What answers are grouped by."""

    model = "model"
    method = "method"
    day = "day"


GROUPS = {By.model: ("bundle", "model"), By.method: ("method",), By.day: ("day",)}


def command(
    json_file: Json = None,
    limit: Annotated[int, typer.Option(min=1, help=helped("limit"))] = 20,
    kind: Annotated[Kind | None, typer.Option(help=helped("kind"))] = None,
    bundle: Annotated[str | None, typer.Option(metavar="NAME", help=helped("of_bundle"))] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help=helped("since"))
    ] = None,
    over: Annotated[bool, typer.Option("--over", help=helped("over"))] = False,
    by: Annotated[By | None, typer.Option(help=helped("by"))] = None,
    verify: Annotated[bool, typer.Option("--verify", help=helped("verify"))] = False,
    digest: Annotated[str | None, typer.Option(metavar="DIGEST", help=helped("digest"))] = None,
    lang: Language = Lang.en,
) -> None:
    """Show the ledger of explanations and audits: how long each took, what was over budget."""
    from workbench.latency import Which
    from workbench.ledger import Ledger

    if by and (over or kind):
        raise typer.BadParameter(text("latency.not_together", lang))
    ledger, start = Ledger(), since.isoformat() if since else None
    if verify or digest:
        raise typer.Exit(_verify(ledger, digest, json_file, lang))
    if by:
        shown = _by_group(ledger, by, Which(bundle, since=start), json_file, lang)
    else:
        lines = ledger.records(kind, limit, bundle=bundle, since=start, over=over)
        shown = _lines(lines, json_file, lang)
    if not shown:
        said = "latency.none_fits" if any((kind, bundle, since, over)) else "cli.no_records"
        console.err.print(text(said, lang, path=ledger.path))


def _verify(ledger: "Ledger", digest: str | None, json_file: str | None, lang: str) -> int:
    """The chain recomputed, and its head to be kept elsewhere."""
    chain = ledger.verify(digest)
    if json_file:
        console.emit(json_file, asdict(chain) | {"holds": chain.holds(digest)})
    else:
        console.print_chain(chain, digest, lang)
    return DONE if chain.holds(digest) else FOUND


def _by_group(ledger: "Ledger", by: By, which: "Which", json_file: str | None, lang: str) -> bool:
    """A line a group: percentiles and the share over budget."""
    from workbench.latency import summaries

    found = summaries(ledger, GROUPS[by], which)
    if json_file:
        console.emit(json_file, [summary.to_dict() for summary in found])
    elif found:
        console.print_summaries(found, lang)
    return bool(json_file or found)


def _lines(lines: "list[Record]", json_file: str | None, lang: str) -> bool:
    """A line a record; one over budget bears the stage that took most of it."""
    from workbench.latency import late_stage

    found = [(line, late_stage(line.body)) for line in lines]
    if json_file:
        told = [
            {"id": r.id, "written": r.written, "kind": r.kind, "late_stage": late and late.stage} | r.body
            for r, late in found
        ]
        console.emit(json_file, told)
    elif found:
        console.print_records(found, lang)
    return bool(json_file or found)
