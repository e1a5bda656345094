"""X: whether an explanation can be relied on, and whether it comes in time."""

import numpy as np

from workbench.evidence import Latencies
from workbench.manifest import BudgetSection
from workbench.schema import Attributions, CannotMeasureError, Floats, Measurement, Message, Table


def latency(latencies: Latencies, budget: BudgetSection) -> Measurement:
    """95th percentile of warm explanations' time, from request to answer, as a share of the bundle's budget.

    The first call is shown by its stages and not counted: loading the model is not what a trader waits for a second time. A call
    that brought no values counts as endless, however soon it gave up.
    """
    warm = np.array([call.elapsed_ms if len(call.values) else np.inf for call in latencies.warm])
    p50, p95 = np.percentile(warm, [50, 95], method="higher")
    stages = {f"first_{stage}_ms": float(ms) for stage, ms in latencies.first.stages_ms.items()}
    counts, edges = np.histogram(warm[np.isfinite(warm)], bins=20)
    return Measurement(
        value=float(p95 / budget.ms),
        facts={
            "budget_ms": budget.ms,
            "p50_ms": float(p50),
            "p95_ms": float(p95),
            "max_ms": float(warm.max()),
            "calls": len(warm),
            "cut_short": sum(not (call.complete and call.within_budget) for call in latencies.warm),
            "first_ms": latencies.first.elapsed_ms,
            **stages,
        },
        tables={
            "latency": Table(
                "histogram",
                {"from": edges[:-1].tolist(), "to": edges[1:].tolist(), "calls": counts.tolist()},
                {"p95_ms": float(p95), "budget_ms": budget.ms},
            )
        },
    )


def additivity(attributions: Attributions, predictions: Floats) -> Measurement:
    """Largest |base + Σφ - f(x)| over the explained rows, in standard deviations of f.

    In the space in which the values were made (raw scores for classifiers); f(x) is asked of the model, never of the explainer.
    Relative to the output's own spread because a fixed tolerance is vacuous for daily returns: shap's own check (atol 0.01) accepts
    an explanation of nothing but zeros.
    """
    spread = float(predictions[np.isfinite(predictions)].std()) if np.isfinite(predictions).any() else 0.0
    if not spread > 0:
        raise CannotMeasureError(Message("audit.constant_predictions"))
    explained = attributions.base_values + attributions.values.sum(axis=1)
    gaps = np.abs(explained - predictions) / spread
    gaps[np.isnan(gaps)] = np.inf  # a missing explanation explains nothing
    worst = int(gaps.argmax())
    shown = np.unique(np.r_[np.linspace(0, len(gaps) - 1, min(len(gaps), 300)).round().astype(int), worst])
    return Measurement(
        value=float(gaps[worst]),
        facts={
            "rows": len(gaps),
            "median_gap": float(np.median(gaps)),
            "prediction_sd": spread,
            "worst_prediction": float(predictions[worst]),
            "worst_explained": float(explained[worst]),
        },
        tables={
            "explained": Table(
                "scatter", {"prediction": predictions[shown].tolist(), "explained": explained[shown].tolist()}
            )
        },
    )
