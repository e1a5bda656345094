"""The features, each with what it declares: where it comes from, how late that is published, what it is called.

A feature made of a published series is an older row of a base column that stands beside it in the panel, undelayed: so anyone can
verify the lag. A feature made of fund prices needs none: they are posted in the evening, the decision falls after that, and the
order is executed at the next day's close.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from market import fund_returns, volatility

Series = Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Feature:
    """`make` gives the series as of its own date; the model sees it `lag` rows later."""

    name: str
    family: str
    unit: str
    en: str
    zh: str
    make: Series
    lag: int = 0
    published_lag_days: int = 0
    revised: bool = False

    @property
    def column(self) -> str:
        """The name in the model: the base column's with its lag."""
        return f"{self.name}_lag{self.lag}" if self.lag else self.name

    def declaration(self) -> dict[str, object]:
        """[features.NAME] of bundle.toml."""
        told: dict[str, object] = {"family": self.family, "published_lag_days": self.published_lag_days}
        if self.revised:
            told["revised"] = True
        if self.lag:
            told |= {"lag_of": self.name, "lag": self.lag}
        return told | {"label": {"en": self.en, "zh": self.zh}, "unit": self.unit}


def series(name: str) -> Series:
    """A published series as it is."""
    return lambda t: t[name]


def spread(long: str, short: str) -> Series:
    """One published series less another."""
    return lambda t: t[long] - t[short]


def change(name: str, rows: int) -> Series:
    """Change of a published series over the last `rows` rows."""
    return lambda t: t[name].diff(rows)


def momentum(name: str, rows: int, less: str | None = None) -> Series:
    """Growth of a fund's price over the last `rows` rows, if asked less another fund's."""

    def made(t: pd.DataFrame) -> pd.Series:
        growth = t[name] / t[name].shift(rows) - 1
        return growth - (t[less] / t[less].shift(rows) - 1) if less else growth

    return made


def drawdown(name: str, rows: int = 250) -> Series:
    """Distance from the highest price of the last `rows` rows (of those there are, 120 at least), as a fraction below zero."""
    return lambda t: t[name] / t[name].rolling(rows, min_periods=120).max() - 1


def realised(name: str, rows: int) -> Series:
    """Annualised volatility of a fund's daily returns."""
    return lambda t: volatility(fund_returns(t)[name], rows)


def mix_realised(rows: int) -> Series:
    """Annualised volatility of 80 % bonds and 20 % equity."""
    return lambda t: volatility(mix(t), rows)


def mix(t: pd.DataFrame) -> pd.Series:
    """Daily return of 80 % bonds and 20 % equity, reset daily."""
    returns = fund_returns(t)
    return 0.8 * returns["f_fund"] + 0.2 * returns["c_fund"]


def mix_halflife(rows: int) -> Series:
    """Annualised root of the exponentially weighted mean square of the 80/20 return."""
    return lambda t: np.sqrt((mix(t) ** 2).ewm(halflife=rows, min_periods=60).mean() * 252)


def mix_downside(rows: int) -> Series:
    """Annualised root mean square of the 80/20 return's losing days."""
    return lambda t: np.sqrt((mix(t).clip(upper=0) ** 2).rolling(rows).mean() * 252)


def rate_volatility(name: str, rows: int) -> Series:
    """Annualised standard deviation of daily yield changes, percentage points."""
    return lambda t: t[name].diff().rolling(rows).std() * np.sqrt(252)


def correlation(one: str, other: str, rows: int) -> Series:
    """Correlation of two funds' daily returns over the last `rows` rows."""
    return lambda t: fund_returns(t)[one].rolling(rows).corr(fund_returns(t)[other])


def yields(name: str, en: str, zh: str, make: Series, *, unit: str = "percent", family: str = "rates") -> Feature:
    """From the Treasury's or the Federal Reserve's daily release: known the next business day."""
    return Feature(name, family, unit, en, zh, make, lag=1, published_lag_days=1)


def stress(name: str, family: str, en: str, zh: str, make: Series | None = None) -> Feature:
    """From the OFR stress index: out two business days late, and re-estimated afterwards."""
    return Feature(
        name, family, "index points", en, zh, make or series(name), lag=2, published_lag_days=2, revised=True
    )


def price(name: str, family: str, en: str, zh: str, make: Series, *, unit: str = "fraction") -> Feature:
    """From fund prices, known the same evening."""
    return Feature(name, family, unit, en, zh, make)


POINTS = "percentage points"
RATES = (
    yields("y10", "10-year Treasury yield", "10年期美债收益率", series("y10")),
    yields("real_y10", "10-year real yield", "10年期实际利率", series("real_y10")),
    yields(
        "breakeven_10y",
        "10-year breakeven inflation",
        "10年期盈亏平衡通胀率",
        series("breakeven_10y"),
        family="macro",
    ),
    yields("slope_2s10s", "Slope, 10 less 2 years", "期限利差（10年-2年）", spread("y10", "y2"), unit=POINTS),
    yields("slope_3m10y", "Slope, 10 years less 3 months", "期限利差（10年-3个月）", spread("y10", "y3m"), unit=POINTS),
    yields(
        "policy_gap", "2-year yield less fed funds", "2年期收益率减联邦基金利率", spread("y2", "fed_funds"), unit=POINTS
    ),
    yields("y10_change_20", "10-year yield, 20-day change", "10年期收益率20日变动", change("y10", 20), unit=POINTS),
    yields("y2_change_60", "2-year yield, 60-day change", "2年期收益率60日变动", change("y2", 60), unit=POINTS),
)
STRESS_INDEX = (
    stress("fsi_credit", "credit", "Financial stress: credit", "金融压力指数：信用分项"),
    stress(
        "fsi_credit_change_20", "credit", "Credit stress, 20-day change", "信用压力20日变动", change("fsi_credit", 20)
    ),
    stress("fsi_equity_valuation", "equity", "Financial stress: equity valuation", "金融压力指数：权益估值分项"),
    stress("fsi_volatility", "volatility", "Financial stress: volatility", "金融压力指数：波动率分项"),
    stress("fsi_funding", "credit", "Financial stress: funding", "金融压力指数：融资分项"),
    stress("fsi_safe_assets", "other", "Financial stress: safe assets", "金融压力指数：避险资产分项"),
)
MOMENTUM = (
    price("c_momentum_20", "momentum", "US equity, 20-day return", "美股20日收益", momentum("c_fund", 20)),
    price("c_momentum_60", "momentum", "US equity, 60-day return", "美股60日收益", momentum("c_fund", 60)),
    price("c_momentum_120", "momentum", "US equity, 120-day return", "美股120日收益", momentum("c_fund", 120)),
    price("f_momentum_20", "momentum", "US bonds, 20-day return", "美国综合债20日收益", momentum("f_fund", 20)),
    price("f_momentum_60", "momentum", "US bonds, 60-day return", "美国综合债60日收益", momentum("f_fund", 60)),
    price(
        "s_less_c_60",
        "momentum",
        "Small less large caps, 60-day",
        "小盘减大盘60日收益差",
        momentum("s_fund", 60, "c_fund"),
    ),
    price(
        "i_less_c_60",
        "momentum",
        "International less US, 60-day",
        "海外减美股60日收益差",
        momentum("i_fund", 60, "c_fund"),
    ),
    price("c_drawdown", "equity", "US equity, below its one-year high", "美股距一年高点回撤", drawdown("c_fund")),
)
RISK = (
    price("c_volatility_20", "volatility", "US equity, 20-day volatility", "美股20日波动率", realised("c_fund", 20)),
    price("c_volatility_60", "volatility", "US equity, 60-day volatility", "美股60日波动率", realised("c_fund", 60)),
    price(
        "f_volatility_60", "volatility", "US bonds, 60-day volatility", "美国综合债60日波动率", realised("f_fund", 60)
    ),
    price(
        "stock_bond_correlation_60",
        "other",
        "Stock-bond correlation, 60 days",
        "股债60日相关系数",
        correlation("c_fund", "f_fund", 60),
        unit="correlation",
    ),
)
LEVELS = (
    yields("y3m", "3-month Treasury yield", "3个月美债收益率", series("y3m")),
    yields("y2", "2-year Treasury yield", "2年期美债收益率", series("y2")),
    yields("y5", "5-year Treasury yield", "5年期美债收益率", series("y5")),
    yields("fed_funds", "Fed funds rate", "联邦基金利率", series("fed_funds")),
    *RATES,
    price("f_momentum_20", "momentum", "US bonds, 20-day return", "美国综合债20日收益", momentum("f_fund", 20)),
    price("f_momentum_60", "momentum", "US bonds, 60-day return", "美国综合债60日收益", momentum("f_fund", 60)),
)
TILT = RATES + STRESS_INDEX + MOMENTUM + RISK

VOLATILITY = (
    price("mix_volatility_5", "volatility", "80/20 mix, 5-day volatility", "80/20组合5日波动率", mix_realised(5)),
    price("mix_volatility_20", "volatility", "80/20 mix, 20-day volatility", "80/20组合20日波动率", mix_realised(20)),
    price("mix_volatility_60", "volatility", "80/20 mix, 60-day volatility", "80/20组合60日波动率", mix_realised(60)),
    price(
        "mix_volatility_120", "volatility", "80/20 mix, 120-day volatility", "80/20组合120日波动率", mix_realised(120)
    ),
    price(
        "mix_halflife_10",
        "volatility",
        "80/20 mix, volatility with a 10-day half-life",
        "80/20组合指数加权波动率（半衰期10日）",
        mix_halflife(10),
    ),
    price(
        "mix_downside_20",
        "volatility",
        "80/20 mix, 20-day downside volatility",
        "80/20组合20日下行波动率",
        mix_downside(20),
    ),
    *RISK,
    price("c_drawdown", "equity", "US equity, below its one-year high", "美股距一年高点回撤", drawdown("c_fund")),
    price("c_momentum_20", "momentum", "US equity, 20-day return", "美股20日收益", momentum("c_fund", 20)),
    price("f_momentum_20", "momentum", "US bonds, 20-day return", "美国综合债20日收益", momentum("f_fund", 20)),
    yields(
        "y10_volatility_20",
        "10-year yield, 20-day volatility",
        "10年期收益率20日波动率",
        rate_volatility("y10", 20),
        unit=POINTS,
    ),
    yields("slope_3m10y", "Slope, 10 years less 3 months", "期限利差（10年-3个月）", spread("y10", "y3m"), unit=POINTS),
    *(f for f in STRESS_INDEX if f.name != "fsi_safe_assets"),
)

FUND_WEEKS = tuple(
    price(f"{name}_5", family, en, zh, momentum(name, 5))
    for name, family, en, zh in (
        ("g_fund", "rates", "Cash-like Treasuries (G), week", "类现金国债基金（G）周收益"),
        ("f_fund", "rates", "US bonds (F), week", "美国综合债基金（F）周收益"),
        ("c_fund", "equity", "US large caps (C), week", "美国大盘股基金（C）周收益"),
        ("s_fund", "equity", "US small and mid caps (S), week", "美国中小盘股基金（S）周收益"),
        ("i_fund", "equity", "International equity (I), week", "海外股票基金（I）周收益"),
    )
)
