"""A bundle that cannot be read: every fault, where it stands, and what to do."""

import streamlit as st

from parts.plain import plain
from workbench.schema import BadInputError
from workbench.text import say, text


def show(bad: BadInputError, name: str, lang: str) -> None:
    """All faults in one table; the reader mends the files and looks again."""
    st.title(plain(name))
    st.error(text("page.faults.title", lang, count=len(bad.faults)), icon=":material/error:")
    for fault in bad.faults:
        where = [plain(fault.file), *([plain(fault.place)] if fault.place else [])]
        where += [text("outcome.row", lang, row=fault.row)] if fault.row is not None else []
        with st.container(border=True, gap=None):
            st.markdown(f"**{' · '.join(where)}**")
            st.text(say(fault, lang))
    st.button(text("page.faults.again", lang), icon=":material/refresh:")
