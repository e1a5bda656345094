"""How well the promise of an answer in time is kept: as the ledger has it, for whoever answers for the desk."""

import shell
import streamlit as st
from parts import figure, promise

from workbench.charts.latency import arrivals, by_day
from workbench.text import text

WIDE = 500  # side by side where the window is wide, one under the other where it is not

lang = str(st.session_state["spoken"])
ledger = shell.ledger()
st.title(text("page.latency.name", lang), anchor=False)
st.caption(text("page.latency.about", lang))

promise.unwritten(ledger, lang)
which = promise.choose(ledger, lang)
kept = promise.kept(ledger, which, lang)
promise.headline(kept.whole, len(kept.days), lang)
with st.container(horizontal=True, gap="medium"):
    with st.container(border=True, width=WIDE, height="stretch"):
        figure.show(arrivals(kept.curves, kept.whole, lang), "arrivals", legend=True)
    with st.container(border=True, width=WIDE, height="stretch"):
        figure.show(by_day(kept.days, lang), "by day", legend=True)
promise.models(kept.models, lang)
promise.late(kept.late, lang)
