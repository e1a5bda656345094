"""FIPLUS-SYN: a fixed-income-plus fund that is clean by construction, as arrays. Each plant is one change to it."""

import numpy as np
import pandas as pd

from workbench.schema import Panel

YEAR = 252


def days(n, start="2018-01-01"):
    return pd.bdate_range(start, periods=n)


def factor_returns(rng, n=1250):
    """Equity (t5, 18 % a year), convertibles (0.45 equity + 6 %), duration 2.5 %, credit 0.8 %."""
    equity = rng.standard_t(5, n) * 0.18 / np.sqrt(YEAR * 5 / 3)
    own = rng.normal(size=(3, n)) / np.sqrt(YEAR)
    columns = {
        "equity": equity,
        "convertible": 0.45 * equity + 0.06 * own[0],
        "duration": 0.025 * own[1] - 0.02 * equity,
        "credit": 0.008 * own[2] + 0.015 * equity,
    }
    return pd.DataFrame(columns, index=days(n))


def fund(rng, factors, equity=0.1, convertible=0.0, alpha=0.01):
    """0.9 duration + 0.5 credit + equity + convertible + 1 % of its own."""
    own = 0.01 * rng.normal(size=len(factors)) / np.sqrt(YEAR) + alpha / YEAR
    exposed = 0.9 * factors["duration"] + 0.5 * factors["credit"]
    return exposed + equity * factors["equity"] + convertible * factors["convertible"] + own


def smoothed(returns, theta):
    """Convolved with θ; the first days take what there is."""
    values = returns.to_numpy()
    return pd.Series(np.convolve(values, theta)[: len(values)], index=returns.index)


def persistent(rng, n, d, phi=0.97):
    """(n, d) AR(1) features with unit variance."""
    x = rng.normal(size=(n, d))
    for i in range(1, n):
        x[i] = phi * x[i - 1] + np.sqrt(1 - phi**2) * x[i]
    return x


def panel(rng, n=1250, d=6, horizon=20, phi=0.97):
    """Features f0, f1, … and a label that none of them knows: the sum of noise over the next `horizon` days."""
    noise = rng.normal(size=n + horizon)
    label = np.array([noise[i + 1 : i + 1 + horizon].sum() for i in range(n)])
    table = pd.DataFrame(persistent(rng, n, d, phi), columns=[f"f{i}" for i in range(d)])
    names = tuple(table.columns)
    return Panel(days(n), table.assign(label=label), names, label="label", horizon=horizon)
