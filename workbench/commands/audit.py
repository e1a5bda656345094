"""`workbench audit`: the checklist, executed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench import console
from workbench.cli_options import DONE, FOUND, Bundle, FailOn, Json, Lang, Language, Seed, Trust, helped
from workbench.text import text

if TYPE_CHECKING:
    from workbench.checklist import Check
    from workbench.schema import AuditReport, StrategyBundle


def command(
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

    found, report = audited(bundle, lang, checklist=checklist, seed=seed, trust_code=trust_code)
    if pdf is not None:
        from workbench.report import write_pdf

        write_pdf(report, found, pdf, lang.value)
        console.err.print(text("cli.written", lang, path=pdf))
    if json_file:
        console.emit(json_file, to_dict(report, lang))
    else:
        console.print_report(to_dict(report, lang), lang)
    raise typer.Exit(FOUND if _at_or_above(report, fail_on) else DONE)


def audited(
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
    from workbench.bundles import format_of, load_bundle
    from workbench.desk import Desk
    from workbench.ledger import Ledger

    ledger = Ledger()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    quiet = not console.err.is_terminal
    with (
        Desk(ledger, formats=format_of(bundle)) as desk,
        Progress(*columns, console=console.err, transient=True, disable=quiet) as bar,
    ):
        found = load_bundle(bundle, trust_code=trust_code)
        task = bar.add_task(found.name)

        def step(done: int, total: int, check: "Check") -> None:
            words = getattr(check.title, lang.value)
            bar.update(task, completed=done, total=total, description=f"{check.code} {words}")

        report = audit(found, desk, checklist, seed, step, only=None if only is None else [only])
    console.print_unwritten(ledger, lang)
    return found, report


def _at_or_above(report: "AuditReport", fail_on: FailOn) -> bool:
    grave = {"fail", "error"} | ({"warn"} if fail_on != FailOn.fail else set())
    grave |= {"not_run", "insufficient"} if fail_on == FailOn.not_run else set()
    return any(finding.adjusted_outcome.value in grave for finding in report.findings)
