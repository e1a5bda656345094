"""A figure as a file for a blog: it says what it shows, where it comes from and whether it is real, inside the file and under the figure.

The same input gives the same bytes. Local paths and the user's name never get in; `redact` names what else shall not.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from workbench import __version__, durable
from workbench.charts import curve, render, theme
from workbench.charts.budget import budget_gauge
from workbench.charts.evidence import evidence_figure
from workbench.charts.waterfall import waterfall
from workbench.charts.whole_panel import FIGURES
from workbench.checklist import Check, load_checklist
from workbench.importance.whole import Whole
from workbench.redact import redact as hide
from workbench.schema import AuditReport, BadInputError, Explanation, Fault, Message, StrategyBundle
from workbench.text import text

SIZES: Mapping[str, float] = {"blog": 2, "slide": 3, "print": 4}
ENDINGS = (".png", ".svg", ".html")
OF_A_DECISION = ("waterfall", "budget")
"""Charts that need an explanation."""


def chart_names(bundle: StrategyBundle, checklist: str = "fixed_income_plus") -> tuple[str, ...]:
    """Names that `write_snapshot` knows: a decision's charts, the whole panel's, the curve where there are returns, the checks' codes."""
    drawn = (*OF_A_DECISION, *(("curve",) if bundle.returns is not None else ()), *FIGURES)
    return (*drawn, *(check.code for check in load_checklist(checklist)))


def needs(
    chart_name: str, path: Path, checklist: str = "fixed_income_plus"
) -> Literal["explanation", "report", "whole"] | None:
    """What a chart shows besides the bundle. Raises BadInputError at once for a name or an ending that no bundle could make good."""
    _known("unknown_ending", Path(path).suffix.lower(), ENDINGS, "ending", Path(path))
    codes = tuple(check.code for check in load_checklist(checklist))
    _known("unknown_chart", chart_name, (*OF_A_DECISION, "curve", *FIGURES, *codes), "chart", Path(path))
    if chart_name in FIGURES:
        return "whole"
    return None if chart_name == "curve" else "report" if chart_name in codes else "explanation"


def write_snapshot(
    chart_name: str,
    bundle: StrategyBundle,
    path: Path,
    lang: str,
    *,
    explanation: Explanation | None = None,
    report: AuditReport | None = None,
    whole: Whole | None = None,
    feature: str | None = None,
    size: str = "blog",
    redact: Iterable[str] = (),
) -> None:
    """Write a chart to a .png, .svg or .html; `size` (blog, slide, print) sets the pixels of a PNG.

    Waterfall and budget need `explanation`, a check's code needs `report`, figures of the panel need `whole` (`feature`: whose
    dependence, or whose regimes). Raises BadInputError for a name, size or ending that is not known (with those that are), or where
    what the chart shows was not given.
    """
    path, denied = Path(path), tuple(redact)
    _known("unknown_ending", path.suffix.lower(), ENDINGS, "ending", path)
    _known("unknown_size", size, SIZES, "size", path)
    checklist = report.checklist if report else "fixed_income_plus"
    _known("unknown_chart", chart_name, chart_names(bundle, checklist), "chart", path)
    facts = hide(provenance(chart_name, bundle, explanation, report, whole), denied)
    if chart_name in FIGURES:
        if whole is None:
            raise _fault("needs_whole", path, chart=chart_name)
        chart = FIGURES[chart_name](whole, lang, feature)
    else:
        chart = _chart(chart_name, bundle, path, lang, explanation=explanation, report=report)
    chart = render.respell(chart, lambda words: str(hide(words, denied)))
    drawn = render.with_source(chart, source_line(facts, lang))
    durable.write(path, _encode(drawn, path.suffix.lower(), lang, facts, SIZES[size]))


def provenance(
    chart_name: str,
    bundle: StrategyBundle,
    explanation: Explanation | None = None,
    report: AuditReport | None = None,
    whole: Whole | None = None,
) -> dict[str, str]:
    """What a reader needs to check the figure: bundle, hashes, seed, version, date of the decision, kind of figures."""
    of_decision = explanation if chart_name in OF_A_DECISION else None
    of_audit = report if of_decision is None and chart_name not in {"curve", *FIGURES} else None
    made = of_decision or of_audit
    facts = {
        "chart": chart_name,
        "bundle": bundle.name,
        "bundle_sha256": bundle.bundle_sha256,
        "panel_sha256": bundle.panel_sha256,
        "model_sha256": made.model_sha256 if made else bundle.models[-1].sha256,
        "figures": bundle.manifest.evidence.figures or "undeclared",
        "version": __version__,
    }
    if made:
        facts["seed"] = str(made.seed)
    if whole is not None and chart_name in FIGURES:
        facts |= {"seed": str(whole.seed), "rows": f"{len(whole.rows)} of {whole.of}"}
    if of_decision:
        entity = {"entity": of_decision.entity} if of_decision.entity else {}
        facts |= {"decision": of_decision.time, "method": of_decision.method} | entity
    return facts


def source_line(facts: Mapping[str, str], lang: str) -> str:
    """The line under the figure: bundle, decision, kind of figures, hash, seed, version."""
    parts = [
        facts["bundle"]
        + (text("report.snapshot.decision", lang, time=facts["decision"]) if "decision" in facts else ""),
        text(f"chart.figures.{facts['figures']}", lang),
        text("report.snapshot.hash", lang, hash=facts["bundle_sha256"][:12]),
        *([text("report.snapshot.seed", lang, seed=facts["seed"])] if "seed" in facts else []),
        f"workbench {facts['version']}",
    ]
    return text("report.snapshot.source", lang, parts=" · ".join(parts))


def _known(key: str, given: str, known: Iterable[str], name: str, path: Path) -> None:
    if given not in known:
        raise _fault(key, path, **{name: given or "–", "known": ", ".join(known)})


def _fault(key: str, path: Path, **values: object) -> BadInputError:
    return BadInputError([Fault(f"report.snapshot.{key}", path.name, values=values)])


def _chart(
    name: str,
    bundle: StrategyBundle,
    path: Path,
    lang: str,
    *,
    explanation: Explanation | None,
    report: AuditReport | None,
) -> Any:
    if name == "curve":
        return curve.nav_curve(bundle, lang)
    if name in OF_A_DECISION:
        if explanation is None:
            raise _fault("needs_explanation", path, chart=name)
        labels = bundle.manifest.features
        return waterfall(explanation, lang, labels) if name == "waterfall" else budget_gauge(explanation, lang)
    if report is None:
        raise _fault("needs_report", path, chart=name)
    return _evidence(name, path, lang, report)


def _evidence(code: str, path: Path, lang: str, report: AuditReport) -> Any:
    """The first figure of a finding's evidence, under the check's title and its outcome."""
    check: Check = next(check for check in load_checklist(report.checklist) if check.code == code)
    finding = next((finding for finding in report.findings if finding.code == code), None)
    tables = finding.measurement.tables if finding and finding.measurement else {}
    if not finding or not tables:
        why = finding.reason if finding and finding.reason else Message("chart.evidence.empty")
        raise _fault("no_evidence", path, chart=code, why=why)
    key, table = next(iter(tables.items()))
    outcome = text(f"outcome.{finding.adjusted_outcome.value}", lang)
    name = theme.spoken(check.words, key, lang)
    title = text(
        "report.snapshot.finding", lang, code=code, title=getattr(check.title, lang), outcome=outcome, name=name
    )
    return evidence_figure(table, check.words, lang, title)


def _encode(chart: Any, ending: str, lang: str, facts: Mapping[str, str], scale: float) -> bytes:
    encoders: dict[str, Callable[[], bytes]] = {
        ".png": lambda: render.png(chart, scale, facts),
        ".svg": lambda: render.svg(chart, facts, paper=True).encode(),
        ".html": lambda: render.html(chart, lang, facts).encode(),
    }
    return encoders[ending]()
