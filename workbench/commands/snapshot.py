"""`workbench snapshot`: a chart ready for a blog, with its alt text and provenance."""

from pathlib import Path
from typing import Annotated

import typer

from workbench import console
from workbench.cli_options import At, Bundle, Entity, Feature, Lang, Language, Seed, Trust, helped
from workbench.commands.audit import audited
from workbench.commands.importance import explained
from workbench.text import text


def command(
    bundle: Bundle,
    chart: Annotated[str, typer.Argument(help=helped("chart"))],
    file: Annotated[Path, typer.Option("--out", help=helped("out"))],
    at: At = None,
    entity: Entity = None,
    feature: Feature = None,
    seed: Seed = 0,
    lang: Language = Lang.en,
    trust_code: Trust = False,
) -> None:
    """Write a chart ready for a blog, with its alt text and provenance."""
    from workbench.bundles import format_of, load_bundle
    from workbench.desk import Desk
    from workbench.snapshot import needs, write_snapshot

    needed, answer, report, whole = needs(chart, file), None, None, None
    if needed == "report":
        found, report = audited(bundle, lang, seed=seed, trust_code=trust_code, only=chart)
    elif needed == "whole":
        whole = explained(bundle, lang, seed=seed, trust_code=trust_code, pairs=chart == "interactions")
        found = whole.bundle
    else:
        with Desk(formats=format_of(bundle)) as desk:
            found = load_bundle(bundle, trust_code=trust_code)
            answer = desk.explain(found, at, entity, seed=seed) if needed == "explanation" else None
    write_snapshot(chart, found, file, lang.value, explanation=answer, report=report, whole=whole, feature=feature)
    console.err.print(text("cli.written", lang, path=file))
