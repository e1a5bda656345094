"""A bundle that cannot be read: every fault, where it stands, and what to do."""

import streamlit as st

from parts.plain import plain
from workbench.schema import BadInputError
from workbench.text import say, text


def show(bad: BadInputError, name: str, lang: str) -> None:
    """All faults in one table; the reader mends the files and looks again."""
    st.title(plain(name))
    st.error(text("page.faults.title", lang, count=len(bad.faults)), icon=":material/error:")
    rows = [
        {
            text("page.faults.file", lang): fault.file,
            text("page.faults.place", lang): fault.place,
            text("page.faults.row", lang): fault.row,
            text("page.faults.what", lang): say(fault, lang),
        }
        for fault in bad.faults
    ]
    wide = {text("page.faults.what", lang): st.column_config.TextColumn(width="large")}
    st.dataframe(rows, hide_index=True, width="stretch", column_config=wide)
    st.button(text("page.faults.again", lang), icon=":material/refresh:")
