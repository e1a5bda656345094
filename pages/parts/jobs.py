"""Audits run in the background, one at a time, whatever page is being looked at; a page asks how far one has come."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import streamlit as st

from workbench.audit import audit
from workbench.checklist import Check
from workbench.desk import Desk
from workbench.report import pdf
from workbench.schema import AuditReport, StrategyBundle
from workbench.text import LANGUAGES, text


@dataclass
class Job:
    """One audit under way: `done` of `total` checks are through and `check` is being run."""

    done: int = 0
    total: int = 1
    check: Check | None = None
    report: AuditReport | None = None
    failed: bool = False

    def note(self, done: int, total: int, check: Check) -> None:
        """Take down how far the audit has come."""
        self.done, self.total, self.check = done, total, check

    def run(self, bundle: StrategyBundle, desk: Desk) -> None:
        """Audit the bundle; whatever goes wrong must not take the app along."""
        try:
            self.report = audit(bundle, desk, progress=self.note)
        except Exception:
            logging.getLogger(__name__).exception("audit of %s", bundle.name)
            self.failed = True


@st.cache_resource
def _office() -> tuple[ThreadPoolExecutor, dict[str, Job]]:
    return ThreadPoolExecutor(1, thread_name_prefix="audit"), {}


def audit_of(bundle: StrategyBundle, desk: Desk) -> Job:
    """The audit of this bundle: finished, under way, or begun now. It is one and the same for every reader."""
    pool, jobs = _office()
    job = jobs.get(bundle.bundle_sha256)
    if job is None:
        job = jobs.setdefault(bundle.bundle_sha256, Job())
        pool.submit(job.run, bundle, desk)
    return job


@st.fragment(run_every=0.5)
def watch(job: Job, lang: str) -> None:
    """How far the audit has come; when it is through the page shows it."""
    if job.report is not None:
        st.rerun()
    if job.failed:
        st.error(text("page.audit.broke", lang), icon=":material/error:")
        return
    now = f"{job.check.code} {getattr(job.check.title, lang)}" if job.check else text("page.audit.queued", lang)
    st.progress(job.done / job.total, text=text("page.audit.running", lang, done=job.done, total=job.total, now=now))


def papers(report: AuditReport, bundle: StrategyBundle, lang: str) -> None:
    """The report on paper, in either language; it is set when it is asked for."""
    with st.container(horizontal=True):
        for paper in sorted(LANGUAGES, key=lambda each: each != lang):
            st.download_button(
                text("page.audit.pdf", paper),
                partial(pdf, report, bundle, paper),
                file_name=f"{bundle.name}.{paper}.pdf",
                mime="application/pdf",
                icon=":material/picture_as_pdf:",
                on_click="ignore",
                key=f"pdf {paper}",
            )
