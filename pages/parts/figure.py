"""A figure on the page: as wide as its place, in the colours of the reader's theme, with its alt text."""

from typing import Any

import streamlit as st

from workbench.charts import theme

FRAME = 100  # pixels around the plot: title, axis and its name
LEGEND = 44


def show(chart: Any, key: str, *, legend_columns: int = 0) -> None:
    """Draw the chart; a reader who changes the theme gets it anew. `legend_columns` breaks a legend for a narrow place."""
    surface: theme.Surface = "dark" if st.context.theme.type == "dark" else "light"
    config = theme.config(surface)
    config["legend"] |= {"columns": legend_columns} if legend_columns else {}
    painted = chart.properties(config=config, background="transparent")
    height = int(painted.to_dict()["height"]) + FRAME + (LEGEND if legend_columns else 0)
    st.altair_chart(painted, width="stretch", height=height, theme=None, key=key, alt=str(chart.description))
