"""A small valid bundle on disk, to be changed by the test that needs it changed."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

FEATURES = ("y10", "slope", "spread", "momentum", "volatility", "y10_lag5")
ROWS, HORIZON = 600, 20
Edit = Callable[[pd.DataFrame], pd.DataFrame]

MANIFEST = {
    "bundle": {"name": "small", "title": {"en": "A small bundle", "zh": "小样例"}},
    "model": {"file": "model.txt", "format": "lightgbm", "task": "regression"},
    "panel": {"file": "panel.csv", "time": "date", "label": "target", "horizon": HORIZON},
    "features": {
        "y10": {"family": "rates", "published_lag_days": 1, "unit": "percent"},
        "slope": {"family": "rates", "published_lag_days": 1},
        "spread": {"family": "credit"},
        "momentum": {"family": "equity"},
        "volatility": {"family": "volatility"},
        "y10_lag5": {"family": "rates", "lag_of": "y10", "lag": 5},
    },
    "split": {"train_end": "2019-08-30", "validation": "walk_forward", "embargo": HORIZON, "trials": 12},
    "returns": {
        "file": "returns.csv",
        "time": "date",
        "strategy": "net",
        "gross": "gross",
        "benchmark": "bench",
        "position": "weight",
        "underlying": "c_minus_f",
        "turnover": "turnover",
        "valuation": "third_party_t1",
        "factors": {"equity": "c_fund", "duration": "f_fund"},
    },
    "mandate": {"equity_max": 0.2, "max_drawdown": 0.05, "attribution_max": {"equity": 0.3}},
}


@cache
def panel_table(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """A panel of business days from 2018-01-01: persistent features and a label that is known `HORIZON` rows later."""
    rng = np.random.default_rng(seed)
    walks = rng.normal(size=(rows, 5)).cumsum(axis=0) / np.sqrt(rows)
    y10, slope, spread, momentum, volatility = walks.T
    score = 0.02 * momentum - 0.01 * spread * (volatility > 0) + 0.004 * rng.normal(size=rows)
    table = pd.DataFrame({"date": pd.bdate_range("2018-01-01", periods=rows).strftime("%Y-%m-%d")})
    table[list(FEATURES[:5])] = np.column_stack([2.5 + y10, slope, 1 + spread, momentum, 20 + 5 * volatility])
    table["y10_lag5"] = table["y10"].shift(5)
    table["target"] = np.where(np.arange(rows) < rows - HORIZON, score, np.nan)
    return table


@cache
def returns_table(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """A fund of 90 % bonds and about 10 % equity on the panel's days, with its factors."""
    rng = np.random.default_rng(seed + 1)
    equity, bonds = rng.normal(0.0004, 0.01, rows), rng.normal(0.0001, 0.002, rows)
    weight = 0.1 + 0.05 * np.sin(np.arange(rows) / 40)
    turnover = np.abs(np.diff(weight, prepend=weight[0]))
    earned = np.roll(weight, 1) * (equity - bonds)
    earned[0] = 0.0
    gross = bonds + earned
    following = np.append((equity - bonds)[1:], np.nan)
    columns = {
        "net": gross - 0.0005 * turnover,
        "gross": gross,
        "bench": 0.9 * bonds + 0.1 * equity,
        "weight": weight,
        "c_minus_f": following,
        "turnover": turnover,
        "c_fund": equity,
        "f_fund": bonds,
    }
    return pd.DataFrame({"date": panel_table(seed, rows)["date"], **columns})


@cache
def model_text(seed: int = 0, rows: int = ROWS, rounds: int = 30, objective: str = "regression") -> str:
    """A small LightGBM model of the panel, fitted up to the split, as text."""
    table = panel_table(seed, rows)
    fit = table[(table["date"] <= MANIFEST["split"]["train_end"]) & table["target"].notna()].iloc[:-HORIZON]
    label = fit["target"] if objective == "regression" else (fit["target"] > 0).astype(float)
    params = {"objective": objective, "num_leaves": 7, "learning_rate": 0.1, "verbose": -1, "num_threads": 1}
    params |= {"deterministic": True, "seed": seed, "force_row_wise": True}
    data = lightgbm.Dataset(fit[list(FEATURES)].to_numpy(), label.to_numpy(), feature_name=list(FEATURES))
    return lightgbm.train(params, data, rounds).model_to_string()


def make_bundle(
    folder: Path,
    *,
    panel_edit: Edit = lambda table: table,
    returns_edit: Edit = lambda table: table,
    model: str | bytes | Mapping[str, object] | None = None,
    seed: int = 0,
    rows: int = ROWS,
    **changes: Mapping[str, object] | None,
) -> Path:
    """Write a valid bundle into `folder` and give the folder back.

    `changes` are merged into the manifest, section by section (`panel={"time": "day"}`; None takes a section or a key out);
    `panel_edit` and `returns_edit` change the tables before they are written; `model` replaces the model file where it is text or bytes, else it changes [model].
    """
    folder.mkdir(parents=True, exist_ok=True)
    section = model if isinstance(model, Mapping) else {}
    manifest = merged(MANIFEST, {"model": section, **changes})
    (folder / "bundle.toml").write_text(toml(manifest), "utf-8")
    content = model if isinstance(model, str | bytes) else model_text(seed, rows)
    (folder / "model.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    panel_edit(panel_table(seed, rows).copy()).to_csv(folder / "panel.csv", index=False)
    returns_edit(returns_table(seed, rows).copy()).to_csv(folder / "returns.csv", index=False)
    return folder


def merged(base: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """`base` with `changes` laid over it, table by table; None takes a key out."""
    out = dict(base)
    for key, change in changes.items():
        if isinstance(change, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = merged(out[key], change)
        else:
            out[key] = change
    return {key: value for key, value in out.items() if value is not None}


def toml(table: Mapping[str, object]) -> str:
    """A nested mapping as TOML: a table a section, inline below."""
    lines = []
    for section, keys in table.items():
        lines.append(f"[{_key(section)}]")
        lines += [f"{_key(key)} = {_inline(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
