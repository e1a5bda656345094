"""`workbench records`: the ledger of explanations and audits."""

from typing import Annotated

import typer

from workbench import console
from workbench.cli_options import DONE, FOUND, Json, Lang, Language, helped
from workbench.text import text


def command(
    json_file: Json = None,
    limit: Annotated[int, typer.Option(min=1, help=helped("limit"))] = 20,
    verify: Annotated[bool, typer.Option("--verify", help=helped("verify"))] = False,
    lang: Language = Lang.en,
) -> None:
    """Show the ledger of explanations and audits: how long each took, what was over budget."""
    from workbench.ledger import Ledger

    ledger = Ledger()
    if verify:
        broken = ledger.verify()
        sentence = text("cli.chain_holds", lang, count=len(ledger.records()))
        console.out.print(sentence if broken is None else text("cli.chain_broken", lang, id=broken))
        raise typer.Exit(DONE if broken is None else FOUND)
    lines = ledger.records(limit=limit)
    if json_file:
        console.emit(json_file, [{"id": r.id, "written": r.written, "kind": r.kind} | r.body for r in lines])
        return
    if not lines:
        console.err.print(text("cli.no_records", lang, path=ledger.path))
        return
    console.print_records(lines, lang)
