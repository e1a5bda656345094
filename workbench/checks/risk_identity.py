"""R: whether the returns are what the mandate says they are paid for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from arch.bootstrap import optimal_block_length
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS

from workbench.evidence import evenly, missing
from workbench.folds import Ints
from workbench.schema import CannotMeasureError, Floats, Measurement, Message, Table
from workbench.smoothing import Smoothing

LAGS = 2
FEWEST = 60
MOST_POINTS = 500
COLLINEAR = 1e10
DETECT = 0.01, 0.80
"""Level and power at which the smallest effect is stated."""


@dataclass(frozen=True)
class _Exposure:
    """A sum of coefficients with its standard error."""

    beta: float
    error: float

    @property
    def interval(self) -> tuple[float, float, float]:
        """Estimate and 95 % interval."""
        return self.beta, self.beta - 1.96 * self.error, self.beta + 1.96 * self.error


def factor_identity(strategy: pd.Series, factors: pd.DataFrame, equity_max: float, tolerance: float) -> Measurement:
    """Equity beta of the returns, convertibles counted at delta, beyond the mandate's cap. H0: beta <= cap + tolerance, one-sided.

    Dimson (1979) betas: coefficients on the factor of the day and of the two days before are summed, because stale prices hide
    beta; errors are Newey-West with floor(4 (T/100)^(2/9)) lags. Delta is the convertible factor's own slope on equity, from the
    same days. The null is the mandate's cap and never zero: plain bonds bear some equity beta themselves.
    """
    if "equity" not in factors:
        raise missing("[returns.factors] equity")
    names = [str(name) for name in factors]
    data = pd.concat([strategy.rename("strategy"), factors], axis=1).dropna()
    fit = _dimson(data, "strategy", names)
    delta = _Exposure(0.0, 0.0)
    if "convertible" in factors:
        delta = _dimson(data, "convertible", [name for name in names if name != "convertible"]).total("equity")
    by_lag = [fit.equity(delta, lag) for lag in range(LAGS + 1)]
    equity = by_lag[-1]
    dof = fit.rows - len(fit.names) - 1
    level, power = student.ppf([1 - DETECT[0], DETECT[1]], dof)
    smallest = float(tolerance + (level + power) * equity.error)
    signed = data.assign(up=data["equity"].clip(lower=0), down=data["equity"].clip(upper=0))
    others = [name for name in names if name not in {"equity", "convertible"}]
    split = _dimson(
        signed, "strategy", ["up", "down", *others]
    )  # convertibles left to "up" and "down": their delta moves
    caps = {"cap": equity_max, "cap_and_tolerance": equity_max + tolerance}
    return Measurement(
        value=equity.beta - equity_max,
        p_value=float(student.sf((equity.beta - equity_max - tolerance) / equity.error, dof)),
        smallest_effect=smallest,
        facts={
            "equity_beta": equity.beta,
            "std_error": equity.error,
            **caps,
            "same_day_beta": by_lag[0].beta,
            "up_market_beta": split.total("up").beta,
            "down_market_beta": split.total("down").beta,
            "convertible_delta": delta.beta or None,
            "rows": fit.rows,
            "smallest_excess": smallest,
        },
        tables={
            "beta_by_lag": _intervals("lags", {f"0-{i}" if i else "0": b for i, b in enumerate(by_lag)}, caps),
            "beta_by_factor": _intervals("factor", {name: fit.total(name) for name in names}, {}),
        },
    )


def _intervals(names: str, exposures: Mapping[str, _Exposure], lines: Mapping[str, float]) -> Table:
    beta, low, high = zip(*(exposure.interval for exposure in exposures.values()), strict=True)
    return Table("intervals", {names: list(exposures), "beta": beta, "low": low, "high": high}, lines)


@dataclass(frozen=True)
class _Dimson:
    """A regression on factors of the day and of LAGS days before. `names` and `lags` label the coefficients after the constant."""

    names: tuple[str, ...]
    lags: tuple[int, ...]
    coefficients: Floats
    covariance: Floats
    rows: int

    def total(self, factor: str, up_to: int = LAGS) -> _Exposure:
        """Sum a factor's coefficients."""
        return self._sum({factor: 1.0}, up_to)

    def equity(self, delta: _Exposure, up_to: int) -> _Exposure:
        """Equity beta plus delta times convertible beta; delta's own uncertainty counts."""
        both = self._sum({"equity": 1.0, "convertible": delta.beta}, up_to)
        through = self.total("convertible", up_to).beta * delta.error
        return _Exposure(both.beta, float(np.hypot(both.error, through)))

    def _sum(self, weights: Mapping[str, float], up_to: int) -> _Exposure:
        labelled = zip(self.names, self.lags, strict=True)
        w = np.array([0.0] + [weights.get(name, 0.0) * (lag <= up_to) for name, lag in labelled])
        return _Exposure(float(w @ self.coefficients), float(np.sqrt(w @ self.covariance @ w)))


def _dimson(data: pd.DataFrame, left: str, factors: list[str]) -> _Dimson:
    labels = [(factor, lag) for factor in factors for lag in range(LAGS + 1)]
    columns = np.column_stack([data[factor].shift(lag) for factor, lag in labels])[LAGS:]
    rows = len(columns)
    if rows < max(FEWEST, 5 * len(labels)):
        needed = max(FEWEST, 5 * len(labels)) + LAGS
        raise CannotMeasureError(Message("audit.too_few_returns", {"rows": len(data), "needed": needed}))
    if not np.ptp(columns, axis=0).min() > 0 or np.linalg.cond(np.corrcoef(columns.T)) > COLLINEAR:
        raise CannotMeasureError(Message("audit.collinear_factors"))
    design = np.column_stack([np.ones(rows), columns])
    lags = int(4 * (rows / 100) ** (2 / 9))
    fit = OLS(data[left].to_numpy()[LAGS:], design).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}
    )
    names, of_lags = zip(*labels, strict=True)
    return _Dimson(names, of_lags, fit.params, fit.cov_params(), rows)


def drawdown_budget(
    live_strategy: pd.Series,
    smoothing: Smoothing,
    max_drawdown: float,
    periods_per_year: float,
    rng: np.random.Generator,
    *,
    years: float = 1.0,
    paths: int = 2000,
) -> Measurement:
    """Probability that the largest drawdown within `years` exceeds the mandate's budget.

    Stationary bootstrap (Politis and Romano 1994) of the live returns. Block length by Politis and White (2004), for returns or
    for their size, whichever is longer: blocks that fit uncorrelated returns would break up the clusters of volatility of which
    drawdowns are made. Returns are unsmoothed first where θ0 < 1: smoothing hides drawdowns. `std_error` is the simulation's own;
    the past is taken as it was, so a live sample without a storm gives a probability without one.
    """
    reported, length = live_strategy.to_numpy(np.float64), round(years * periods_per_year)
    if len(reported) < length:
        raise CannotMeasureError(Message("audit.too_few_returns", {"rows": len(reported), "needed": length}))
    if not np.ptp(reported) > 0:
        raise CannotMeasureError(Message("audit.constant_returns"))
    true = smoothing.unsmooth(reported) if smoothing.theta[0] < 1 else reported
    both = np.column_stack([true, np.abs(true - true.mean())])
    block = max(1.0, float(optimal_block_length(both)["stationary"].max()))
    drawn = _stationary_rows(len(true), length, paths, block, rng)
    deepest = _largest_drawdown(true[drawn])
    chance, as_reported = (
        float((path > max_drawdown).mean()) for path in (deepest, _largest_drawdown(reported[drawn]))
    )
    fallen = _drawdowns(reported[None])[0]
    return Measurement(
        value=chance,
        facts={
            "budget": max_drawdown,
            "std_error": float(np.sqrt(chance * (1 - chance) / paths)),
            "as_reported": as_reported,
            "realised": float(fallen.max()),
            "median_drawdown": float(np.median(deepest)),
            "worst_twentieth": float(np.quantile(deepest, 0.95)),
            "years": years,
            "rows": len(reported),
            "block": block,
            "theta0": float(smoothing.theta[0]),
        },
        tables=_drawdown_tables(live_strategy.index, fallen, deepest, max_drawdown),
    )


def _drawdown_tables(times: pd.Index, fallen: Floats, deepest: Floats, budget: float) -> dict[str, Table]:
    shown = np.unique(np.r_[evenly(np.arange(len(fallen)), MOST_POINTS), fallen.argmax()])
    counts, edges = np.histogram(deepest, bins=40)
    bars = {"from": edges[:-1].tolist(), "to": edges[1:].tolist(), "paths": counts.tolist()}
    path = {"time": [str(time)[:10] for time in times[shown]], "drawdown": fallen[shown].tolist()}
    return {
        "simulated": Table("histogram", bars, {"budget": budget, "realised": float(fallen.max())}),
        "drawdown": Table("lines", path, {"budget": budget}),
    }


def _stationary_rows(n: int, length: int, paths: int, block: float, rng: np.random.Generator) -> Ints:
    """Draw row numbers (paths, length): blocks of geometric length with mean `block`, wrapped around the end."""
    rows = rng.integers(n, size=(paths, length))
    begins = rng.random((paths, length)) < 1 / block
    for i in range(1, length):
        rows[:, i] = np.where(begins[:, i], rows[:, i], (rows[:, i - 1] + 1) % n)
    return rows


def _drawdowns(returns: Floats) -> Floats:
    """Fall from the highest point so far, the start included: simple returns (paths, length) -> the same shape, in [0, 1]."""
    wealth = np.cumprod(1 + returns, axis=1)
    fallen: Floats = 1 - wealth / np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    return fallen


def _largest_drawdown(returns: Floats) -> Floats:
    """(paths, length) -> (paths,)."""
    deepest: Floats = _drawdowns(returns).max(axis=1)
    return deepest
