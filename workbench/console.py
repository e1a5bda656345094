"""What the commands print: sentences and tables for people, JSON for machines."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench import durable
from workbench.text import say, text

if TYPE_CHECKING:  # pandas would make --help slow
    from workbench.ledger import Record
    from workbench.schema import BadInputError, Explanation, StrategyBundle

TOP = 12

WIDE = 200  # nothing is cut off where no terminal sets the width

out = Console(markup=False, highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def notes(bundle: "StrategyBundle", lang: str) -> list[str]:
    """What the loader converted or re-ordered, in words."""
    return [say(note, lang) for note in bundle.notes]


def faults(bad: "BadInputError", lang: str) -> list[dict[str, Any]]:
    """The machine's form of faults."""
    each = ((f, f.spoken(lang)) for f in bad.faults)
    return [{"file": f.file, "place": f.place, "row": f.row, "key": f.key, "message": said} for f, said in each]


def emit(file: str, document: Any) -> None:
    """Print the machine's form, or write it to a file as a whole."""
    form = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    if file == "-":
        sys.stdout.write(form)
    else:
        durable.write(Path(file), form.encode())


def _table(lang: str, *headings: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(text(f"cli.{heading}", lang), justify="right" if heading in right else "left")
    return table


def print_explanation(answer: "Explanation", lang: str) -> None:
    """The largest contributions, the sum, and whether the budget was kept."""
    out.print(f"{answer.bundle}  {answer.time}  {answer.entity or ''}".rstrip())
    if len(answer.values):
        table = _table(lang, "feature", "value", "contribution", "std_error", "family", right=("value", "contribution"))
        order = sorted(range(len(answer.values)), key=lambda j: -abs(answer.values[j]))
        for j in order[:TOP]:
            numbers = (f"{answer.data[j]:.6g}", f"{answer.values[j]:+.6g}", f"{answer.std_error[j]:.2g}")
            table.add_row(*map(Text, (answer.feature_names[j], *numbers, text(f"family.{answer.families[j]}", lang))))
        rest = sum(answer.values[j] for j in order[TOP:])
        if order[TOP:]:
            table.add_row(text("cli.others", lang, count=len(order) - TOP), "", f"{rest:+.6g}", "", "")
        out.print(table)
        out.print(
            f"{text('cli.base', lang)} {answer.base_values:.6g}  →  {text('cli.prediction', lang)} {answer.prediction:.6g}"
        )
        said = "cli.method" if answer.exact else "cli.sampled"
        out.print(text(said, lang, method=answer.method, gap=answer.additivity_gap, samples=answer.samples))
    stages = ", ".join(f"{text(f'chart.stage.{name}', lang)} {ms:.1f}" for name, ms in answer.stages_ms.items())
    kept = (
        "cli.kept" if answer.within_budget else "cli.missed" if answer.elapsed_ms > answer.budget_ms else "cli.nothing"
    )
    out.print(text(kept, lang, elapsed=answer.elapsed_ms, budget=answer.budget_ms, stages=stages))
    for sentence in (*([answer.reason] if answer.reason else []), *answer.warnings):
        err.print(text("cli.warning", lang, sentence=say(sentence, lang)))


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "<0.001"  # noqa: PLR2004 - three digits are shown


def print_report(report: dict[str, Any], lang: str) -> None:
    """A line a check (from the machine's form), the reasons, the verdict."""
    table = _table(lang, "code", "check", "outcome", "value", "line", "p_value", right=("value",))
    for finding in report["findings"]:
        value = "" if finding["value"] is None else f"{finding['value']:.4g}"
        p = "" if finding["p_value"] is None else f"{_p(finding['p_value'])} ({_p(finding['p_adjusted'])})"
        lines = f"{finding['warn']:g} / {finding['fail']:g}"
        said = text(f"outcome.{finding['outcome']}", lang)
        table.add_row(*map(Text, (finding["code"], finding["title"], said, value, lines, p)))
    out.print(table)
    for finding in report["findings"]:
        if finding["reason"]:
            out.print(f"{finding['code']}: {finding['reason']}")
    out.print(text("cli.verdict", lang, verdict=text(f"outcome.{report['verdict']}", lang)))


def print_records(lines: "list[Record]", lang: str) -> None:
    """One line a record: when, what, on which bundle, how it ended, how long it took."""
    table = _table(lang, "time", "kind", "bundle", "outcome", "elapsed", right=("elapsed",))
    for line in lines:
        if line.kind == "audit":
            said = text(f"outcome.{line.body['verdict']}", lang)
        else:
            said = text("cli.within" if line.body["within_budget"] else "cli.over", lang)
        took = f"{line.body['elapsed_ms']:.1f} ms"
        table.add_row(*map(Text, (line.written, text(f"cli.{line.kind}", lang), line.body["bundle"], said, took)))
    out.print(table)
