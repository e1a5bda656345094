"""One decision explained: what moved it, how long the answer took, what the features were, which model decided."""

import shell
import streamlit as st
from parts import explained, figure, heading

from workbench.charts.budget import budget_gauge
from workbench.charts.waterfall import waterfall

lang = str(st.session_state["spoken"])
bundle = shell.bundle(lang)
heading.show(bundle, lang)

question = explained.choose(bundle, lang)
ticket = explained.ask(shell.desk(), bundle, question, lang)
under_way = not ticket.done


@st.fragment(run_every=explained.REFRESH_S if under_way else None)
def show() -> None:
    """The best answer so far; while better ones come, it is looked at again."""
    if under_way and ticket.done:
        st.rerun()
    answer = ticket.first()
    explained.headline(answer, bundle, lang)
    left, right = st.columns([5, 3], gap="medium")
    with left.container(border=True):
        figure.show(waterfall(answer, lang, bundle.manifest.features), "waterfall")
        figure.show(budget_gauge(answer, lang), "budget", legend=True)
    with right:
        explained.cautions(answer, lang, under_way=under_way)
        explained.provenance(answer, bundle, lang)
    explained.features(answer, bundle, lang)


show()
