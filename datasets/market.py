"""The real tables of data/ as one daily table, and the series that strategies are made of. Nothing here looks ahead."""

import math
from pathlib import Path

import pandas as pd

DATA = Path(__file__).parent / "data"
FUNDS = ["g_fund", "f_fund", "c_fund", "s_fund", "i_fund"]
STRESS = ["fsi_total", "fsi_credit", "fsi_equity_valuation", "fsi_safe_assets", "fsi_funding", "fsi_volatility"]
FIRST, LAST = "2003-12-01", "2025-09-11"  # 120 rows of history behind the first; the stress index ends with the last
DECIMALS = 6  # of every derived number: recipe and rebuilt panel then agree to the bit on any machine


def market() -> pd.DataFrame:
    """All published series by business day, 2003-06-02 .. 2026-08-21; the stress index's two blank days carry the last value."""
    table = pd.read_csv(DATA / "us_fixed_income_plus_panel_daily.csv", parse_dates=["date"]).set_index("date")
    known = table.index <= LAST
    table.loc[known, STRESS] = table.loc[known, STRESS].ffill()
    return table


def fund_returns(table: pd.DataFrame) -> pd.DataFrame:
    """Simple returns of the five funds from the row before to this one, as fractions."""
    return table[FUNDS].pct_change(fill_method=None)


def ahead(values: pd.Series, rows: int) -> pd.Series:
    """Growth from this row to `rows` later, as a fraction: a label, never a feature."""
    return values.shift(-rows) / values - 1


def volatility(returns: pd.Series, rows: int) -> pd.Series:
    """Annualised standard deviation of the last `rows` daily returns."""
    return returns.rolling(rows).std() * math.sqrt(252)
