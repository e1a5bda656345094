"""The figures of a whole panel by name, as the page and `workbench snapshot` ask for them."""

from collections.abc import Callable, Mapping
from typing import Any

from workbench.charts import theme
from workbench.charts.beeswarm import beeswarm
from workbench.charts.dependence import dependence_curves
from workbench.charts.importance import family_bars, importance_bars, lag_bars
from workbench.charts.interactions import interaction_bars
from workbench.charts.regimes import regime_shares
from workbench.charts.through_time import through_time_map
from workbench.importance.whole import Whole
from workbench.text import say, text


def dependence_of(whole: Whole, lang: str, feature: str | None = None) -> Any:
    """Dependence of one feature; default: the most important. Raises BadInputError where there is no such feature."""
    place = int(whole.importance.order[0]) if feature is None else whole.feature(feature)
    return dependence_curves(whole, place, lang)


def regimes_of(whole: Whole, lang: str, feature: str | None = None) -> Any:
    """Shares in each third of one feature's values; default: the bundle's own state. Says so where there are none."""
    regimes = whole.regimes if feature is None else whole.under(feature)
    if regimes is None:
        words = text("importance.no_regimes", lang)
        return theme.finish(theme.sentence(words), text("importance.chart.regimes_none", lang), [], words)
    return regime_shares(whole, regimes, lang)


def interactions_of(whole: Whole, lang: str, _feature: str | None = None) -> Any:
    """The strongest pairs; says so where the model's format gives none."""
    if whole.interactions is None:
        words = say(whole.without, lang)
        return theme.finish(theme.sentence(words), text("importance.chart.interactions", lang), [], words)
    return interaction_bars(whole, whole.interactions, lang)


FIGURES: Mapping[str, Callable[[Whole, str, str | None], Any]] = {
    "importance": lambda whole, lang, _: importance_bars(whole, lang),
    "families": lambda whole, lang, _: family_bars(whole, lang),
    "lags": lambda whole, lang, _: lag_bars(whole, lang),
    "beeswarm": lambda whole, lang, _: beeswarm(whole, lang),
    "dependence": dependence_of,
    "through_time": lambda whole, lang, _: through_time_map(whole, lang),
    "regimes": regimes_of,
    "interactions": interactions_of,
}
