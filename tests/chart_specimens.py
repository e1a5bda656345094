"""Nouns made by hand for the tests of figures and paper."""

from pathlib import Path

import numpy as np
import pandas as pd

from workbench.manifest import FeatureSection, Manifest, Words
from workbench.schema import Explanation, Message, ModelFile, Panel, Returns, StrategyBundle

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a.b[0]['c']\"d\\",
    "datum.row === 'x' || alert(1)",
    "]]></metadata><svg onload=alert(1)>",
    "{{ text }} #show: evil \\ $x$ @ref",
    "10年期国债 & 收益率",
    "🚀 rocket",
    "",
    "a.b[0]['c']\"d\\",
    "\u202eevil\u2028",
    "nul\x00\x1b[31m",
)


def explanation(names=None, *, values=None, std_error=None, output="return", **more):
    names = tuple(
        names
        or [
            "y10",
            "slope_2s10s",
            "oas_bbb",
            "vix",
            "usdcny",
            "cb_premium",
            "hs300_mom",
            "r007",
            "cpi",
            "pmi",
            "m2",
            "y2",
        ]
    )
    d = len(names)
    values = np.array(values if values is not None else [(-1) ** i * 0.004 / (i + 1) for i in range(d)])
    given = {
        "values": values,
        "base_values": 0.004,
        "data": np.linspace(-1.5, 3.97, d),
        "feature_names": names,
        "std_error": np.zeros(d) if std_error is None else np.full(d, std_error),
        "prediction": 0.004 + float(values.sum()),
        "method": "tree_shap",
        "asked": "auto",
        "output": output,
        "exact": std_error is None,
        "complete": True,
        "additivity_gap": 1e-12,
        "budget_ms": 800.0,
        "elapsed_ms": 12.4,
        "stages_ms": {"queue": 0.1, "compute": 11.9, "return": 0.4, "load": 213.0},
        "bundle": "us_rates_plus_tilt",
        "time": "2022-10-13",
        "families": ("rates",) * d,
        "model_sha256": "a" * 64,
        "panel_sha256": "b" * 64,
        "versions": {"workbench": "0.1.0"},
    }
    return Explanation(**(given | more))


def nothing(**more):
    return explanation(
        ["y10"],
        values=[0.0],
        prediction=None,
        complete=False,
        exact=False,
        elapsed_ms=805.0,
        **({"reason": Message("chart.list")} | more),
    )


LABELS = {
    "y10": FeatureSection(
        family="rates", label=Words(en="10-year Treasury yield", zh="10年期国债收益率"), unit="percent"
    ),
    "vix": FeatureSection(label=Words(en="Equity volatility (VIX)", zh="股市波动率（VIX）")),
}


def bundle(rows=400, *, figures="public_data", limit=0.05, returns=True, title=None, name="us_rates_plus_tilt"):
    """A bundle of returns only; the last month falls by more than `limit` = 5 %."""
    rng = np.random.default_rng(7)
    index = pd.bdate_range("2019-01-01", periods=rows, name="date")
    benchmark = rng.normal(0.0002, 0.001, rows)
    strategy = benchmark + rng.normal(0.0001, 0.0005, rows)
    strategy[-20:] -= 0.004
    manifest = {
        "bundle": {"name": name, "title": title},
        "model": {"file": "model.txt", "format": "lightgbm"},
        "panel": {"file": "panel.csv", "time": "date"},
        "features": {name: section.model_dump() for name, section in LABELS.items()},
        "mandate": {"max_drawdown": limit},
        "evidence": {"figures": figures},
    }
    table = pd.DataFrame({"strategy": strategy, "benchmark": benchmark}, index=index)
    return StrategyBundle(
        folder=Path("/secret/place/of/someone"),
        manifest=Manifest.model_validate(manifest),
        models=(ModelFile("model", Path("/secret/place/of/someone/model.txt"), "lightgbm", "a" * 64),),
        panel=Panel(index, pd.DataFrame({"y10": 1.0, "vix": 2.0}, index=index), ("y10", "vix")),
        returns=Returns(table, pd.DataFrame(index=index), 252.0) if returns else None,
        tables={},
        panel_sha256="b" * 64,
        bundle_sha256="c" * 64,
    )
