"""A figure on the page: as wide as its place, in the colours of the reader's theme, with its alt text."""

from typing import Any

import streamlit as st

from workbench.charts import theme

FRAME = 100  # pixels around the plot: title, axis and its name
LEGEND = 24


def show(chart: Any, key: str, *, legend: bool = False) -> None:
    """Draw the chart; a reader who changes the theme gets it anew. `legend`: it has one below, which takes its own place."""
    surface: theme.Surface = "dark" if st.context.theme.type == "dark" else "light"
    painted = chart.properties(config=theme.config(surface), background="transparent")
    height = int(painted.to_dict()["height"]) + FRAME + (LEGEND if legend else 0)
    st.altair_chart(painted, width="stretch", height=height, theme=None, key=key, alt=str(chart.description))
