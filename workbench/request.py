"""One explanation in the making: what was asked, the best that has come so far, and how it is summed up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np

from workbench import __version__, decision
from workbench.budget import Deadline
from workbench.model import Estimate
from workbench.schema import Explanation, Floats, Message, ModelFile, StrategyBundle
from workbench.wire import Arrays, Head

# Doubles add up to about 1e-13 of the spread; beyond this line the values do not belong to the prediction.
ADDITIVITY_LINE = 1e-6
OUTPUT = {"regression": "return", "classification": "raw", "anomaly": "score"}
LIBRARIES = {"lightgbm": "lightgbm"}

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
    estimate: Estimate | None = None
    prediction: float | None = None
    spread: float | None = None
    reason: Message | None = None
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def model(self) -> ModelFile:
        """The model that was live at the decision."""
        return decision.live_model(self.bundle, self.position)

    @property
    def row(self) -> Floats:
        """(d,) feature values of the decision."""
        return np.asarray(self.bundle.panel.X[self.position])

    def arrays(self) -> Arrays:
        """What the worker needs: the row and the background known at the decision."""
        return {"rows": self.row[None], "background": decision.background(self.bundle, self.position, self.seed)}

    def choose(self, card: Head) -> bool:
        """Settle the method by what applies to the model; False, with a reason, where the one asked for does not."""
        self.method = card["auto"] if self.asked == "auto" else self.asked
        if self.method not in card["methods"]:
            known = ", ".join(card["methods"])
            self.reason = Message("desk.not_applicable", {"method": self.method, "known": known})
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
        )
        self.stages["compute"] = float(reply["elapsed_ms"])

    def additivity_gap(self) -> float | None:
        """|base + sum - prediction| over the spread of the model's output; None where nothing came."""
        if self.estimate is None or self.prediction is None:
            return None
        gap = abs(self.estimate.base_values + float(np.sum(self.estimate.values)) - self.prediction)
        return gap / (self.spread or abs(self.prediction) or 1.0)

    def _outcome(self) -> tuple[Estimate | None, Message | None, float | None]:
        """What may be shown, why it is not all that was asked for, and the additivity gap: values that do not add up are withheld."""
        estimate, gap = self.estimate, self.additivity_gap()
        if estimate is None or gap is None:
            return None, self.reason, gap
        if not gap <= ADDITIVITY_LINE:
            return None, Message("desk.not_additive", {"gap": gap, "line": ADDITIVITY_LINE}), gap
        if estimate.settled:
            return estimate, None, gap
        cut = Message("desk.cut_short", {"budget": self.deadline.ms, "samples": estimate.samples})
        return estimate, self.reason or cut, gap

    def explanation(self) -> Explanation:
        """The answer, with the times as they are now."""
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
            output=OUTPUT[self.bundle.manifest.model.task],
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
            reason=reason,
            warnings=self._warnings(estimate),
            seed=self.seed,
            versions=_versions(self.model.format),
        )

    def _stages(self) -> tuple[Mapping[str, float], float]:
        """Milliseconds by stage, and the elapsed time without loading, which is shown but not counted."""
        load, compute = self.stages.get("load", 0.0), self.stages.get("compute", 0.0)
        elapsed = self.deadline.elapsed_ms() - load
        wait = self.stages.get("queue", elapsed)
        rest = max(elapsed - wait - compute, 0.0)
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
        return tuple(found)


def _versions(model_format: str) -> dict[str, str]:
    library = LIBRARIES.get(model_format)
    return {"workbench": __version__} | ({library: version(library)} if library else {})
