"""Two honest bundles of one design: an equity tilt, where skill is small, and a volatility target, where it is real."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from bundle import Bundle, Sections, declare, panel
from features import TILT, VOLATILITY, mix
from learner import (
    EMBARGO,
    GRID,
    Config,
    Live,
    choose,
    information_coefficient,
    live_predictions,
    predict,
    r_squared,
    served,
    walk_forward,
)
from market import FIRST, LAST, ahead, fund_returns, market, volatility
from portfolio import account, tilt, weekly, yearly

HORIZON = 20
YEARS = range(2010, 2026)
GOVERNANCE = {
    "author": "example desk (no real person)",
    "validator": "example validation (no real person)",
    "approver": "example committee (no real person)",
    "approved": "2025-01-02",
    "expires": "2026-01-02",
}


def by_year(predictions: pd.Series, label: pd.Series) -> pd.Series:
    """Information coefficient of each live year."""
    return predictions.groupby(pd.DatetimeIndex(predictions.index).year).apply(
        lambda p: information_coefficient(p, label)
    )


def markdown(columns: dict[str, pd.Series], digits: int = 2) -> str:
    """A table of years for the card."""
    rows = pd.DataFrame(columns)
    head = ["", *rows.columns]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {year} | " + " | ".join(f"{v:+.{digits}f}" for v in row) + " |" for year, *row in rows.itertuples()]
    return "\n".join(lines)


def told(prefix: str, returns: pd.Series) -> dict[str, str]:
    """A series' yearly numbers under `prefix`, as the cards print them."""
    found = yearly(returns)
    shown = {k: f"{100 * v:.2f}" for k, v in found.items() if k != "sharpe"} | {"sharpe": f"{found['sharpe']:.2f}"}
    return {f"{prefix}_{k}": v for k, v in shown.items()}


def returns_section(position: str, underlying: str, valuation: str = "close") -> dict[str, object]:
    """[returns] as these bundles have it."""
    return {
        "file": "returns.parquet",
        "time": "date",
        "strategy": "net",
        "gross": "gross",
        "benchmark": "benchmark",
        "position": position,
        "underlying": underlying,
        "valuation": valuation,
        "turnover": "turnover",
        "periods_per_year": 252,
        "factors": {"equity": "c_fund", "duration": "f_fund"},
    }


def with_factors(
    books: pd.DataFrame, benchmark: pd.Series, funds: pd.DataFrame, position: str, underlying: str
) -> pd.DataFrame:
    """The books under the manifest's names, with benchmark and factor returns of the same dates."""
    named = books.rename(columns={"position": position, "underlying": underlying})
    return named.assign(benchmark=benchmark, c_fund=funds["c_fund"], f_fund=funds["f_fund"]).round(8)


def tilted(X: pd.DataFrame, y: pd.Series, models: list[Live], predictions: pd.Series, **shape: float) -> pd.Series:
    """The weight decided at each row, scaled by what each day's model predicted for the rows that it was fitted on."""
    parts = []
    for model, rows in served(X.index, models):
        known = slice(None, model.train_end)
        parts.append(tilt(predictions[rows], predict(model.booster, X[known]), float(y[known].mean()), **shape))
    return weekly(pd.concat(parts))


def texts(models: list[Live]) -> dict[str, str]:
    """Model files."""
    return {m.file: m.booster.model_to_string() for m in models}


@dataclass(frozen=True)
class Backtest:
    """One configuration, lived through: the models, what they said, and the books of the fund that listened."""

    models: list[Live]
    predictions: pd.Series
    books: pd.DataFrame


def trial_returns(tried: dict[Config, Backtest]) -> pd.DataFrame:
    """Net returns, a column a configuration."""
    return pd.DataFrame({str(config): run.books["net"] for config, run in tried.items()}).round(8)


SEARCHED = {"validation": "walk_forward", "embargo": EMBARGO, "trials": len(GRID), "trial_returns": "trials.parquet"}


def us_rates_plus_tilt() -> Bundle:
    """85 % bonds and 15 % equity, the equity tilted between 0 and 30 % by a model of the next 20 days."""
    base, funds = market(), fund_returns(market())
    label = ahead(base["c_fund"], HORIZON) - ahead(base["f_fund"], HORIZON)
    table = panel(base, TILT, label, first=FIRST, last=LAST)
    X, y = table[[f.column for f in TILT]], table["target"]

    def backtest(config: Config) -> Backtest:
        models = walk_forward(X, y, config, YEARS, horizon=HORIZON)
        predictions = live_predictions(X, models)
        position = tilted(X, y, models, predictions, middle=0.15, gain=0.10, top=0.30)
        return Backtest(models, predictions, account(position, funds["c_fund"], funds["f_fund"], start=0.15))

    chosen = choose(X, y, "2010-01-01", HORIZON)
    tried = {config: backtest(config) for config in GRID}
    run = tried[chosen]
    benchmark = 0.15 * funds["c_fund"] + 0.85 * funds["f_fund"]
    returns = with_factors(run.books, benchmark, funds, "equity_weight", "c_minus_f")
    numbers = {"chosen": str(chosen), **tilt_numbers(returns, run.predictions, y), **spread_of(trial_returns(tried))}
    manifest = tilt_manifest(run.models, information_coefficient(run.predictions, y))
    return Bundle(manifest, texts(run.models), table, returns, trial_returns(tried), numbers=numbers)


def tilt_manifest(models: list[Live], ic: float) -> Sections:
    """bundle.toml of the tilt."""
    capped = {"rates": 0.5, "momentum": 0.5, "credit": 0.35}
    return declare(
        "us_rates_plus_tilt",
        {"en": "US fixed income plus: equity tilt", "zh": "美国固收+：权益仓位择时"},
        "85 % US bonds, 15 % US equity, the equity tilted between 0 and 30 % each week. Real public data; an honest case.",
        models=models,
        features=TILT,
        horizon=HORIZON,
        split=SEARCHED,
        sections={
            "returns": returns_section("equity_weight", "c_minus_f"),
            "mandate": {"equity_max": 0.30, "max_drawdown": 0.16, "attribution_max": capped},
            "claims": {"metric": {"name": "information_coefficient", "value": round(ic, 3)}},
            "governance": GOVERNANCE,
        },
    )


def tilt_numbers(returns: pd.DataFrame, predictions: pd.Series, y: pd.Series) -> dict[str, str]:
    """What the card of the tilt prints."""
    active = returns["net"] - returns["benchmark"]
    return {
        "ic": f"{information_coefficient(predictions, y):+.3f}",
        "ic_table": markdown({"IC": by_year(predictions, y)}),
        "turnover_year": f"{100 * returns['turnover'].mean() * 252:.0f}",
        "weight": f"{100 * returns['equity_weight'].mean():.1f}",
        "tracking": f"{100 * active.std() * 252**0.5:.2f}",
        **told("net", returns["net"]),
        **told("bench", returns["benchmark"]),
    }


def spread_of(trials: pd.DataFrame) -> dict[str, str]:
    """The least and the greatest ratio of mean to volatility among the trials."""
    ratios = [yearly(trials[name])["sharpe"] for name in trials]
    return {"sharpe_low": f"{min(ratios):.2f}", "sharpe_high": f"{max(ratios):.2f}"}


def us_rates_plus_volatility() -> Bundle:
    """The 80/20 mix, held fully or in part so that its predicted volatility stays at 4 % a year."""
    base, funds = market(), fund_returns(market())
    fund = mix(base)
    label = volatility(fund, HORIZON).shift(-HORIZON)
    table = panel(base, VOLATILITY, label, first=FIRST, last=LAST)
    X, y = table[[f.column for f in VOLATILITY]], table["target"]

    def backtest(config: Config) -> Backtest:
        models = walk_forward(X, y, config, YEARS, horizon=HORIZON)
        predictions = live_predictions(X, models)
        exposure = weekly((0.04 / predictions).clip(0, 1).round(2))
        return Backtest(models, predictions, account(exposure, fund, funds["g_fund"], start=1.0))

    chosen = choose(X, y, "2010-01-01", HORIZON)
    tried = {config: backtest(config) for config in GRID}
    run = tried[chosen]
    returns = with_factors(run.books, fund, funds, "exposure", "mix_minus_g")
    numbers = {
        "chosen": str(chosen),
        "exposure": f"{100 * returns['exposure'].mean():.0f}",
        "turnover_year": f"{100 * returns['turnover'].mean() * 252:.0f}",
        **told("net", returns["net"]),
        **told("bench", returns["benchmark"]),
        **volatility_skill(run, X["mix_volatility_20"], y),
    }
    manifest = volatility_manifest(run.models, r_squared(run.predictions, y))
    return Bundle(manifest, texts(run.models), table, returns, trial_returns(tried), numbers=numbers)


def volatility_manifest(models: list[Live], skill: float) -> Sections:
    """bundle.toml of the volatility target."""
    return declare(
        "us_rates_plus_volatility",
        {"en": "US fixed income plus: volatility target", "zh": "美国固收+：目标波动率"},
        "80 % US bonds, 20 % US equity, scaled down into cash where predicted volatility exceeds 4 %. Real public data; an honest case.",
        models=models,
        features=VOLATILITY,
        horizon=HORIZON,
        split=SEARCHED,
        sections={
            "returns": returns_section("exposure", "mix_minus_g"),
            "mandate": {"equity_max": 0.20, "max_drawdown": 0.13, "attribution_max": {"equity": 0.3, "credit": 0.5}},
            "claims": {"metric": {"name": "r_squared", "value": round(skill, 3)}},
            "governance": GOVERNANCE,
        },
    )


def volatility_skill(run: Backtest, past: pd.Series, y: pd.Series) -> dict[str, str]:
    """The model against its simplest rivals: past volatility as it is, and on a straight line refitted on each model's rows."""
    parts = []
    for model, rows in served(past.index, run.models):
        slope, level = np.polyfit(past[: model.train_end], y[: model.train_end], 1)
        parts.append(level + slope * past.loc[rows])
    line = pd.concat(parts)
    return {
        "r2": f"{r_squared(run.predictions, y):.2f}",
        "r2_persistence": f"{r_squared(past.loc[line.index], y):.2f}",
        "r2_line": f"{r_squared(line, y):.2f}",
        "rank": f"{information_coefficient(run.predictions, y):.2f}",
        "rank_persistence": f"{information_coefficient(line, y):.2f}",
    }
