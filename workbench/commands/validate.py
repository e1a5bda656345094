"""`workbench validate`: read everything and say what is wrong with it, all faults at once."""

from workbench import console
from workbench.cli_options import Bundle, Json, Lang, Language, Trust
from workbench.text import text


def command(bundle: Bundle, lang: Language = Lang.en, json_file: Json = None, trust_code: Trust = False) -> None:
    """Read everything and say what is wrong with it, all faults at once."""
    from workbench.bundles import load_bundle
    from workbench.schema import BadInputError

    try:
        found = load_bundle(bundle, trust_code=trust_code)
    except BadInputError as bad:
        if json_file:
            console.emit(json_file, {"valid": False, "faults": console.faults(bad, lang)})
        raise
    if json_file:
        console.emit(
            json_file, {"valid": True, "faults": [], "bundle": found.name, "notes": console.notes(found, lang)}
        )
        return
    times = found.panel.times
    facts = {"rows": len(times), "first": times[0].date(), "last": times[-1].date()}
    facts |= {"features": len(found.panel.features), "models": len(found.models)}
    for note in console.notes(found, lang):
        console.err.print(note)
    console.out.print(text("cli.valid", lang, bundle=found.name, **facts))
