"""The executed checklist: the verdict at once, then each finding with its evidence, its reason and its remedy."""

import shell
import streamlit as st
from parts import findings, heading, jobs

lang = str(st.session_state["spoken"])
bundle = shell.bundle(lang)
heading.show(bundle, lang)

job = jobs.audit_of(bundle, shell.desk())
if job.report is None:
    jobs.watch(job, lang)
    st.stop()
findings.verdict(job.report, lang)
jobs.papers(job.report, bundle, lang)
findings.by_pattern(job.report, lang)
findings.provenance(job.report, lang)
