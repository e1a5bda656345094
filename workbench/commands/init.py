"""`workbench init`: a bundle from a model file and a table."""

from pathlib import Path
from typing import Annotated

import typer

from workbench import console
from workbench.cli_options import BAD_INPUT, DONE, Json, Lang, Language, helped
from workbench.text import say, text


def command(
    model: Annotated[Path, typer.Argument(help=helped("init_model"))],
    panel: Annotated[Path, typer.Argument(help=helped("init_panel"))],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help=helped("init_out"))],
    returns: Annotated[Path | None, typer.Option(metavar="FILE", help=helped("init_returns"))] = None,
    name: Annotated[str | None, typer.Option(help=helped("init_name"))] = None,
    lang: Language = Lang.en,
    json_file: Json = None,
) -> None:
    """Write a bundle from a model file and a table, and say what was guessed."""
    from workbench.beginning.folder import begin
    from workbench.beginning.toml import dotted, value_text
    from workbench.schema import BadInputError

    made = begin(model, panel, out, returns=returns, name=name, lang=lang)
    guesses = [(dotted(g.place), g.value, say(g.why, lang)) for g in made.draft.guesses]
    questions = [(dotted(q.place), say(q.why, lang)) for q in made.draft.questions]
    notes = console.notes(made.bundle, lang) if made.bundle else []
    if json_file:
        document = {
            "folder": str(made.folder),
            "valid": made.bundle is not None,
            "guesses": [{"key": key, "value": value, "why": why} for key, value, why in guesses],
            "open": [{"key": key, "why": why} for key, why in questions],
            "faults": console.faults(BadInputError(made.faults), lang),
            "notes": notes,
        }
        console.emit(json_file, document)
    else:
        console.out.print(text("init.guessed", lang, count=len(guesses)))
        for key, value, why in guesses:
            console.out.print(f"  {key} = {value_text(value)}  # {why}")
        console.out.print(text("init.open", lang, count=len(questions)))
        for key, why in questions:
            console.out.print(f"  {key}: {why}")
    for sentence in (*notes, *(fault.spoken(lang) for fault in made.faults)):
        console.err.print(sentence)
    ended = "init.valid" if made.bundle else "init.invalid"
    console.err.print(text(ended, lang, folder=made.folder, count=len(made.faults)))
    raise typer.Exit(DONE if made.bundle else BAD_INPUT)
