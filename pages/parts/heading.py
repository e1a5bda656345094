"""What is under review: its title, what it says of itself, where its figures come from."""

import streamlit as st

from parts.plain import plain
from workbench.schema import StrategyBundle
from workbench.text import say, text


def show(bundle: StrategyBundle, lang: str) -> None:
    """Title, description and the facts of the panel in one line; notes of the loader behind a fold."""
    section, panel = bundle.manifest.bundle, bundle.panel
    st.title(plain(getattr(section.title, lang) if section.title else bundle.name), anchor=False)
    if section.description:
        st.text(section.description)
    facts = {"rows": f"{len(panel.times):,}", "features": len(panel.features), "models": len(bundle.models)}
    facts |= {"first": panel.times[0].date(), "last": panel.times[-1].date()}
    figures = text(f"chart.figures.{bundle.manifest.evidence.figures or 'undeclared'}", lang)
    st.caption(f"{text('page.facts', lang, **facts)} · {figures}")
    if bundle.notes:
        with st.expander(text("page.notes", lang, count=len(bundle.notes))):
            for note in bundle.notes:
                st.text(say(note, lang))
