"""A checklist executed on a bundle: the only place that judges.

Measures give facts, TOML draws the lines; here a fact meets its line. Nothing passes by default: a missing input is `not_run`, a
sample that could not have shown the fault is `insufficient`, an exception is `error`, and none of them counts as a pass.
"""

import importlib
import math
import pkgutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from statsmodels.stats.multitest import multipletests

from workbench import __version__, checks
from workbench.checklist import Check, load_checklist
from workbench.desk import Desk
from workbench.evidence import Evidence, Measure
from workbench.schema import (
    AuditReport,
    BadInputError,
    CannotMeasureError,
    Fault,
    Finding,
    Measurement,
    Message,
    ModelFailedError,
    Outcome,
    StrategyBundle,
)
from workbench.text import say

Progress = Callable[[int, int, Check], None]

_RAN = (Outcome.PASS, Outcome.INSUFFICIENT, Outcome.WARN, Outcome.FAIL)
"""Outcomes of a check that ran, from mild to grave."""


@dataclass(frozen=True)
class _Judgement:
    outcome: Outcome
    reason: Message | None = None


def audit(
    bundle: StrategyBundle,
    desk: Desk,
    checklist: str | Path = "fixed_income_plus",
    seed: int = 0,
    progress: Progress | None = None,
    *,
    only: Collection[str] | None = None,
) -> AuditReport:
    """Execute every check of a checklist (a shipped one's name, or a folder of TOML files) on a bundle.

    A check that cannot run, or fails while it runs, is a finding and never an exception; `progress(i, n, check)` is called before
    each one. `only` picks some checks by code: the verdict is then about these. A whole audit goes to the desk's ledger. Raises BadInputError where the checklist itself is
    missing or wrong, or has no such code.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    questions = _picked(load_checklist(checklist), only)
    evidence = Evidence(bundle, desk, seed)
    findings = []
    for i, check in enumerate(questions):
        if progress:
            progress(i, len(questions), check)
        findings.append(run(check, evidence))
    adjusted = adjust(questions, findings)
    report = AuditReport(
        bundle=bundle.name,
        checklist=str(checklist),
        version=__version__,
        verdict=verdict(questions, adjusted),
        findings=adjusted,
        model_sha256=bundle.models[-1].sha256,
        panel_sha256=bundle.panel_sha256,
        bundle_sha256=bundle.bundle_sha256,
        seed=seed,
        started=started.isoformat(timespec="seconds"),
        elapsed_ms=(time.perf_counter() - clock) * 1000,
    )
    if desk.ledger is not None and only is None:
        outcomes = {finding.code: finding.outcome.value for finding in adjusted}
        desk.ledger.append("audit", vars(report) | {"findings": outcomes})
    return report


def _picked(questions: Sequence[Check], only: Collection[str] | None) -> Sequence[Check]:
    known = [check.code for check in questions]
    if unknown := [code for code in only or () if code not in known]:
        values = {"known": ", ".join(known)}
        raise BadInputError([Fault("audit.no_such_check", code, values=values) for code in unknown])
    return questions if only is None else [check for check in questions if check.code in only]


def find_measure(check: Check) -> Measure:
    """Give the function of checks/FAMILY.py that bears the check's name. The family is looked up in the folder's listing."""
    families = {module.name for module in pkgutil.iter_modules(checks.__path__)}
    if check.family not in families:
        raise LookupError(f"no workbench/checks/{check.family}.py")
    measures: dict[str, Measure] = vars(importlib.import_module(f"workbench.checks.{check.family}"))
    if check.name not in measures:
        raise LookupError(f"no function {check.name} in workbench/checks/{check.family}.py")
    return measures[check.name]


def run(check: Check, evidence: Evidence) -> Finding:
    """Measure and judge one check; whatever goes wrong becomes the finding's outcome and reason."""
    clock, measurement = time.perf_counter(), None
    try:
        measure = find_measure(check)
        clock = time.perf_counter()  # what the first check of a family imports is not its own time
        measurement = measure(**evidence.collect(measure, check.settings))
        judged = judge(check, measurement, measurement.p_value)
    except CannotMeasureError as absent:
        judged = _Judgement(Outcome.NOT_RUN, absent.message)
    except ModelFailedError as failed:
        judged = _Judgement(Outcome.ERROR, Message("audit.model_failed", {"what": failed.message}))
    except Exception as error:  # noqa: BLE001 - one broken check must not end the audit
        judged = _error(type(error).__name__, str(error))
    elapsed = (time.perf_counter() - clock) * 1000
    return Finding(check.code, judged.outcome, judged.outcome, measurement, None, judged.reason, elapsed)


def judge(check: Check, measurement: Measurement, p_value: float | None) -> _Judgement:
    """Hold one measurement against its lines.

    Beyond the fail line is a failure, beyond the warn line a warning; where the check is statistical, only with p at most fail_p or
    warn_p. Otherwise, if even the smallest effect that the sample could have shown lies beyond the line, it is insufficient.
    """
    if math.isnan(measurement.value) or (check.statistical and (p_value is None or not 0 <= p_value <= 1)):
        return _error("ValueError", f"{check.name} = {measurement.value}, p = {p_value}")
    significant = [
        limit is None or (p_value is not None and p_value <= limit) for limit in (check.fail_p, check.warn_p)
    ]
    if check.beyond(measurement.value, check.fail) and significant[0]:
        return _Judgement(Outcome.FAIL)
    if check.beyond(measurement.value, check.warn) and significant[1]:
        return _Judgement(Outcome.WARN)
    for fact, most in check.also_warn.items():
        found = measurement.facts[fact]
        if not isinstance(found, int | float) or found > most:
            return _Judgement(Outcome.WARN, Message(f"audit.also_warn.{fact}", {"value": found}))
    line = check.fail if check.must_show is None else check.must_show
    smallest = measurement.smallest_effect
    if smallest is not None and (not math.isfinite(smallest) or check.beyond(smallest, line)):
        unit = Message(f"audit.unit.{check.unit}")
        return _Judgement(
            Outcome.INSUFFICIENT, Message("audit.insufficient", {"smallest": smallest, "line": line, "unit": unit})
        )
    return _Judgement(Outcome.PASS)


def adjust(questions: Sequence[Check], findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Adjust the statistical checks' p-values together (Holm 1979) and judge again: twenty tests at 1 % are one false alarm in six."""
    tested = [
        i
        for i, (check, finding) in enumerate(zip(questions, findings, strict=True))
        if check.statistical and finding.outcome in _RAN
    ]
    adjusted = list(findings)
    p_values = [m.p_value for i in tested if (m := findings[i].measurement) is not None]
    for i, p in zip(tested, multipletests(p_values, method="holm")[1] if tested else (), strict=True):
        measurement = findings[i].measurement
        if measurement is not None:
            again = judge(questions[i], measurement, float(p))
            adjusted[i] = replace(findings[i], p_adjusted=float(p), adjusted_outcome=again.outcome)
    return tuple(adjusted)


def verdict(questions: Sequence[Check], findings: Iterable[Finding]) -> Outcome:
    """Give the worst outcome after Holm's adjustment: pass, warn or fail.

    An error counts as fail. What could not have seen the fault, or is critical and did not run, leaves at best a warning; so does
    an audit in which no check ran.
    """
    grave = {Outcome.FAIL: Outcome.FAIL, Outcome.ERROR: Outcome.FAIL, Outcome.WARN: Outcome.WARN}
    grave |= {Outcome.INSUFFICIENT: Outcome.WARN, Outcome.PASS: Outcome.PASS}
    counted = [
        grave.get(finding.adjusted_outcome, Outcome.WARN)
        for check, finding in zip(questions, findings, strict=True)
        if finding.adjusted_outcome is not Outcome.NOT_RUN or check.severity == "critical"
    ]
    return max(counted, key=_RAN.index, default=Outcome.WARN)


def _error(kind: str, message: str) -> _Judgement:
    return _Judgement(Outcome.ERROR, Message("audit.error", {"type": kind, "message": message}))


def to_dict(report: AuditReport, lang: str = "en") -> dict[str, Any]:
    """Give the machine's form of a report, its words in `lang`: finite numbers, null, strings, lists and objects only."""
    questions = {check.code: check for check in load_checklist(report.checklist)}
    findings = [_finding(questions[finding.code], finding, lang) for finding in report.findings]
    outcomes = [finding.outcome for finding in report.findings]
    return {
        "bundle": report.bundle,
        "checklist": report.checklist,
        "version": report.version,
        "verdict": report.verdict.value,
        "findings": findings,
        "counts": {outcome.value: outcomes.count(outcome) for outcome in Outcome},
        "model_sha256": report.model_sha256,
        "panel_sha256": report.panel_sha256,
        "bundle_sha256": report.bundle_sha256,
        "seed": report.seed,
        "started": report.started,
        "elapsed_ms": report.elapsed_ms,
    }


def _finding(check: Check, finding: Finding, lang: str) -> dict[str, Any]:
    found = finding.measurement
    return {
        "code": check.code,
        "pattern": check.pattern,
        "family": check.family,
        "outcome": finding.outcome.value,
        "adjusted_outcome": finding.adjusted_outcome.value,
        "severity": check.severity,
        "value": _plain(found.value) if found else None,
        "unit": check.unit,
        "warn": check.warn,
        "fail": check.fail,
        "p_value": _plain(found.p_value) if found else None,
        "p_adjusted": _plain(finding.p_adjusted),
        "title": getattr(check.title, lang),
        "why": getattr(check.why, lang),
        "remedy": getattr(check.remedy, lang),
        "reason": say(finding.reason, lang) if finding.reason else None,
        "evidence": _evidence(found) if found else {},
        "timed": check.timed,
        "elapsed_ms": finding.elapsed_ms,
    }


def _evidence(found: Measurement) -> dict[str, Any]:
    tables = {
        name: {"kind": t.kind, "columns": _plain(t.columns), "lines": _plain(t.lines)}
        for name, t in found.tables.items()
    }
    return {"facts": _plain(found.facts), "tables": tables}


def _plain(value: Any) -> Any:
    """JSON's own types; what is not a finite number is null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def without_times(record: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the part of a report's machine form that the same bundle, seed and version give again.

    Moments and durations go; of a `timed` check, whose value is itself a duration, everything that was measured goes.
    """
    kept = {key: value for key, value in record.items() if key not in {"started", "elapsed_ms", "counts", "verdict"}}
    measured = {"outcome", "adjusted_outcome", "value", "p_value", "p_adjusted", "reason", "evidence"}
    kept["findings"] = [
        {k: v for k, v in finding.items() if k != "elapsed_ms" and not (finding["timed"] and k in measured)}
        for finding in record["findings"]
    ]
    return kept
