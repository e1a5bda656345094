"""Figures, one function each: Vega-Lite through altair, so that page, paper and blog show the same one."""
