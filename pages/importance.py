"""The whole panel explained: what the model leans on, with error bars that know of persistence, when and in what weather."""

import shell
import streamlit as st
from parts import figure, heading, whole_panel

from workbench.charts.whole_panel import FIGURES

lang = str(st.session_state["spoken"])
bundle = shell.bundle(lang)
heading.show(bundle, lang)

job = whole_panel.explanation_of(bundle, shell.desk())
if not job.done:
    whole_panel.watch(job, lang)
    st.stop()
whole = whole_panel.whole_of(job, bundle, shell.desk(), lang)
whole_panel.headline(whole, lang)
with st.container(horizontal=True, gap="medium"):
    for name, legend in (("importance", False), ("beeswarm", True)):
        with st.container(border=True, width=whole_panel.WIDE, height="stretch"):
            figure.show(FIGURES[name](whole, lang, None), name, legend=legend)
    for name in ("families", "lags"):
        with st.container(border=True, width=whole_panel.WIDE, height="stretch"):
            figure.show(FIGURES[name](whole, lang, None), name)
with st.container(border=True):
    figure.show(FIGURES["through_time"](whole, lang, None), "through_time")
whole_panel.chosen(whole, "dependence", lang)
whole_panel.chosen(whole, "regimes", lang)
whole_panel.pairs(job, shell.desk(), lang)
whole_panel.table(whole, lang)
whole_panel.take_along(whole, lang)
