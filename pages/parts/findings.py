"""An audit on the page: the verdict, then the findings by the misuse that they speak of."""

from collections.abc import Iterable

import streamlit as st

from parts import figure
from parts.plain import plain
from workbench.charts import theme
from workbench.charts.evidence import evidence_figure
from workbench.checklist import Check, load_checklist
from workbench.report import PATTERNS, PERCENT, amount, verdict_sentences
from workbench.schema import AuditReport, Finding, Outcome
from workbench.text import say, text

# A colour never says it alone: each outcome has a sign and a word of its own.
LOOKS = {
    Outcome.FAIL: ("red", "cancel"),
    Outcome.ERROR: ("red", "bug_report"),
    Outcome.WARN: ("orange", "warning"),
    Outcome.INSUFFICIENT: ("gray", "help"),
    Outcome.NOT_RUN: ("gray", "do_not_disturb_on"),
    Outcome.PASS: ("green", "check_circle"),
}
OPEN = {Outcome.FAIL, Outcome.ERROR, Outcome.WARN}


def spoken(outcome: Outcome, lang: str) -> str:
    """An outcome as Markdown: sign, word, colour."""
    colour, sign = LOOKS[outcome]
    return f":{colour}[:material/{sign}: **{text(f'outcome.{outcome}', lang)}**]"


def verdict(report: AuditReport, lang: str) -> None:
    """The verdict, large, why it is what it is, and how many checks ended how."""
    checks = {check.code: check for check in load_checklist(report.checklist)}
    counted = [finding.adjusted_outcome for finding in report.findings]
    with st.container(border=True):
        word, *columns = st.columns([3, *[1] * len(LOOKS)], vertical_alignment="center")
        word.title(spoken(report.verdict, lang), anchor=False)
        for column, outcome in zip(columns, LOOKS, strict=True):
            column.metric(text(f"outcome.{outcome}", lang), counted.count(outcome))
        st.markdown(plain(" ".join(verdict_sentences([(checks[f.code], f) for f in report.findings], lang))))


def by_pattern(report: AuditReport, lang: str) -> None:
    """The findings under the misuse that they speak of, the gravest first."""
    checks = {check.code: check for check in load_checklist(report.checklist)}
    grave = list(LOOKS)
    for pattern in PATTERNS:
        found = [f for f in report.findings if checks[f.code].pattern == pattern]
        if not found:
            continue
        found.sort(key=lambda f: (grave.index(f.adjusted_outcome), not checks[f.code].headline))
        worst = spoken(found[0].adjusted_outcome, lang)
        st.subheader(f"{text(f'audit.pattern.{pattern}', lang)}  {worst}", anchor=False)
        st.caption(text(f"audit.definition.{pattern}", lang))
        for finding in found:
            _show(finding, checks[finding.code], lang)


def _show(finding: Finding, check: Check, lang: str) -> None:
    found = finding.measurement
    value = f" · {plain(in_unit(found.value, check.unit, lang))}" if found else ""
    label = f"{spoken(finding.adjusted_outcome, lang)} · **{check.code}** {plain(getattr(check.title, lang))}{value}"
    with st.expander(label, expanded=finding.adjusted_outcome in OPEN):
        said, drawn = st.columns([2, 3], gap="large")
        with said:
            if finding.reason is not None:
                st.info(plain(say(finding.reason, lang)), icon=":material/info:")
            for part in ("why", "remedy"):
                st.markdown(
                    f"**{text(f'report.finding.{part}', lang)}**  \n{plain(getattr(getattr(check, part), lang))}"
                )
            st.caption(plain(" · ".join(_lines(check, lang))))
            _facts(finding, check, lang)
        with drawn:
            for name, table in found.tables.items() if found else ():
                title = theme.spoken(check.words, name, lang)
                figure.show(evidence_figure(table, check.words, lang, title), f"{check.code} {name}")


def _lines(check: Check, lang: str) -> Iterable[str]:
    """Where the lines are, how much a breach weighs, and who says so."""
    side = "above" if check.fail_above is not None else "below"
    warn, fail = (amount(line, check.unit, lang) for line in (check.warn, check.fail))
    yield text(f"report.finding.{side}", lang, warn=warn, fail=fail)
    yield f"{text('page.audit.severity', lang)}{text(f'audit.severity.{check.severity}', lang)}"
    yield "; ".join((getattr(check.source, lang), *check.refs))


def _facts(finding: Finding, check: Check, lang: str) -> None:
    """Every number that was measured on the way."""
    found = finding.measurement
    if found is None:
        return
    facts = {theme.spoken(check.words, key, lang): value for key, value in found.facts.items()}
    if found.p_value is not None:
        facts[text("report.finding.p_value", lang)] = found.p_value
        facts[text("report.finding.p_adjusted", lang)] = finding.p_adjusted
    shown = [theme.digits(v) if isinstance(v, int | float) else str(v or "–") for v in facts.values()]
    columns = {text("page.audit.fact", lang): list(facts), text("report.finding.value", lang): shown}
    st.dataframe(columns, hide_index=True, width="stretch")


def in_unit(value: float, unit: str, lang: str) -> str:
    """A value with its unit: shares in percent, others with the unit's words."""
    number = amount(value, unit, lang)
    return number if unit in PERCENT else f"{number} {text(f'audit.unit.{unit}', lang)}"


def provenance(report: AuditReport, lang: str) -> None:
    """What has to be the same for the same findings to come again."""
    with st.expander(text("page.provenance", lang), icon=":material/fingerprint:"):
        names = ["model_sha256", "panel_sha256", "bundle_sha256", "checklist", "version", "seed", "started"]
        st.code("\n".join(f"{name:<15}{getattr(report, name)}" for name in names), language=None, wrap_lines=True)
