"""An audit on paper: a PDF that is archivable (PDF/A-2a) and accessible (PDF/UA-1), the same bytes for the same report.

The page's form stands in report.typ beside the checklist; here its content is gathered as JSON, figures as SVG. Words from outside
reach typst as data and are never read as markup. Every character is held against the font first: what it lacks becomes ⊠ with a
note, so that an accessible PDF always comes.
"""

import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import typst

from workbench import durable
from workbench.charts import curve, render, theme
from workbench.charts.evidence import alt_text, evidence_figure
from workbench.checklist import Check, load_checklist
from workbench.fonts import FOLDER, MISSING, printable
from workbench.schema import AuditReport, Finding, Outcome, StrategyBundle, Table
from workbench.shipped import shipped
from workbench.text import say, text, words

STANDARDS: tuple[Any, ...] = ("a-2a", "ua-1")
TEMPLATE = ("fixed_income_plus", "report.typ")
PATTERNS = ("borrowed_tomorrow", "equity_in_a_bond_coat", "fair_weather_model", "support")
PERCENT = frozenset({"share", "probability", "inflation"})
SHOWN_CODES = 12


class PaperError(RuntimeError):
    """typst could not set the page without a complaint: a fault of this program, not of the input."""


def write_pdf(report: AuditReport, bundle: StrategyBundle, path: Path, lang: str) -> None:
    """Write the report; the file is whole or not there.

    Raises PaperError where typst complains (a warning counts), OSError where the file cannot be written.
    """
    durable.write(Path(path), pdf(report, bundle, lang))


def pdf(report: AuditReport, bundle: StrategyBundle, lang: str) -> bytes:
    """The report as the bytes of a PDF; its creation date is the moment at which the audit started."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        sheet = content(report, bundle, lang, root)
        (root / "sheet.json").write_text(json.dumps(sheet, ensure_ascii=False, allow_nan=False), "utf-8")
        page = root / "report.typ"
        page.write_bytes(shipped("audits").joinpath(*TEMPLATE).read_bytes())
        return _set(page, root, _moment(report.started))


def content(report: AuditReport, bundle: StrategyBundle, lang: str, folder: Path) -> dict[str, Any]:
    """Everything that stands on the pages, in `lang`, each character one that the font holds; figures are put into `folder`."""
    questions = {check.code: check for check in load_checklist(report.checklist)}
    pairs = [(questions[finding.code], finding) for finding in report.findings]
    title = text("report.title", lang, bundle=_title(bundle, lang))
    sheet = {
        "lang": lang,
        "title": title,
        "keywords": [f"{k}={v}" for k, v in _hashes(report).items()],
        "words": {key.removeprefix("report."): entry[lang] for key, entry in words().items() if _printed(key)},
        "header": text("report.header", lang, bundle=report.bundle, hash=report.bundle_sha256[:12]),
        "footer": text("report.footer", lang, **_hashes(report)),
        "verdict": _outcome(report.verdict, lang),
        "verdict_why": verdict_sentences(pairs, lang),
        "counts": [_outcome(o, lang) | {"n": sum(f.adjusted_outcome is o for _, f in pairs)} for o in Outcome],
        "identity": identity(report, bundle, lang),
        "curve": _figure(curve.nav_curve(bundle, lang), curve.alt_text(bundle, lang), "", folder / "curve.svg"),
        "patterns": [_pattern(pattern, pairs, lang, folder) for pattern in PATTERNS],
    }
    return _boxed(sheet, lang)


def verdict_sentences(pairs: list[tuple[Check, Finding]], lang: str) -> list[str]:
    """Why the verdict is what it is: which checks failed, broke, warn, could not see, or lack a critical input."""
    told = {
        "failed": [c for c, f in pairs if f.adjusted_outcome is Outcome.FAIL],
        "broke": [c for c, f in pairs if f.adjusted_outcome is Outcome.ERROR],
        "warned": [c for c, f in pairs if f.adjusted_outcome is Outcome.WARN],
        "blind": [c for c, f in pairs if f.adjusted_outcome is Outcome.INSUFFICIENT],
        "critical_missing": [c for c, f in pairs if f.adjusted_outcome is Outcome.NOT_RUN and c.severity == "critical"],
    }
    joined = text("report.list", lang)
    sentences = [
        text(f"report.verdict.{key}", lang, codes=joined.join(check.code for check in checks))
        for key, checks in told.items()
        if checks
    ]
    ran = any(f.adjusted_outcome is Outcome.PASS for _, f in pairs)
    return [
        *(sentences or [text("report.verdict.passed", lang)] if ran else sentences),
        text("report.never_passed", lang),
    ]


def identity(report: AuditReport, bundle: StrategyBundle, lang: str) -> list[list[str]]:
    """Label and value of what names the audit: bundle, hashes, checklist and its version, seed, time, provenance of the figures."""
    seconds = theme.digits(report.elapsed_ms / 1000, 3)
    values = {
        "bundle": _title(bundle, lang),
        "name": report.bundle,
        "figures": curve.provenance(bundle, lang),
        "bundle_sha256": report.bundle_sha256,
        "model_sha256": report.model_sha256,
        "panel_sha256": report.panel_sha256,
        "checklist": f"{Path(report.checklist).name} {report.version}",
        "seed": str(report.seed),
        "started": report.started,
        "elapsed": text("report.identity.seconds", lang, seconds=seconds),
    }
    return [[text(f"report.identity.{key}", lang), value] for key, value in values.items()]


def amount(value: float | None, unit: str, lang: str) -> str:
    """A measured value or a line in its unit: shares in percent, others with the unit's words."""
    if value is None or not math.isfinite(value):
        return text("report.none", lang)
    if unit in PERCENT:
        return theme.digits(100 * value, 3) + "%"
    return theme.digits(value, 3)


def _title(bundle: StrategyBundle, lang: str) -> str:
    title = bundle.manifest.bundle.title
    return str(getattr(title, lang)) if title else bundle.name


def _hashes(report: AuditReport) -> dict[str, Any]:
    return {
        "bundle": report.bundle,
        "bundle_sha256": report.bundle_sha256,
        "model_sha256": report.model_sha256,
        "panel_sha256": report.panel_sha256,
        "checklist": Path(report.checklist).name,
        "version": report.version,
        "seed": report.seed,
    }


def _printed(key: str) -> bool:
    return key.startswith("report.") and not key.startswith(("report.snapshot.", "report.verdict."))


def _outcome(outcome: Outcome, lang: str) -> dict[str, Any]:
    return {"key": outcome.value, "word": text(f"outcome.{outcome.value}", lang)}


def _pattern(pattern: str, pairs: list[tuple[Check, Finding]], lang: str, folder: Path) -> dict[str, Any]:
    return {
        "title": text(f"audit.pattern.{pattern}", lang),
        "definition": text(f"audit.definition.{pattern}", lang),
        "findings": [_finding(c, f, lang, folder) for c, f in pairs if c.pattern == pattern],
    }


def _finding(check: Check, finding: Finding, lang: str, folder: Path) -> dict[str, Any]:
    found = finding.measurement
    raw, adjusted = _outcome(finding.outcome, lang), _outcome(finding.adjusted_outcome, lang)
    both = text("report.finding.before", lang, adjusted=adjusted["word"], raw=raw["word"])
    return {
        "code": check.code,
        "title": getattr(check.title, lang),
        "about": text("report.finding.about", lang, severity=text(f"audit.severity.{check.severity}", lang)),
        "outcome": adjusted | ({"word": both} if raw != adjusted else {}),
        "value": amount(found.value if found else None, check.unit, lang),
        "warn": amount(check.warn, check.unit, lang),
        "fail": amount(check.fail, check.unit, lang),
        "p": _p(found.p_value if found else None, lang),
        "p_adjusted": _p(finding.p_adjusted, lang),
        "why": getattr(check.why, lang),
        "remedy": getattr(check.remedy, lang),
        "reason": say(finding.reason, lang) if finding.reason else "",
        "lines": _lines(check, lang),
        "source": text(
            "report.finding.marked",
            lang,
            source=getattr(check.source, lang),
            mark=text(f"audit.mark.{check.mark}", lang),
        ),
        "refs": list(check.refs),
        "maps_to": list(check.maps_to),
        "facts": _facts(check, finding, lang),
        "figures": list(_figures(check, finding, lang, folder)),
    }


def _lines(check: Check, lang: str) -> str:
    key = "report.finding.above" if check.fail_above is not None else "report.finding.below"
    spell = partial(amount, unit=check.unit, lang=lang)
    said = text(key, lang, warn=spell(check.warn), fail=spell(check.fail))
    if check.statistical:
        said += text("report.finding.tested", lang, warn_p=_p(check.warn_p, lang), fail_p=_p(check.fail_p, lang))
    unit = f"audit.unit.{check.unit}"
    return said + (" " + text(unit, lang) if unit in words() and check.unit not in PERCENT else "")


def _p(value: float | None, lang: str) -> str:
    least = 0.0001
    if value is None or not math.isfinite(value):
        return text("report.none", lang)
    return f"< {least}" if value < least else theme.digits(value, 2)


def _facts(check: Check, finding: Finding, lang: str) -> list[list[str]]:
    found = finding.measurement
    if found is None:
        return []
    told = [[text("report.finding.value", lang), amount(found.value, check.unit, lang)]]
    if found.p_value is not None:
        told.append([text("report.finding.p_value", lang), _p(found.p_value, lang)])
    if finding.p_adjusted is not None:
        told.append([text("report.finding.p_adjusted", lang), _p(finding.p_adjusted, lang)])
    if found.smallest_effect is not None:
        told.append([text("report.finding.smallest", lang), amount(found.smallest_effect, check.unit, lang)])
    return told + [[theme.spoken(check.words, key, lang), _fact(value, lang)] for key, value in found.facts.items()]


def _fact(value: float | str | None, lang: str) -> str:
    if value is None:
        return text("report.none", lang)
    return value if isinstance(value, str) else theme.digits(float(value))


def _figures(check: Check, finding: Finding, lang: str, folder: Path) -> Iterator[dict[str, Any]]:
    tables: Mapping[str, Table] = finding.measurement.tables if finding.measurement else {}
    for i, (key, table) in enumerate(tables.items()):
        name = theme.spoken(check.words, key, lang)
        caption = text("report.finding.figure", lang, code=check.code, name=name)
        chart = evidence_figure(table, check.words, lang)
        said = alt_text(table, check.words, lang, name)
        yield _figure(chart, said, caption, folder / f"{check.code}_{i}.svg")


def _figure(chart: Any, said: str, caption: str, file: Path) -> dict[str, Any]:
    drawn = render.svg(chart)
    file.write_text(printable(drawn), "utf-8")
    width, height = (float(re.search(rf'{side}="([\d.]+)"', drawn)[1]) for side in ("width", "height"))  # type: ignore[index]
    return {"file": file.name, "alt": said, "caption": caption, "tall": height / width}


def _boxed(sheet: dict[str, Any], lang: str) -> dict[str, Any]:
    """The sheet with ⊠ for what the font lacks, and a note that names those characters."""
    lost: set[str] = set()
    boxed: dict[str, Any] = _respell(sheet, lost)
    codes = [f"U+{ord(c):04X}" for c in sorted(lost)]
    more = ["…"] if len(codes) > SHOWN_CODES else []
    listed = text("report.list", lang).join(codes[:SHOWN_CODES] + more)
    return boxed | {"boxed": text("report.boxed", lang, sign=MISSING, codes=listed) if codes else ""}


def _respell(value: Any, lost: set[str]) -> Any:
    if isinstance(value, str):
        shown = printable(value)
        lost |= {a for a, b in zip(value, shown, strict=True) if b == MISSING and a != MISSING}
        return shown
    if isinstance(value, dict):
        return {key: _respell(entry, lost) for key, entry in value.items()}
    return [_respell(entry, lost) for entry in value] if isinstance(value, list) else value


def _moment(started: str) -> datetime:
    moment = datetime.fromisoformat(started)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _set(page: Path, root: Path, moment: datetime) -> bytes:
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FOLDER)])
    try:
        made, warnings = typst.compile_with_warnings(
            page, root=root, font_paths=fonts, format="pdf", pdf_standards=list(STANDARDS), timestamp=moment
        )
    except typst.TypstError as error:
        raise PaperError(f"{error.message} {' '.join(error.hints)}") from error
    if warnings:
        raise PaperError("; ".join(warning.message for warning in warnings))
    return bytes(made)
