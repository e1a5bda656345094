"""The three honest bundles: a tilt, a volatility target, and the replica of a real fund."""

import numpy as np
import pandas as pd
from bundle import Bundle, declare, panel
from features import FUND_WEEKS, TILT, VOLATILITY, Feature, mix
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
    walk_forward,
)
from market import FIRST, FUNDS, LAST, ahead, fund_returns, market, volatility
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
    return predictions.groupby(predictions.index.year).apply(lambda p: information_coefficient(p, label))


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
    for model in models:
        since = predictions[predictions.index >= model.since]
        known = slice(None, model.train_end)
        parts.append(tilt(since, predict(model.booster, X[known]), float(y[known].mean()), **shape))
    return weekly(pd.concat(parts).groupby(level=0).last())


def texts(models: list[Live]) -> dict[str, str]:
    """Model files."""
    return {m.file: m.booster.model_to_string() for m in models}


def us_rates_plus_tilt() -> Bundle:
    """85 % bonds and 15 % equity, the equity tilted between 0 and 30 % by a model of the next 20 days."""
    base, funds = market(), fund_returns(market())
    label = ahead(base["c_fund"], HORIZON) - ahead(base["f_fund"], HORIZON)
    table = panel(base, TILT, label, first=FIRST, last=LAST)
    X, y = table[[f.column for f in TILT]], table["target"]
    benchmark = 0.15 * funds["c_fund"] + 0.85 * funds["f_fund"]

    def backtest(config: Config) -> tuple[list[Live], pd.Series, pd.DataFrame]:
        models = walk_forward(X, y, config, YEARS, horizon=HORIZON)
        predictions = live_predictions(X, models)
        position = tilted(X, y, models, predictions, middle=0.15, gain=0.10, top=0.30)
        return models, predictions, account(position, funds["c_fund"], funds["f_fund"], start=0.15)

    chosen = choose(X, y, "2010-01-01", HORIZON)
    tried = {config: backtest(config) for config in GRID}
    models, predictions, books = tried[chosen]
    returns = with_factors(books, benchmark, funds, "equity_weight", "c_minus_f")
    ic = information_coefficient(predictions, y)
    manifest = declare(
        "us_rates_plus_tilt",
        {"en": "US rates plus: equity tilt", "zh": "美国利率债+:权益仓位择时"},
        "85 % US bonds, 15 % US equity, the equity tilted between 0 and 30 % each week. Real public data; an honest case.",
        models=models,
        features=TILT,
        horizon=HORIZON,
        split={
            "validation": "walk_forward",
            "embargo": EMBARGO,
            "trials": len(GRID),
            "trial_returns": "trials.parquet",
        },
        sections={
            "returns": returns_section("equity_weight", "c_minus_f"),
            "mandate": {
                "equity_max": 0.30,
                "max_drawdown": 0.16,
                "attribution_max": {"rates": 0.5, "momentum": 0.5, "credit": 0.35},
            },
            "claims": {"metric": {"name": "information_coefficient", "value": round(ic, 3)}},
            "governance": GOVERNANCE,
        },
    )
    trials = pd.DataFrame({str(config): run[2]["net"] for config, run in tried.items()}).round(8)
    sharpes = trials.mean() / trials.std() * 252**0.5
    numbers = {
        "ic": f"{ic:+.3f}",
        "ic_table": markdown({"IC": by_year(predictions, y)}),
        "chosen": str(chosen),
        "sharpe_low": f"{sharpes.min():.2f}",
        "sharpe_high": f"{sharpes.max():.2f}",
        "turnover_year": f"{100 * returns['turnover'].mean() * 252:.0f}",
        "weight": f"{100 * returns['equity_weight'].mean():.1f}",
        "tracking": f"{100 * (returns['net'] - returns['benchmark']).std() * 252**0.5:.2f}",
        **told("net", returns["net"]),
        **told("bench", returns["benchmark"]),
    }
    return Bundle(manifest, texts(models), table, returns, trials, numbers=numbers)


def recalibrated(X: pd.Series, y: pd.Series, models: list[Live]) -> pd.Series:
    """The simplest rival: a straight line through yesterday's volatility, refitted on the same rows as each model."""
    parts = []
    for i, m in enumerate(models):
        slope, level = np.polyfit(X[: m.train_end], y[: m.train_end], 1)
        end = models[i + 1].since if i + 1 < len(models) else X.index[-1] + pd.Timedelta(days=1)
        parts.append(level + slope * X[(X.index >= m.since) & (X.index < end)])
    return pd.concat(parts)


def us_rates_plus_volatility() -> Bundle:
    """The 80/20 mix, held fully or in part so that its predicted volatility stays at 4 % a year."""
    base, funds = market(), fund_returns(market())
    fund = mix(base)
    label = volatility(fund, HORIZON).shift(-HORIZON)
    table = panel(base, VOLATILITY, label, first=FIRST, last=LAST)
    X, y = table[[f.column for f in VOLATILITY]], table["target"]

    def backtest(config: Config) -> tuple[list[Live], pd.Series, pd.DataFrame]:
        models = walk_forward(X, y, config, YEARS, horizon=HORIZON)
        predictions = live_predictions(X, models)
        exposure = weekly((0.04 / predictions).clip(0, 1).round(2))
        return models, predictions, account(exposure, fund, funds["g_fund"], start=1.0)

    chosen = choose(X, y, "2010-01-01", HORIZON)
    tried = {config: backtest(config) for config in GRID}
    models, predictions, books = tried[chosen]
    returns = with_factors(books, fund, funds, "exposure", "mix_minus_g")
    skill = r_squared(predictions, y)
    line = recalibrated(X["mix_volatility_20"], y, models)
    manifest = declare(
        "us_rates_plus_volatility",
        {"en": "US rates plus: volatility target", "zh": "美国利率债+:目标波动率"},
        "80 % US bonds, 20 % US equity, scaled down into the cash fund where predicted volatility exceeds 4 %. Real public data; an honest case.",
        models=models,
        features=VOLATILITY,
        horizon=HORIZON,
        split={
            "validation": "walk_forward",
            "embargo": EMBARGO,
            "trials": len(GRID),
            "trial_returns": "trials.parquet",
        },
        sections={
            "returns": returns_section("exposure", "mix_minus_g"),
            "mandate": {"equity_max": 0.20, "max_drawdown": 0.13, "attribution_max": {"equity": 0.3, "credit": 0.5}},
            "claims": {"metric": {"name": "r_squared", "value": round(skill, 3)}},
            "governance": GOVERNANCE,
        },
    )
    numbers = {
        "r2": f"{skill:.2f}",
        "r2_persistence": f"{r_squared(X['mix_volatility_20'].loc[line.index], y):.2f}",
        "r2_line": f"{r_squared(line, y):.2f}",
        "rank": f"{information_coefficient(predictions, y):.2f}",
        "rank_persistence": f"{information_coefficient(line, y):.2f}",
        "chosen": str(chosen),
        "exposure": f"{100 * returns['exposure'].mean():.0f}",
        "turnover_year": f"{100 * returns['turnover'].mean() * 252:.0f}",
        **told("net", returns["net"]),
        **told("bench", returns["benchmark"]),
    }
    trials = pd.DataFrame({str(config): run[2]["net"] for config, run in tried.items()}).round(8)
    return Bundle(manifest, texts(models), table, returns, trials, numbers=numbers)


def replica_panel(base: pd.DataFrame, features: tuple[Feature, ...]) -> pd.DataFrame:
    """Every fifth row of growth over five rows: weeks that do not overlap."""
    made = pd.DataFrame({f.column: f.make(base) for f in features})
    made["target"] = base["l_income"] / base["l_income"].shift(5) - 1
    return made.dropna().iloc[::5].round(8)


def l_income_replica() -> Bundle:
    """What the real 80/20 fund earned in a week, told from what five index funds earned in the same week."""
    base, funds = market(), fund_returns(market())
    table = replica_panel(base, FUND_WEEKS)
    X, y = table[FUNDS_WEEK], table["target"]
    shape = {"learning_rate": 0.05, "feature_fraction": 0.8, "monotone_constraints": [1] * len(FUNDS)}
    models = walk_forward(X, y, Config(4, 5, 800), range(2010, 2023, 4), horizon=1, embargo=1, **shape)
    predictions = live_predictions(X, models)
    own = base["l_income"].pct_change(fill_method=None).loc[models[0].since :]
    static = funds @ pd.Series({"g_fund": 0.74, "f_fund": 0.06, "c_fund": 0.12, "s_fund": 0.03, "i_fund": 0.05})
    returns = pd.DataFrame({"net": own, "benchmark": static, "c_fund": funds["c_fund"], "f_fund": funds["f_fund"]})
    returns = returns.loc[own.index].round(8)
    named = {
        k: v for k, v in returns_section("", "").items() if k not in {"gross", "position", "underlying", "turnover"}
    }
    manifest = declare(
        "l_income_replica",
        {"en": "A real 80/20 fund, replicated", "zh": "真实80/20基金的复制归因"},
        "The weekly return of the L Income fund from the same week's returns of five index funds: attribution, not forecast. Real public data.",
        models=models,
        features=FUND_WEEKS,
        horizon=1,
        split={"validation": "walk_forward", "embargo": 1, "trials": 10},
        sections={
            "returns": named,
            "mandate": {"equity_max": 0.30, "max_drawdown": 0.10},
            "claims": {"metric": {"name": "r_squared", "value": round(r_squared(predictions, y), 3)}},
            "governance": GOVERNANCE,
        },
    )
    numbers = {"r2": f"{r_squared(predictions, y):.3f}", **replica_shares(X, y, models), **told("net", returns["net"])}
    return Bundle(manifest, texts(models), table, returns, numbers=numbers)


FUNDS_WEEK = [f.column for f in FUND_WEEKS]


def replica_shares(X: pd.DataFrame, y: pd.Series, models: list[Live]) -> dict[str, str]:
    """The known answer: least squares on the five funds, before and after 2019, and what the replica's attributions say of it."""
    shares = {}
    for name, rows in (("early", slice("2006", "2018")), ("late", slice("2019", None))):
        weights = np.linalg.lstsq(X[rows].to_numpy(), y[rows].to_numpy(), rcond=None)[0]
        shares[f"linear_{name}"] = f"{weights[2:].sum():.2f}"
        shares[f"linear_r2_{name}"] = f"{r_squared(pd.Series(X[rows] @ weights), y):.3f}"
    last = models[-1]
    rows = X[last.since :]
    given = last.booster.predict(rows.to_numpy(), pred_contrib=True)[:, 2:5].sum(axis=1)
    basket = rows.to_numpy()[:, 2:5].mean(axis=1)
    shares["attributed"] = f"{np.polyfit(basket, given, 1)[0]:.2f}"
    return shares
