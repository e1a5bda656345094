"""The frame: language, the bundle under review, navigation. `workbench app`, or `streamlit run pages/app.py`."""

from pathlib import Path

import shell
import streamlit as st

from workbench import __version__
from workbench.text import text

LOGO = str(Path(__file__).with_name("logo.svg"))

st.logo(LOGO, size="large")
with st.sidebar:
    lang = shell.choose_language()
    shell.choose_bundle(lang)
    st.caption(text("page.about", lang, version=__version__))
st.set_page_config(page_title=text("page.title", lang), page_icon=LOGO, layout="wide")
pages = [
    st.Page("explain.py", title=text("page.explain.name", lang), icon=":material/waterfall_chart:", default=True),
    st.Page("audit.py", title=text("page.audit.name", lang), icon=":material/fact_check:"),
    st.Page("importance.py", title=text("importance.page.name", lang), icon=":material/bar_chart:"),
    st.Page("latency.py", title=text("page.latency.name", lang), icon=":material/timer:"),
    st.Page("adoption.py", title=text("adoption.page.name", lang), icon=":material/thumbs_up_down:"),
]
st.navigation({text("page.title", lang): pages}).run()
