"""The command line. Heavy libraries are imported inside the commands, so that --help answers at once."""

import json
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench import __version__, console
from workbench.cli_options import At, Bundle, Entity, FailOn, Json, Lang, Language, Seed, Trust, helped
from workbench.text import LANGUAGES, say, text

if TYPE_CHECKING:
    from workbench.checklist import Check
    from workbench.schema import AuditReport, StrategyBundle

DONE, FOUND, BAD_INPUT, MODEL_FAILED, INTERRUPTED = 0, 1, 2, 3, 130
DEFAULT_PORT = 8501


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=helped("workbench"),
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help=helped("version"))] = False,
    debug: Annotated[bool, typer.Option("--debug", help=helped("debug"))] = False,
) -> None:
    del debug  # read by main(), which also has to know it when parsing fails
    if version:
        console.out.print(f"workbench {__version__}")
        raise typer.Exit


@app.command("app", help=helped("app_command"))
def open_app(
    folders: Annotated[list[str] | None, typer.Argument(help=helped("folders"))] = None,
    port: Annotated[int | None, typer.Option(help=helped("port"))] = None,
    headless: Annotated[bool, typer.Option("--headless", help=helped("headless"))] = False,
    lang: Language = Lang.en,
) -> None:
    """Open the app on the shipped bundles and on the folders given."""
    from workbench.shipped import shipped

    chosen = port or next(p for p in range(DEFAULT_PORT, DEFAULT_PORT + 100) if _free(p))
    if port is None and chosen != DEFAULT_PORT:
        console.err.print(text("cli.port_taken", lang, port=DEFAULT_PORT, other=chosen))
    bundles = json.dumps([str(Path(folder).resolve()) for folder in folders or []])
    page = shipped("pages") / "app.py"
    command = [sys.executable, "-m", "streamlit", "run", str(page), "--server.port", str(chosen)]
    if headless or not sys.stdout.isatty():
        command += ["--server.headless", "true"]
    console.err.print(text("cli.serving", lang, url=f"http://127.0.0.1:{chosen}"))
    path = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"WORKBENCH_BUNDLES": bundles, "WORKBENCH_LANG": lang.value}
    os.chdir(page.parent.parent)
    # Streamlit takes this process over: signals reach it, and nothing is left behind when it ends.
    os.execve(sys.executable, command, environment | {"PYTHONPATH": os.pathsep.join(path)})  # noqa: S606 - no shell is meant


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@app.command(help=helped("validate_command"))
def validate(bundle: Bundle, lang: Language = Lang.en, json_file: Json = None, trust_code: Trust = False) -> None:
    """Read everything and say what is wrong with it, all faults at once."""
    from workbench.schema import BadInputError

    try:
        found = _load(bundle, trust_code=trust_code)
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


@app.command(help=helped("explain_command"))
def explain(
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
    from workbench.desk import Desk
    from workbench.ledger import Ledger

    with Desk(ledger=Ledger()) as desk:  # its libraries load while the bundle is read
        found = _load(bundle, trust_code=trust_code)
        answer = desk.explain(found, at, entity, method, budget_ms=budget_ms, seed=seed)
    if json_file:
        console.emit(json_file, answer.to_dict(lang))
    else:
        console.print_explanation(answer, lang)
    raise typer.Exit(DONE if len(answer.values) else MODEL_FAILED)


@app.command(help=helped("audit_command"))
def audit(
    bundle: Bundle,
    checklist: Annotated[str, typer.Option(help=helped("checklist"))] = "fixed_income_plus",
    pdf: Annotated[Path | None, typer.Option(help=helped("pdf"))] = None,
    fail_on: Annotated[FailOn, typer.Option(help=helped("fail_on"))] = FailOn.fail,
    seed: Seed = 0,
    lang: Language = Lang.en,
    json_file: Json = None,
    trust_code: Trust = False,
) -> None:
    """Execute the checklist on a bundle."""
    from workbench.audit import to_dict

    found, report = _audit(bundle, lang, checklist=checklist, seed=seed, trust_code=trust_code)
    if pdf is not None:
        from workbench.report import write_pdf

        write_pdf(report, found, pdf, lang.value)
        console.err.print(text("cli.written", lang, path=pdf))
    if json_file:
        console.emit(json_file, to_dict(report, lang))
    else:
        console.print_report(to_dict(report, lang), lang)
    raise typer.Exit(FOUND if _at_or_above(report, fail_on) else DONE)


@app.command(help=helped("snapshot_command"))
def snapshot(
    bundle: Bundle,
    chart: Annotated[str, typer.Argument(help=helped("chart"))],
    file: Annotated[Path, typer.Option("--out", help=helped("out"))],
    at: At = None,
    entity: Entity = None,
    seed: Seed = 0,
    lang: Language = Lang.en,
    trust_code: Trust = False,
) -> None:
    """Write a chart ready for a blog, with its alt text and provenance."""
    from workbench.desk import Desk
    from workbench.snapshot import needs, write_snapshot

    needed, answer, report = needs(chart, file), None, None
    if needed == "report":
        found, report = _audit(bundle, lang, seed=seed, trust_code=trust_code, only=chart)
    else:
        with Desk() as desk:
            found = _load(bundle, trust_code=trust_code)
            answer = desk.explain(found, at, entity, seed=seed) if needed == "explanation" else None
    write_snapshot(chart, found, file, lang.value, explanation=answer, report=report)
    console.err.print(text("cli.written", lang, path=file))


@app.command(help=helped("records_command"))
def records(
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


def _load(bundle: str, *, trust_code: bool) -> "StrategyBundle":
    from workbench.bundles import load_bundle

    return load_bundle(bundle, trust_code=trust_code)


def _audit(
    bundle: str,
    lang: Lang,
    *,
    checklist: str = "fixed_income_plus",
    seed: int,
    trust_code: bool,
    only: str | None = None,
) -> "tuple[StrategyBundle, AuditReport]":
    """Load and audit, with a progress bar (on a terminal only)."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from workbench.audit import audit
    from workbench.desk import Desk
    from workbench.ledger import Ledger

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    quiet = not console.err.is_terminal
    with Desk(Ledger()) as desk, Progress(*columns, console=console.err, transient=True, disable=quiet) as bar:
        found = _load(bundle, trust_code=trust_code)
        task = bar.add_task(found.name)

        def step(done: int, total: int, check: "Check") -> None:
            words = getattr(check.title, lang.value)
            bar.update(task, completed=done, total=total, description=f"{check.code} {words}")

        return found, audit(found, desk, checklist, seed, step, only=None if only is None else [only])


def _at_or_above(report: "AuditReport", fail_on: FailOn) -> bool:
    grave = {"fail", "error"} | ({"warn"} if fail_on != FailOn.fail else set())
    grave |= {"not_run", "insufficient"} if fail_on == FailOn.not_run else set()
    return any(finding.adjusted_outcome.value in grave for finding in report.findings)


def _guard(run: Callable[[], object], debug: bool, lang: str) -> int:
    """Run a command and turn whatever it raises into sentences and an exit status; no traceback reaches a user."""
    from workbench.schema import BadInputError, ModelFailedError

    try:
        run()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer makes this of Ctrl-C inside a command, and says nothing
            console.err.print(text("cli.interrupted", lang))
        return end.code if isinstance(end.code, int) else DONE
    except KeyboardInterrupt:
        console.err.print(text("cli.interrupted", lang))
        return INTERRUPTED
    except BadInputError as bad:
        for fault in bad.faults:
            console.err.print(fault.spoken(lang))
        console.err.print(text("cli.faults", lang, count=len(bad.faults)))
        return BAD_INPUT
    except ModelFailedError as failed:
        console.err.print(say(failed.message, lang))
        return MODEL_FAILED
    except Exception as error:
        if debug:
            raise
        console.err.print(text("cli.unexpected", lang, kind=type(error).__name__, text=error))
        return BAD_INPUT
    return DONE


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    asked = next((b for a, b in pairwise(words) if a == "--lang"), os.environ.get("WORKBENCH_LANG", "en"))
    lang = asked if asked in LANGUAGES else "en"
    sys.exit(
        _guard(partial(app, prog_name="workbench", args=[w for w in words if w != "--debug"]), "--debug" in words, lang)
    )


if __name__ == "__main__":
    main()
