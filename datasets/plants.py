"""Three bundles with one headline misuse each, as a tempted author would have done it; the manifest claims innocence."""

from dataclasses import replace

import numpy as np
import pandas as pd
from bundle import Bundle, declare, panel
from features import LEVELS, TILT, Feature
from learner import EMBARGO, Config, Live, fit, information_coefficient, live_predictions, predict, walk_forward
from market import DECIMALS, FIRST, LAST, ahead, fund_returns, market
from portfolio import account
from strategies import GOVERNANCE, HORIZON, YEARS, by_year, markdown, returns_section, texts, tilted, told, with_factors

PRICED = (0.94, 0.06)  # the hidden sleeve's price tells a little of each market move a day late
SMOOTHED = (0.6, 0.3, 0.1)
HIDDEN = 0.30
COAT = tuple(f for f in TILT if f.name not in {"y10", "real_y10"})  # without rate levels, whose range is another plant


def convolved(returns: pd.Series, weights: tuple[float, ...]) -> pd.Series:
    """What a valuation reports that spreads each day's return over the days after it."""
    spread = [w * returns.shift(k).fillna(0) for k, w in enumerate(weights)]
    return sum(spread[1:], spread[0])


def tomorrow(feature: Feature) -> Feature:
    """The plant: stress values of three rows ahead under the old name, momentum of half its window ahead."""
    if feature.name.startswith("fsi_"):
        return replace(feature, make=lambda t: feature.make(t).shift(-3 - feature.lag))
    if feature.name.startswith(("c_momentum", "f_momentum")):
        half = int(feature.name.rsplit("_", 1)[1]) // 2
        return replace(feature, make=lambda t: feature.make(t).shift(-half))
    return feature


def shuffled_folds(X: pd.DataFrame, y: pd.Series, config: Config, folds: int = 5) -> pd.Series:
    """Predictions in folds of rows drawn at random: nearly every test row has neighbours in training that share its label."""
    fold = np.random.default_rng(7).permutation(len(X)) % folds
    parts = [predict(fit(X[fold != k], y[fold != k], config), X[fold == k]) for k in range(folds)]
    said: pd.Series = pd.concat(parts).sort_index()
    return said


def borrowed_panel(base: pd.DataFrame) -> pd.DataFrame:
    """The tilt's panel with the planted features under the honest names; it ends ten rows early, where tomorrow runs out."""
    label = ahead(base["c_fund"], HORIZON) - ahead(base["f_fund"], HORIZON)
    table = panel(base, TILT, label, first=FIRST, last=base.loc[:LAST].index[-11])
    for feature in TILT:
        made = tomorrow(feature).make(base).shift(feature.lag)
        table[feature.column] = made.loc[table.index].round(DECIMALS)
    return table


def borrowed_tomorrow() -> Bundle:
    """The tilt again, with tomorrow's stress index under yesterday's name, centred momentum, and shuffled validation."""
    base, funds = market(), fund_returns(market())
    table = borrowed_panel(base)
    X, y = table[[f.column for f in TILT]], table["target"]
    config, first = Config(16, 20, 200), int(X.index.searchsorted(pd.Timestamp(2019, 1, 1)))
    models = [Live(X.index[first], X.index[first - 1], fit(X[:first], y[:first], config))]
    predictions = live_predictions(X, models)
    position = tilted(X, y, models, predictions, middle=0.15, gain=0.10, top=0.30)
    books = account(position, funds["c_fund"], funds["f_fund"], start=0.15)
    returns = with_factors(books, 0.15 * funds["c_fund"] + 0.85 * funds["f_fund"], funds, "equity_weight", "c_minus_f")
    in_folds = information_coefficient(shuffled_folds(X[:first], y[:first], config), y)
    excess = float((returns["net"] - returns["benchmark"]).mean() * 252)
    manifest = declare(
        "borrowed_tomorrow",
        {"en": "Borrowed tomorrow (planted)", "zh": "借来的明天（植入案例）"},
        "The equity tilt with three plants: stress values of the future, centred momentum, shuffled validation. Real public data, dishonest use.",
        models=models,
        features=TILT,
        horizon=HORIZON,
        split={"validation": "shuffled", "embargo": 0, "trials": 1},
        sections={
            "returns": returns_section("equity_weight", "c_minus_f"),
            "mandate": {"equity_max": 0.30, "max_drawdown": 0.16},
            "claims": {
                "alpha": round(excess, 3),
                "metric": {"name": "information_coefficient", "value": round(in_folds, 2)},
            },
            "governance": GOVERNANCE,
        },
    )
    numbers = {
        "ic_folds": f"{in_folds:+.2f}",
        "ic": f"{information_coefficient(predictions, y):+.2f}",
        "ic_table": markdown({"IC": by_year(predictions, y)}),
        "excess": f"{100 * excess:.1f}",
        **told("net", returns["net"]),
        **told("bench", returns["benchmark"]),
    }
    return Bundle(manifest, texts(models), table, returns, findings={"T1": "fail", "T3": "fail"}, numbers=numbers)


def duration(
    features: tuple[Feature, ...], first: str, years: range, config: Config, **shape: float
) -> tuple[pd.DataFrame, list[Live], pd.Series, pd.Series]:
    """A model of bonds less cash over the next 20 rows -> panel, models, predictions, weight of bonds decided at each row."""
    base = market()
    label = ahead(base["f_fund"], HORIZON) - ahead(base["g_fund"], HORIZON)
    table = panel(base, features, label, first=first, last=LAST)
    X, y = table[[f.column for f in features]], table["target"]
    models = walk_forward(X, y, config, years, horizon=HORIZON)
    predictions = live_predictions(X, models)
    return table, models, predictions, tilted(X, y, models, predictions, **shape)


def equity_in_a_bond_coat() -> Bundle:
    """Duration timing sold as bond alpha; three tenths of the fund sit in equity, priced a little late."""
    funds = fund_returns(market())
    shape = {"middle": 0.45, "gain": 0.10, "top": 0.70, "low": 0.20}
    table, models, predictions, position = duration(COAT, FIRST, YEARS, Config(4, 200, 75), **shape)
    books = account(position, funds["f_fund"], funds["g_fund"], start=0.45)
    hidden = HIDDEN * (convolved(funds["c_fund"], PRICED) - funds["g_fund"])
    books[["net", "gross"]] = books[["net", "gross"]].add(hidden.loc[books.index], axis=0)
    returns = with_factors(books, 0.45 * funds["f_fund"] + 0.55 * funds["g_fund"], funds, "bond_weight", "f_minus_g")
    excess = float((returns["net"] - returns["benchmark"]).mean() * 252)
    manifest = declare(
        "equity_in_a_bond_coat",
        {"en": "Equity in a bond coat (planted)", "zh": "穿债衣的权益（植入案例）"},
        "Duration timing sold as bond alpha; the return comes from equity that the mandate does not allow. Real public data, dishonest use.",
        models=models,
        features=COAT,
        horizon=HORIZON,
        split={"validation": "walk_forward", "embargo": EMBARGO, "trials": 1},
        sections={
            "returns": returns_section("bond_weight", "f_minus_g"),
            "mandate": {"equity_max": 0.10, "max_drawdown": 0.05},
            "claims": {"alpha": round(excess, 3)},
            "governance": GOVERNANCE,
        },
    )
    numbers = {
        "ic": f"{information_coefficient(predictions, table['target']):+.3f}",
        "excess": f"{100 * excess:.1f}",
        "same_day": f"{returns['net'].cov(returns['c_fund']) / returns['c_fund'].var():.2f}",
        "hidden": f"{100 * HIDDEN:.0f}",
        **told("net", returns["net"]),
        **told("bench", returns["benchmark"]),
    }
    return Bundle(manifest, texts(models), table, returns, findings={"R1": "fail", "R4": "fail"}, numbers=numbers)


def fair_weather_model() -> Bundle:
    """Duration timing from rate levels, trained in 2010-2019 only, used to 2025, reported at smoothed prices."""
    funds = fund_returns(market())
    shape = {"middle": 0.50, "gain": 0.15, "top": 0.90, "low": 0.10}
    table, models, predictions, position = duration(
        LEVELS, "2010-01-04", range(2020, 2021), Config(8, 50, 100), **shape
    )
    base = 0.1 * funds["c_fund"]
    books = account(position, base + 0.9 * funds["f_fund"], base + 0.9 * funds["g_fund"], start=0.5)
    books["true"] = books["net"]
    books[["net", "gross"]] = books[["net", "gross"]].apply(convolved, weights=SMOOTHED)
    benchmark = base + 0.45 * funds["f_fund"] + 0.45 * funds["g_fund"]
    returns = with_factors(books.drop(columns="true"), benchmark, funds, "bond_weight", "f_minus_g")
    claimed = returns["net"].mean() / returns["net"].std() * 252**0.5
    manifest = declare(
        "fair_weather_model",
        {"en": "Fair-weather model (planted)", "zh": "只见过晴天的模型（植入案例）"},
        "Duration timing from rate levels that knew 2010-2019 only, with a smoothed net value sold as same-day valuation. Real public data, dishonest use.",
        models=models,
        features=LEVELS,
        horizon=HORIZON,
        split={"validation": "walk_forward", "embargo": EMBARGO, "trials": 1},
        sections={
            "returns": returns_section("bond_weight", "f_minus_g", "third_party_t0"),
            "mandate": {"equity_max": 0.20, "max_drawdown": 0.14},
            "claims": {"metric": {"name": "sharpe", "value": round(float(claimed), 2)}},
            "governance": GOVERNANCE,
        },
    )
    numbers = {
        "ic": f"{information_coefficient(predictions, table['target']):+.3f}",
        "ic_table": markdown({"IC": by_year(predictions, table["target"])}),
        **told("net", returns["net"]),
        **told("true", books["true"]),
        **told("bench", returns["benchmark"]),
    }
    return Bundle(manifest, texts(models), table, returns, findings={"V1": "fail", "V2": "fail"}, numbers=numbers)
