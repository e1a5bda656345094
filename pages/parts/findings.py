"""An audit on the page: the verdict, then the findings by the misuse that they speak of."""

from collections.abc import Iterable

import streamlit as st

from parts import figure
from parts.plain import plain
from workbench.charts import theme
from workbench.charts.evidence import evidence_figure
from workbench.checklist import Check, load_checklist
from workbench.schema import AuditReport, Finding, Outcome
from workbench.text import say, text

PATTERNS = ("borrowed_tomorrow", "equity_in_a_bond_coat", "fair_weather_model", "support")
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
    """The verdict, large, and how many checks ended how."""
    counted = [finding.adjusted_outcome for finding in report.findings]
    with st.container(border=True):
        word, *columns = st.columns([3, *[1] * len(LOOKS)], vertical_alignment="center")
        word.caption(text("page.audit.verdict", lang))
        word.header(spoken(report.verdict, lang), anchor=False)
        for column, outcome in zip(columns, LOOKS, strict=True):
            column.metric(text(f"outcome.{outcome}", lang), counted.count(outcome))
        st.markdown(text(f"page.audit.means_{report.verdict}", lang))


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
    words = plain(getattr(check.title, lang))
    value = f" · {plain(amount(finding.measurement.value, check.unit, lang))}" if finding.measurement else ""
    label = f"{spoken(finding.adjusted_outcome, lang)} · **{check.code}** {words}{value}"
    with st.expander(label, expanded=finding.adjusted_outcome in OPEN):
        said, drawn = st.columns([2, 3], gap="large")
        with said:
            if finding.reason is not None:
                st.info(plain(say(finding.reason, lang)), icon=":material/info:")
            st.markdown("  \n".join(_lines(finding, check, lang)))
            for part in ("why", "remedy"):
                st.markdown(f"**{text(f'page.audit.{part}', lang)}** {plain(getattr(getattr(check, part), lang))}")
            st.caption(plain("; ".join((check.source, *check.refs))))
        with drawn:
            _evidence(finding, check, lang)


def _lines(finding: Finding, check: Check, lang: str) -> Iterable[str]:
    """What was measured and where the lines are."""
    found = finding.measurement
    side = "above" if check.fail_above is not None else "below"
    if found is not None:
        yield f"{text('page.audit.value', lang)}: **{plain(amount(found.value, check.unit, lang))}**"
    lines = {"warn": amount(check.warn, check.unit, lang), "fail": amount(check.fail, check.unit, lang)}
    yield plain(text(f"page.audit.lines_{side}", lang, **lines))
    if found is not None and found.p_value is not None:
        adjusted = "–" if finding.p_adjusted is None else f"{finding.p_adjusted:.3g}"
        yield plain(text("page.audit.p_value", lang, p=f"{found.p_value:.3g}", adjusted=adjusted))
    yield f"{text('page.audit.severity', lang)}: {text(f'audit.severity.{check.severity}', lang)}"


def _evidence(finding: Finding, check: Check, lang: str) -> None:
    if finding.measurement is None or not finding.measurement.tables:
        st.caption(text("page.audit.no_chart", lang))
        return
    for name, table in finding.measurement.tables.items():
        title = theme.spoken(check.words, name, lang)
        figure.show(evidence_figure(table, check.words, lang, title), f"{check.code} {name}")


def amount(value: float, unit: str, lang: str) -> str:
    """A measured value with its unit: shares and probabilities in percent."""
    if unit in {"share", "probability"}:
        return f"{theme.digits(100 * value, 3)}%"
    return f"{theme.digits(value, 3)} {text(f'audit.unit.{unit}', lang)}"


def provenance(report: AuditReport, lang: str) -> None:
    """What has to be the same for the same findings to come again."""
    with st.expander(text("page.provenance", lang), icon=":material/fingerprint:"):
        names = ["model_sha256", "panel_sha256", "bundle_sha256", "checklist", "version", "seed", "started"]
        st.code("\n".join(f"{name:<15}{getattr(report, name)}" for name in names), language=None, wrap_lines=True)
