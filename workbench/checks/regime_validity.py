"""V: whether the model has seen the weather that it is used in, and whether its own returns show it."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist
from scipy.stats import norm

from workbench.evidence import evenly
from workbench.folds import Ints, Mask
from workbench.schema import Attributions, CannotMeasureError, Floats, Measurement, Message, Panel, Table
from workbench.smoothing import Smoothing, autocorrelation, lo_eta

MOST_ROWS = 2000
MOST_POINTS = 500
MOST_BARS = 12
FEWEST = 30
FOLDS = 5
DETECT = 0.01, 0.80
"""Level and power at which the smallest effect is stated."""


def trained_range(panel: Panel, live: Mask, training: Mask, served_by: Ints, attributions: Attributions) -> Measurement:
    """Share of live cells outside the range on which the model that decided was trained, weighted by mean |SHAP| shares.

    Without exact values every feature weighs the same.
    A tree is constant beyond its outermost split: f(x) = f(clip(x)). The dissimilarity index is shown beside it, because a row can
    be new as a combination though each of its values is old. Both are about inputs; neither says that the model was wrong there.
    """
    X = panel.X
    low, high = _ranges(X, live, training, served_by)
    outside = (low > X) | (high < X)
    share = outside[live].mean(axis=0)
    size = np.ones(X.shape[1]) if attributions is None else np.abs(attributions.values).mean(axis=0)
    weight = size / size.sum() if size.sum() > 0 else np.full(len(size), 1 / len(size))
    order = np.argsort(-share * weight, kind="stable")
    worst = int(order[0])
    strange, limit = _dissimilar_share(X, live, training, served_by, weight)
    return Measurement(
        value=float(share @ weight),
        facts={
            "live_rows": int(live.sum()),
            "worst_feature": panel.features[worst] if share[worst] > 0 else None,
            "worst_share": float(share[worst]),
            "worst_importance": float(weight[worst]),
            "any_outside": float(outside[live].any(axis=1).mean()),
            "dissimilar_share": strange,
            "dissimilarity_limit": limit,
        },
        tables={
            "by_feature": Table(
                "bars",
                {
                    "feature": [panel.features[j] for j in order[:MOST_BARS]],
                    "outside_share": share[order[:MOST_BARS]].tolist(),
                    "importance": weight[order[:MOST_BARS]].tolist(),
                },
            ),
            "worst_driver": _driver(panel, worst, low[:, worst], high[:, worst]),
        },
    )


def _ranges(X: Floats, live: Mask, training: Mask, served_by: Ints) -> tuple[Floats, Floats]:
    """(n, d) smallest and largest value that the model of each row was trained on; NaN where it never was live."""
    low, high = np.full((2, len(training), X.shape[1]), np.nan)
    for i in np.unique(served_by[live]):
        rows = int(training[i].sum())
        if rows < FEWEST:
            raise CannotMeasureError(Message("audit.too_few_rows", {"rows": rows, "needed": FEWEST}))
        low[i], high[i] = np.fmin.reduce(X[training[i]]), np.fmax.reduce(X[training[i]])
    return low[served_by], high[served_by]


def _driver(panel: Panel, feature: int, low: Floats, high: Floats) -> Table:
    """One driver through time, and the range that the model of the day was trained on."""
    shown = evenly(np.arange(len(low)), MOST_POINTS)
    return Table(
        "lines",
        {
            "time": [str(t.date()) for t in panel.times[shown]],
            "driver": panel.X[shown, feature].tolist(),
            "trained_low": low[shown].tolist(),
            "trained_high": high[shown].tolist(),
        },
    )


def _dissimilar_share(X: Floats, live: Mask, training: Mask, served_by: Ints, weight: Floats) -> tuple[float, float]:
    """Share of live rows beyond the area of applicability of Meyer and Pebesma (2021), and the newest model's limit.

    Distances in the importance-weighted space of standardised features, against the limit from contiguous folds of the training
    rows (random folds flag most rows of persistent features). Rows with a missing value are left out.
    """
    whole = np.isfinite(X).all(axis=1)
    beyond, limit = [], float("nan")
    for i in np.unique(served_by[live]):
        fitted = X[evenly(np.flatnonzero(training[i] & whole), MOST_ROWS)]
        asked = X[evenly(np.flatnonzero(live & whole & (served_by == i)), MOST_ROWS)]
        if len(fitted) < FEWEST or not len(asked):
            continue
        scale = weight / np.where(fitted.std(axis=0) > 0, fitted.std(axis=0), 1.0)
        index, limit = _dissimilarity(fitted * scale, asked * scale)
        beyond.append((index > limit, int((live & (served_by == i)).sum())))
    if not beyond:
        return float("nan"), float("nan")
    return float(np.average([b.mean() for b, _ in beyond], weights=[n for _, n in beyond])), limit


def _dissimilarity(fitted: Floats, asked: Floats, folds: int = FOLDS) -> tuple[Floats, float]:
    """Dissimilarity index of each asked row and the limit, Meyer and Pebesma (2021), Methods Ecol. Evol. 12, 1620-1633.

    Distance to the nearest fitted row over the mean distance between fitted rows; the limit is the largest index, outliers beyond
    Q3 + 1.5 IQR left out, of fitted rows from the other contiguous folds.
    """
    mean = pdist(fitted[evenly(np.arange(len(fitted)), 500)]).mean()
    if not mean > 0:
        return np.where(cKDTree(fitted).query(asked)[0] > 0, np.inf, 0.0), 0.0
    blocks = np.array_split(np.arange(len(fitted)), folds)
    own = np.concatenate([cKDTree(np.delete(fitted, block, axis=0)).query(fitted[block])[0] for block in blocks]) / mean
    q1, q3 = np.quantile(own, [0.25, 0.75])
    limit = float(own[own <= q3 + 1.5 * (q3 - q1)].max())
    return cKDTree(fitted).query(asked)[0] / mean, limit


def smoothed_pricing(strategy: pd.Series, smoothing: Smoothing, periods_per_year: float) -> Measurement:
    """How much smoothing alone raises the Sharpe ratio: 1/√ξ - 1 (Getmansky, Lo and Makarov 2004). H0: ρ1 <= 0, one-sided.

    The error of ρ1 is robust to heteroskedasticity (Lo and MacKinlay 1988): under volatility that clusters, 1/√T cries wolf. The
    smallest effect is for smoothing over two days, for which 1/√ξ = √(1 + 2 ρ1) exactly.
    """
    x = strategy.to_numpy(np.float64)
    rho, error = autocorrelation(x)
    level, power = norm.ppf([1 - DETECT[0], DETECT[1]])
    lags = [autocorrelation(x, k) for k in range(1, 11)]
    implied = smoothing.theta / np.sqrt(smoothing.xi)
    by_model = [float(implied[1:] @ implied[:-1]), float(implied[2] * implied[0])]
    sharpe = float(x.mean() / x.std(ddof=1) * np.sqrt(periods_per_year))
    return Measurement(
        value=smoothing.sharpe_inflation,
        p_value=float(norm.sf((rho + 1 / len(x)) / error)),
        smallest_effect=float(np.sqrt(1 + 2 * (level + power) * error) - 1),
        facts={
            "rho1": rho,
            "rho1_error": error,
            "theta0": float(smoothing.theta[0]),
            "theta1": float(smoothing.theta[1]),
            "theta2": float(smoothing.theta[2]),
            "xi": smoothing.xi,
            "sharpe_reported": sharpe,
            "sharpe_unsmoothed": sharpe * float(np.sqrt(smoothing.xi)),
            "lo_inflation": float(np.sqrt(periods_per_year) / lo_eta(by_model, round(periods_per_year)) - 1),
            "stale_share": float((x == 0).mean()),
            "rows": len(x),
        },
        tables={
            "autocorrelation": Table(
                "intervals",
                {
                    "lag": [str(k) for k in range(1, 11)],
                    "rho": [r for r, _ in lags],
                    "low": [r - 1.96 * e for r, e in lags],
                    "high": [r + 1.96 * e for r, e in lags],
                },
                {"zero": 0.0},
            ),
            "nav": _navs(strategy, smoothing),
        },
    )


def _navs(strategy: pd.Series, smoothing: Smoothing) -> Table:
    reported = strategy.to_numpy(np.float64)
    shown = evenly(np.arange(len(reported)), MOST_POINTS)
    true = smoothing.unsmooth(reported)
    return Table(
        "lines",
        {
            "time": [str(t.date()) for t in strategy.index[shown]],
            "nav_reported": np.cumprod(1 + reported)[shown].tolist(),
            "nav_unsmoothed": np.cumprod(1 + true)[shown].tolist(),
        },
    )
