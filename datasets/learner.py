"""LightGBM, fitted the same way every time: one thread, fixed seeds, yearly on an expanding window that ends well before it is used."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import lightgbm as lgb
import numpy as np
import pandas as pd

FIXED = {
    "objective": "regression",
    "learning_rate": 0.03,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_fraction": 0.5,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
EMBARGO = 25  # rows left out between the last label that is known and the first decision


@dataclass(frozen=True)
class Config:
    """What was varied from trial to trial."""

    leaves: int
    min_rows: int
    rounds: int

    def __str__(self) -> str:
        return f"leaves{self.leaves}_min{self.min_rows}_rounds{self.rounds}"


GRID = tuple(Config(*c) for c in product((4, 8), (50, 100, 200, 300), (75, 150)))


@dataclass(frozen=True)
class Live:
    """A model and the days it served: from `since` on, knowing rows up to `train_end`."""

    since: pd.Timestamp
    train_end: pd.Timestamp
    booster: lgb.Booster

    @property
    def file(self) -> str:
        """Its file in the bundle."""
        return f"model_{self.since.year}.txt"


def fit(X: pd.DataFrame, y: pd.Series, config: Config, **others: object) -> lgb.Booster:
    """X (n, d), y (n,) without gaps -> a fitted booster."""
    chosen = {"num_leaves": config.leaves, "min_data_in_leaf": config.min_rows}
    data = lgb.Dataset(X.to_numpy(), y.to_numpy(), feature_name=list(X.columns))
    return lgb.train(FIXED | chosen | others, data, config.rounds)


def predict(booster: lgb.Booster, X: pd.DataFrame) -> pd.Series:
    """(n,) predictions on X's index."""
    return pd.Series(booster.predict(X.to_numpy(), num_threads=1), X.index)


def walk_forward(
    X: pd.DataFrame,
    y: pd.Series,
    config: Config,
    years: range,
    *,
    horizon: int,
    embargo: int = EMBARGO,
    **others: object,
) -> list[Live]:
    """One model for each of `years`, live from that year's first row, fitted on all rows whose label was known `embargo` rows before."""
    models = []
    for year in years:
        first = int(X.index.searchsorted(pd.Timestamp(year, 1, 1)))
        known = first - 1 - horizon - embargo
        models.append(Live(X.index[first], X.index[known], fit(X[: known + 1], y[: known + 1], config, **others)))
    return models


def served(index: pd.Index, models: list[Live]) -> Iterator[tuple[Live, pd.Index]]:
    """Each model with the rows that it served."""
    for i, model in enumerate(models):
        until = models[i + 1].since if i + 1 < len(models) else index[-1] + pd.Timedelta(days=1)
        yield model, index[(index >= model.since) & (index < until)]


def live_predictions(X: pd.DataFrame, models: list[Live]) -> pd.Series:
    """What the model of each day said on that day, from the first live day on."""
    said: pd.Series = pd.concat([predict(model.booster, X.loc[rows]) for model, rows in served(X.index, models)])
    return said


def choose(X: pd.DataFrame, y: pd.Series, first_live: str, horizon: int) -> Config:
    """The configuration of least squared error in five contiguous, purged folds of the rows before anything was live."""
    rows = X.index.searchsorted(pd.Timestamp(first_live)) - horizon - EMBARGO
    X, y, place = X[:rows], y[:rows], np.arange(rows)

    def error(config: Config) -> float:
        total = 0.0
        for test in np.array_split(place, 5):
            apart = horizon + EMBARGO
            train = (place < test[0] - apart) | (place > test[-1] + apart)
            total += float(((predict(fit(X[train], y[train], config), X.iloc[test]) - y.iloc[test]) ** 2).sum())
        return total

    return min(GRID, key=error)


def information_coefficient(predictions: pd.Series, label: pd.Series) -> float:
    """Rank correlation of what was predicted with what came."""
    return float(predictions.corr(label.loc[predictions.index], method="spearman"))


def r_squared(predictions: pd.Series, label: pd.Series) -> float:
    """Share of the label's variance that was predicted; negative where its mean would have done better."""
    seen = label.loc[predictions.index]
    return float(1 - ((seen - predictions) ** 2).sum() / ((seen - seen.mean()) ** 2).sum())
