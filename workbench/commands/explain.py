"""`workbench explain`: one decision, inside its time budget."""

from typing import Annotated

import typer

from workbench import console
from workbench.cli_options import DONE, MODEL_FAILED, At, Bundle, Entity, Json, Lang, Language, Seed, Trust, helped


def command(
    bundle: Bundle,
    at: At = None,
    entity: Entity = None,
    method: Annotated[str, typer.Option(help=helped("method"))] = "auto",
    budget_ms: Annotated[float | None, typer.Option(min=1, help=helped("budget"))] = None,
    seed: Seed = 0,
    lang: Language = Lang.en,
    json_file: Json = None,
    trust_code: Trust = False,
) -> None:
    """Explain one decision inside its time budget."""
    from workbench.bundles import format_of, load_bundle
    from workbench.desk import Desk
    from workbench.ledger import Ledger

    ledger = Ledger()
    with Desk(ledger, formats=format_of(bundle)) as desk:  # its libraries load while the bundle is read
        found = load_bundle(bundle, trust_code=trust_code)
        answer = desk.explain(found, at, entity, method, budget_ms=budget_ms, seed=seed)
    if json_file:
        console.emit(json_file, answer.to_dict(lang))
    else:
        console.print_explanation(answer, lang)
    console.print_unwritten(ledger, lang)
    raise typer.Exit(DONE if len(answer.values) else MODEL_FAILED)
