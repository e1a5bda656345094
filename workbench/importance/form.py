"""The machine's form of a whole panel explained: `workbench importance --json`."""

from typing import Any

from workbench import __version__
from workbench.importance.blocks import DRAWS, LEVEL, Means
from workbench.importance.measures import Groups, Pairs, Regimes
from workbench.importance.shapes import Periods
from workbench.importance.whole import Whole, lag_of
from workbench.schema import finite


def to_dict(whole: Whole, feature: str | None = None) -> dict[str, Any]:
    """The machine's form; numbers that are not finite as None. `feature` adds its dependence."""
    bundle, ranked, features = whole.bundle, whole.importance, whole.bundle.panel.features
    rows = [
        {"name": features[i], "family": bundle.family(features[i]), "lag": lag_of(bundle, features[i]) or None}
        | {"mean_abs": _mean(ranked.mean, i), "share": _mean(ranked.share, i), "rank": int(ranked.rank[i])}
        | {"rank_low": int(ranked.rank_low[i]), "rank_high": int(ranked.rank_high[i])}
        for i in ranked.order
    ]
    periods = whole.periods()
    told = {
        "bundle": bundle.name,
        "rows": len(whole.rows),
        "of": whole.of,
        "trained_rows": whole.trained,
        "times": whole.blocks.times,
        "first": whole.times[0].isoformat(),
        "last": whole.times[-1].isoformat(),
        "output": whole.output,
        "additivity_gap": finite(whole.gap),
        "bootstrap": {"block_length": whole.blocks.length, "blocks": whole.blocks.stretches, "draws": DRAWS}
        | {"level": LEVEL, "seed": whole.seed},
        "features": rows,
        "families": _groups(whole.families),
        "lags": _groups(whole.lags),
        "regimes": None if whole.regimes is None else _regimes(whole.regimes, features),
        "interactions": None if whole.interactions is None else _pairs(whole.interactions, features),
        "through_time": _periods(periods, features),
        "models_sha256": [model.sha256 for model in bundle.models],
        "panel_sha256": bundle.panel_sha256,
        "bundle_sha256": bundle.bundle_sha256,
        "versions": {"workbench": __version__},
    }
    return told if feature is None else told | {"dependence": _dependence(whole, feature)}


def _mean(means: Means, i: int) -> dict[str, float | None]:
    return {name: finite(getattr(means, name)[i]) for name in ("value", "std_error", "low", "high")}


def _groups(found: Groups) -> list[dict[str, Any]]:
    each = enumerate(zip(found.names, found.sizes, strict=True))
    return [
        {"name": name or None, "features": size, "share": _mean(found.share, i), "net": _mean(found.net, i)}
        for i, (name, size) in each
    ]


def _regimes(found: Regimes, features: tuple[str, ...]) -> dict[str, Any]:
    shares = [
        {"name": name}
        | {third: _mean(found.share[k], i) for k, third in enumerate(("low", "middle", "high"))}
        | {"high_less_low": _mean(found.difference, i)}
        for i, name in enumerate(features)
    ]
    return {"by": found.by, "edges": list(found.edges), "rows": list(found.rows), "share": shares}


def _pairs(found: Pairs, features: tuple[str, ...]) -> list[dict[str, Any]]:
    each = enumerate(found.pairs)
    return [{"features": [features[i], features[j]], "mean_abs": _mean(found.mean, n)} for n, (i, j) in each]


def _periods(found: Periods, features: tuple[str, ...]) -> dict[str, Any]:
    return {
        "unit": found.unit,
        "starts": [start.date().isoformat() for start in found.starts],
        "rows": found.rows.tolist(),
        "mean": {name: found.mean[:, i].tolist() for i, name in enumerate(features)},
        "mean_abs": {name: found.size[:, i].tolist() for i, name in enumerate(features)},
    }


def _dependence(whole: Whole, feature: str) -> dict[str, Any]:
    found = whole.dependence(whole.feature(feature))
    names = ("third", "x", "mean", "low", "high", "rows")
    partner = None if found.partner is None else whole.bundle.panel.features[found.partner]
    curves = [dict(zip(names, each, strict=True)) for each in found.curves]
    return {"feature": feature, "partner": partner, "missing": found.missing, "curves": curves}
