"""One explanation in the making: what was asked, the best that has come so far, and how it is summed up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from workbench import __version__, decision, explain
from workbench.budget import Deadline
from workbench.model import ADDITIVITY_LINE, Estimate
from workbench.schema import Explanation, Floats, Message, ModelFile, StrategyBundle
from workbench.wire import Arrays, Head

# What stands in for an exact method whose values do not add up.
SAMPLED = "shap"
OUTPUT = {"regression": "return", "anomaly": "score"}
# A local fit that explains less, or whose leading features another seed would change more often, is no ground to act on.
POOR_FIT, UNSTABLE = 0.5, 0.8

NOTHING = Estimate(np.empty(0), np.nan, np.empty(0), exact=False, settled=False)


@dataclass
class Request:
    """A question to the desk. `note` takes in the worker's replies; `explanation` makes the answer of what there is."""

    bundle: StrategyBundle
    position: int
    asked: str
    seed: int
    deadline: Deadline
    method: str = ""
    why: Message | None = None
    estimate: Estimate | None = None
    prediction: float | None = None
    spread: float | None = None
    reason: Message | None = None
    ended: bool = False
    card: Head = field(default_factory=dict)
    background: decision.Background | None = None
    withheld_ms: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    @cached_property
    def model(self) -> ModelFile:
        """The model that was live at the decision."""
        return decision.live_model(self.bundle, self.position)

    @property
    def row(self) -> Floats:
        """(d,) feature values of the decision."""
        return np.asarray(self.bundle.panel.X[self.position])

    def arrays(self) -> Arrays:
        """What the worker needs: the row, and a background that was known at the decision."""
        most, missing = explain.find(self.method).BACKGROUND_ROWS, self.card["takes_missing"]
        self.background = decision.background(self.bundle, self.position, self.seed, most, missing=missing)
        return {"rows": self.row[None], "background": self.background.rows}

    def choose(self, card: Head, cost_ms: Mapping[str, float | None]) -> bool:
        """Settle the method by what applies to the model and what it costs; False, with a reason, where nothing can be asked."""
        self.card = card
        if self.asked == "auto":
            self.method, self.why = explain.choose(cost_ms, self.deadline.ms)
        else:
            self.method, self.why = self.asked, Message("desk.why.asked")
        gaps = [name for name, x in zip(self.bundle.panel.features, self.row, strict=True) if not np.isfinite(x)]
        if self.method not in card["methods"]:
            known = ", ".join(card["methods"])
            self.reason = Message("desk.not_applicable", {"method": self.method, "known": known})
        elif gaps and not card["takes_missing"]:
            self.reason = Message("desk.missing", {"features": ", ".join(gaps), "file": self.model.name})
        return self.reason is None

    def note(self, reply: Head, numbers: Arrays) -> None:
        """Take in one reply: the prediction first, then ever better estimates."""
        if "predictions" in numbers:
            self.prediction, self.spread = float(numbers["predictions"][0]), reply["spread"]
            return
        self.estimate = Estimate(
            values=numbers["values"],
            base_values=float(reply["base_values"]),
            std_error=numbers["std_error"],
            exact=bool(reply["exact"]),
            settled=bool(reply["settled"]),
            samples=reply["samples"],
            fit_r2=reply["fit_r2"],
            stability=reply["stability"],
        )
        self.stages["compute"] = self.withheld_ms + float(reply["elapsed_ms"])

    def additivity_gap(self) -> float | None:
        """|base + sum - prediction| over the spread of the model's output; None where nothing came."""
        if self.estimate is None or self.prediction is None:
            return None
        gap = abs(self.estimate.base_values + float(np.sum(self.estimate.values)) - self.prediction)
        return gap / (self.spread or abs(self.prediction) or 1.0)

    @property
    def _line(self) -> float:
        """What the gap may be: the model's own precision, by the spread and the prediction's size together."""
        size = 1 + abs(self.prediction or 0.0) / (self.spread or 1.0)
        return float(self.card.get("precision", ADDITIVITY_LINE)) * size

    @property
    def doubtful(self) -> bool:
        """Whether values came that should add up to the prediction and do not."""
        estimate, gap = self.estimate, self.additivity_gap()
        if estimate is None or gap is None or not np.isfinite(self.prediction or 0.0):
            return False
        return estimate.fit_r2 is None and not gap <= self._line

    def fall_back(self) -> None:
        """Ask for sampled values, which add up by construction, in place of exact ones that did not."""
        self.why = Message("desk.why.withheld", {"method": self.method, "gap": self.additivity_gap()})
        self.withheld_ms = self.stages["compute"]
        self.method, self.estimate = SAMPLED, None

    def _outcome(self) -> tuple[Estimate | None, Message | None, float | None]:
        """What may be shown, why it is not all that was asked for, and the additivity gap: values that do not add up are withheld."""
        estimate, gap = self.estimate, self.additivity_gap()
        if self.prediction is not None and not np.isfinite(self.prediction):
            return None, Message("desk.no_prediction", {"file": self.model.name}), None
        if estimate is None or gap is None:
            return None, self.reason, gap
        if self.doubtful:
            return None, Message("desk.not_additive", {"gap": gap, "line": self._line}), gap
        if estimate.settled or not self.ended:
            return estimate, None, gap
        cut = Message("desk.cut_short", {"budget": self.deadline.ms, "samples": estimate.samples})
        return estimate, self.reason or cut, gap

    def explanation(self) -> Explanation:
        """The answer, with the times as they are now; a sentence says why it is not better only once the request has ended."""
        estimate, reason, gap = self._outcome()
        panel, came = self.bundle.panel, estimate or NOTHING
        features = panel.features if estimate is not None else ()
        stages, elapsed = self._stages()
        return Explanation(
            values=came.values,
            base_values=came.base_values,
            data=self.row[: len(features)],
            feature_names=features,
            std_error=came.std_error,
            prediction=self.prediction,
            method=self.method or self.asked,
            asked=self.asked,
            output=OUTPUT.get(self.bundle.manifest.model.task, str(self.card.get("scale", "raw"))),
            exact=came.exact,
            complete=came.settled,
            additivity_gap=gap,
            budget_ms=self.deadline.ms,
            elapsed_ms=elapsed,
            stages_ms=stages,
            bundle=self.bundle.name,
            time=decision.spoken_time(panel.times[self.position]),
            families=tuple(self.bundle.family(name) for name in features),
            model_sha256=self.model.sha256,
            panel_sha256=self.bundle.panel_sha256,
            entity=None if panel.entities is None else str(panel.entities[self.position]),
            samples=came.samples,
            fit_r2=came.fit_r2,
            stability=came.stability,
            model=self.model.name,
            why=self.why,
            background={} if self.background is None else self.background.facts(),
            reason=reason,
            warnings=self._warnings(estimate),
            seed=self.seed,
            versions={"workbench": __version__} | dict([self.card["library"]] if self.card.get("library") else []),
        )

    def _stages(self) -> tuple[Mapping[str, float], float]:
        """Milliseconds by stage, and the elapsed time without loading, which is shown but not counted."""
        load = self.stages.get("load", 0.0)
        elapsed = self.deadline.elapsed_ms() - load
        wait = self.stages.get("queue", elapsed)
        rest = max(elapsed - wait, 0.0)
        compute = min(self.stages.get("compute", 0.0), rest)
        if self.estimate is None and "compute" in self.stages:  # asked, and nothing came
            compute = rest
        rest -= compute
        return {"queue": wait, "load": load, "compute": compute, "return": rest}, elapsed

    def _warnings(self, estimate: Estimate | None) -> tuple[Message, ...]:
        if estimate is None:
            return ()
        found = []
        outside = decision.outside_trained_range(self.bundle, self.model, self.row)
        if outside:
            found.append(Message("desk.outside_range", {"features": ", ".join(outside)}))
        if decision.training_rows(self.bundle, self.model)[self.position]:
            found.append(Message("desk.in_sample", {"file": self.model.name}))
        size, error = np.abs(estimate.values), estimate.std_error
        leading = int(np.argmax(size))
        if error[leading] >= size[leading] > 0:
            found.append(Message("desk.noisy", {"feature": self.bundle.panel.features[leading]}))
        if estimate.fit_r2 is not None and estimate.fit_r2 < POOR_FIT:
            found.append(Message("desk.poor_fit", {"r2": estimate.fit_r2, "line": POOR_FIT}))
        if estimate.stability is not None and estimate.stability < UNSTABLE:
            found.append(Message("desk.unstable", {"stability": estimate.stability, "line": UNSTABLE}))
        return tuple(found)
