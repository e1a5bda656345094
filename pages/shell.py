"""What the pages share: the language, the bundle under review, and one desk for the whole app."""

import atexit
import gc
import os
import sys

import streamlit as st
from parts import faults, shelf

from workbench.desk import Desk
from workbench.ledger import Ledger
from workbench.schema import BadInputError, StrategyBundle
from workbench.text import LANGUAGES, text

NAMES = {"en": "English", "zh": "中文"}


def choose_language() -> str:
    """The reader's language: chosen here, named by ?lang=, or the one that the app was started in."""
    state = st.session_state  # a widget's own value may be lost when two runs of a page meet
    wished = (state.get("lang"), state.get("spoken"), st.query_params.get("lang"), os.environ.get("WORKBENCH_LANG"))
    state["lang"] = next(lang for lang in (*wished, *LANGUAGES) if lang in LANGUAGES)
    spoken, label = str(state["lang"]), " / ".join(NAMES.values())
    chosen = st.segmented_control(
        label, LANGUAGES, format_func=NAMES.__getitem__, required=True, key="lang", label_visibility="collapsed"
    )
    state["spoken"] = st.query_params["lang"] = chosen if chosen in LANGUAGES else spoken
    return str(state["spoken"])


def choose_bundle(lang: str) -> None:
    """Let the reader choose what is under review, or ?bundle= name it; what the shelf does not hold is not taken."""
    st.selectbox(text("page.bundle", lang), shelf.folders(), key="bundle", bind="query-params")


def bundle(lang: str) -> StrategyBundle:
    """The bundle under review; where it is bad, the page shows its faults and ends here."""
    name = str(st.session_state["bundle"])
    read = shelf.read(name)
    if isinstance(read, BadInputError):
        faults.show(read, name, lang)
        st.stop()
    return read


@st.cache_resource(show_spinner=False)
def ledger() -> Ledger:
    """The one ledger of the app."""
    return Ledger()


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """The one desk of the app; its workers hold the models."""
    sys.setswitchinterval(0.001)  # at a deadline its threads soon come to their turn, though others draw pages
    gc.freeze()  # nor do they wait while all libraries are searched for garbage
    opened = Desk(ledger())
    atexit.register(opened.close)
    return opened
