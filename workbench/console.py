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
    from workbench.latency import Late, Summary
    from workbench.ledger import Chain, Ledger, Record
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
        said = "cli.method" if answer.exact else "cli.sampled" if answer.fit_r2 is None else "cli.fitted"
        facts = {
            "gap": answer.additivity_gap,
            "samples": answer.samples,
            "r2": answer.fit_r2,
            "stability": answer.stability,
        }
        why = "" if answer.why is None else say(answer.why, lang)
        out.print(text(said, lang, method=answer.method, why=why, **facts))
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


def print_unwritten(ledger: "Ledger", lang: str) -> None:
    """A warning where the ledger could not be written; the answer stands all the same."""
    if ledger.failure is not None:
        err.print(text("cli.warning", lang, sentence=say(ledger.failure, lang)))


def print_records(lines: "list[tuple[Record, Late | None]]", lang: str) -> None:
    """One line a record: when, what, on which bundle, how it ended, how long it took, and where a late answer lost its time."""
    table = _table(lang, "time", "kind", "bundle", "outcome", "elapsed", "late_stage", right=("elapsed",))
    for line, late in lines:
        body = line.body
        if line.kind == "explanation":
            kept = "cli.within" if body.get("within_budget") else "cli.over"
            said = text(kept if body.get("features") else "latency.no_answer", lang)
        elif line.kind == "gap":
            said = text("latency.lost", lang, count=body.get("lost"))
        else:
            said = text(f"outcome.{body['verdict']}", lang) if "verdict" in body else ""
        took = f"{body['elapsed_ms']:.1f} ms" if "elapsed_ms" in body else ""
        where = late.spoken(lang) if late else ""
        kind = text(f"cli.{line.kind}", lang)
        table.add_row(*map(Text, (line.written, kind, str(body.get("bundle", "")), said, took, where)))
    out.print(table)


def print_summaries(found: "list[Summary]", lang: str) -> None:
    """One line a group of answers: percentiles against the budget, and the share over it with its interval."""
    marks = [f"p{percent}" for percent in found[0].percentiles]
    columns = [*found[0].group, "count", *marks, "largest", "over_share", "interval"]
    table = Table(box=None, pad_edge=False)
    for name in columns:
        heading = name if name in marks else text(f"latency.{name}", lang)
        table.add_column(heading, justify="left" if name in found[0].group else "right")
    for one in found:
        times = [each.spoken(lang) for each in one.percentiles.values()]
        largest = "–" if one.largest_ms is None else f"{one.largest_ms:,.0f}"
        share = f"{100 * one.over / one.count:.2f}% ({one.over:,})"
        interval = f"{100 * one.share_low:.2f}–{100 * one.share_high:.2f}%"
        group = [str(name or "–") for name in one.group.values()]
        table.add_row(*map(Text, (*group, f"{one.count:,}", *times, largest, share, interval)))
    out.print(table)
    err.print(text("latency.note", lang))


def print_chain(chain: "Chain", digest: str | None, lang: str) -> None:
    """Whether the ledger is as it was written, and the digest to keep."""
    if chain.broken is not None:
        out.print(text("cli.chain_broken", lang, id=chain.broken))
        return
    out.print(text("cli.chain_holds", lang, count=chain.count))
    if chain.cut:
        out.print(text("latency.cut", lang, count=chain.cut))
    if digest is not None:
        found = "latency.digest_found" if chain.kept else "latency.digest_missing"
        out.print(text(found, lang, id=chain.kept, digest=digest))
    out.print(text("latency.head", lang, digest=chain.head))
