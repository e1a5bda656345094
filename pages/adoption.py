"""Did people act on the signal? The finding first, then adoption against slowness and against the predicted win rate."""

import shell
import streamlit as st
from parts import adopted, figure, heading

from workbench.charts.adoption import reliability, slowness

WIDE = 500  # side by side where the window is wide, one under the other where it is not

lang = str(st.session_state["spoken"])
bundle = shell.bundle(lang)
heading.show(bundle, lang)

job = adopted.examination_of(bundle)
if not job.done:
    adopted.watch(job, lang)
    st.stop()
report = adopted.report_of(job, lang)
adopted.headline(report, lang)
with st.container(horizontal=True, gap="medium"):
    with st.container(border=True, width=WIDE, height="stretch"):
        figure.show(slowness(report, lang), "slowness")
    with st.container(border=True, width=WIDE, height="stretch"):
        figure.show(reliability(report, lang), "reliability", legend=True)
adopted.table(report, lang)
adopted.method(report, lang)
