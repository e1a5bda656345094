"""The curve is the product of the returns, its depth is the drawdown, and its provenance is printed."""

import numpy as np
import pandas as pd
import pytest
from chart_specimens import bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.charts import render, theme
from workbench.charts.curve import alt_text, nav_curve, paths


def test_growth_and_drawdown_by_hand():
    specimen = bundle(3)
    specimen.returns.table.loc[:, "strategy"] = [-0.10, 0.20, -0.05]
    nav, drawdown = paths(specimen)
    np.testing.assert_allclose(nav["strategy"], [0.9, 1.08, 1.026])
    np.testing.assert_allclose(drawdown["strategy"], [-0.1, 0.0, -0.05])


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("figures", ["real", "public_data", "reconstructed", None])
def test_provenance_stands_on_the_figure(lang, figures):
    marks = {
        "real": ("real", "真实"),
        "public_data": ("public data", "公开数据"),
        "reconstructed": ("reconstructed", "模拟"),
    }
    mark = marks.get(figures, ("does not say", "未声明"))[lang == "zh"]
    chart = nav_curve(bundle(40, figures=figures), lang)
    assert mark in chart.to_dict()["title"]["subtitle"][0]
    assert mark in render.svg(chart).replace("\n", "")
    assert mark in alt_text(bundle(figures=figures), lang)


def test_limit_is_drawn_and_told():
    spec = nav_curve(bundle(limit=0.05), "en").to_dict()
    assert {"at": -0.05, "name": "mandate: −5.0%"} in [row for rows in spec["datasets"].values() for row in rows]
    assert "allows a drawdown of 5.0%" in spec["description"]
    assert "mandate" not in str(nav_curve(bundle(limit=None), "en").to_dict()["datasets"])


def test_no_returns_is_said():
    assert "[returns]" in nav_curve(bundle(returns=False), "en").to_dict()["description"]


@given(st.integers(1, 6000), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_thinning_keeps_first_last_and_deepest(rows, seed):
    path = np.random.default_rng(seed).normal(size=rows).cumsum()
    kept = theme.thin(path)
    assert {0, rows - 1, int(path.argmin())} <= set(kept)
    assert len(kept) <= 1504
    assert kept == sorted(kept)


def test_days_are_those_of_the_table_whatever_the_zone():
    specimen = bundle(30)
    day = f"{specimen.returns.table.index[0]:%Y-%m-%d}"
    row = next(iter(nav_curve(specimen, "en").to_dict()["datasets"].values()))[0]
    assert row["day"] == day == f"{pd.Timestamp(row['at'], unit='ms'):%Y-%m-%d}"
