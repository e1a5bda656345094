"""From weights to returns, the way that an accountant would: decided tonight, traded at tomorrow's close, earning from then on."""

import numpy as np
import pandas as pd

COST = 0.0005  # of what is traded one way: half a spread and a little impact, of liquid index funds
EVERY = 5  # rows between decisions
DELAY = 2  # rows from a decision to the end of the first day that it earns: executed after one, held for the next


def weekly(weights: pd.Series) -> pd.Series:
    """Every fifth row's weight, kept until the next decision."""
    return weights.where(np.arange(len(weights)) % EVERY == 0).ffill()


def tilt(
    predictions: pd.Series,
    training: pd.Series,
    centre: float,
    *,
    middle: float,
    gain: float,
    top: float,
    low: float = 0,
) -> pd.Series:
    """`middle` plus `gain` for each standard deviation (of the model's own training predictions) above `centre`, to whole percents."""
    return (middle + gain * (predictions - centre) / training.std()).clip(low, top).round(2)


def account(position: pd.Series, risky: pd.Series, safe: pd.Series, start: float) -> pd.DataFrame:
    """Daily books of a fund that holds `risky` at the weight decided and `safe` for the rest, reset to it at every close.

    position: decided at each row; risky, safe: simple returns from the row before, on all rows and at least one more;
    start: the weight held until the first decision is in force. Columns as [returns] of the manifest names them.
    """
    held = position.shift(DELAY).fillna(start)
    up, down = risky.loc[position.index], safe.loc[position.index]
    gross = held * up + (1 - held) * down
    wanted = position.shift(DELAY - 1).fillna(start)
    turnover = (wanted - held * (1 + up) / (1 + gross)).abs()
    following = (risky - safe).shift(-1).loc[position.index]
    return pd.DataFrame(
        {
            "net": gross - COST * turnover,
            "gross": gross,
            "turnover": turnover,
            "position": position,
            "underlying": following,
        }
    )


def worst(returns: pd.Series) -> float:
    """Maximum drawdown, as a positive fraction."""
    value = (1 + returns).cumprod()
    return float(1 - (value / value.cummax().clip(lower=1)).min())


def yearly(returns: pd.Series) -> dict[str, float]:
    """Annual mean, volatility, their ratio and the maximum drawdown."""
    mean, deviation = returns.mean() * 252, returns.std() * 252**0.5
    return {"mean": mean, "volatility": deviation, "sharpe": mean / deviation, "drawdown": worst(returns)}
