"""What the parts of a skops file hold: steps, widths, classes, tree nodes and the arrays that native code reads.

scikit-learn checks none of this when it predicts: a child or a feature out of range is read from wherever it points to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from workbench.foreign import shown
from workbench.formats.skops_file import MOST_FAULTS, Part, read_parts
from workbench.formats.skops_native import LOOKS
from workbench.formats.skops_trust import ROLES
from workbench.schema import BadInputError, Fault, Message

MOST_FEATURES = 100_000
FINITE = ("coef_", "intercept_", "coefs_", "intercepts_", "dual_coef_", "support_vectors_", "mean_", "scale_")


@dataclass(frozen=True)
class Checked:
    """A file that may be built: its outermost object, its steps in order, the last one's role, and the features' names."""

    root: Part
    steps: tuple[Part, ...]
    role: str
    features: tuple[str, ...]

    @property
    def final(self) -> Part:
        """The step that predicts."""
        return self.steps[-1]


def check(path: Path) -> Checked:
    """Read a file and check what it holds; `BadInputError` with file, place and remedy for each fault (at most 20)."""
    root = read_parts(path)
    checks = _Checks(path.name)
    steps = checks.steps(root)
    checks.stop()
    width = checks.width(steps)
    checks.stop()
    checks.final(steps[-1])
    for step in steps:
        checks.within(step, None)
    checks.stop()
    names = checks.names(root, steps, width)
    checks.stop()
    return Checked(root, steps, ROLES[steps[-1].kind], names)


def notes(path: Path) -> tuple[Message, ...]:
    """What to say beside an accepted file: that another version of scikit-learn saved it."""
    written = check(path).final.state.get("_sklearn_version")
    try:
        installed = metadata.version("scikit-learn")
    except metadata.PackageNotFoundError:
        return ()
    if str(written).split(".")[:2] == installed.split(".")[:2]:
        return ()
    return (
        Message("fault.sklearn.version", {"file": path.name, "written": shown(written, 20), "installed": installed}),
    )


class _Checks:
    def __init__(self, file: str) -> None:
        self.file, self.faults = file, list[Fault]()

    def add(self, key: str, place: str, **values: object) -> None:
        self.faults.append(Fault(f"fault.sklearn.{key}", self.file, place or None, values=values))

    def stop(self) -> None:
        if self.faults:
            raise BadInputError(self.faults[:MOST_FAULTS])

    def steps(self, root: Part) -> tuple[Part, ...]:
        """The transformers and the predictor, pipelines inside pipelines laid flat."""
        steps = tuple(self._flat(root))
        for i, step in enumerate(steps):
            role = ROLES[step.kind]
            if i == len(steps) - 1 and role not in {"regressor", "classifier", "anomaly"}:
                self.add("no_predictor", step.place, found=shown(step.kind, 100))
            elif i < len(steps) - 1 and role != "transformer":
                self.add("odd", step.place, found=shown(step.kind, 100))
        if not steps:
            self.add("no_predictor", root.place, found=shown(root.kind, 100))
        return steps

    def _flat(self, part: Part) -> Iterator[Part]:
        if ROLES[part.kind] != "pipeline":
            yield part
            return
        steps = part.state.get("steps")
        for step in steps if isinstance(steps, list) else [None]:
            named = isinstance(step, tuple) and len(step) == 2  # noqa: PLR2004
            inside = step[1] if named and isinstance(step, tuple) else None
            if isinstance(inside, Part):
                yield from self._flat(inside)
            elif not named or inside not in {None, "passthrough"}:
                self.add("odd", "steps", found=shown(step))

    def width(self, steps: tuple[Part, ...]) -> int:
        """How many columns the first step was fitted on."""
        for step in steps:
            found = step.state.get("n_features_in_")
            if type(found) is not int or not 0 < found <= MOST_FEATURES:
                self.add("not_fitted", step.place, found=shown(found))
        first = steps[0].state.get("n_features_in_")
        return first if type(first) is int else 0

    def names(self, root: Part, steps: tuple[Part, ...], width: int) -> tuple[str, ...]:
        """The features' names where the model was fitted on a table; `Column_i` where on a plain array."""
        held = root.state.get("feature_names_in_", steps[0].state.get("feature_names_in_"))
        if held is None:
            return tuple(f"Column_{i}" for i in range(width))
        names = tuple(held.tolist()) if isinstance(held, np.ndarray) else ()
        if len(names) != width:
            self.add("names", "feature_names_in_", found=len(names), expected=width)
        elif (
            not all(isinstance(name, str) and name and name.isprintable() for name in names) or len(set(names)) < width
        ):
            bad = [shown(name) for name in names if not (isinstance(name, str) and name.isprintable() and name)]
            self.add("bad_names", "feature_names_in_", names=", ".join(bad[:5]) or "–")
        return names

    def final(self, part: Part) -> None:
        """One output, and for a classifier two classes that are numbers."""
        state = part.state
        coef, outputs = state.get("coef_"), state.get("n_outputs_", 1)
        wide = isinstance(coef, np.ndarray) and coef.ndim > 1 and coef.shape[0] != 1
        classes = state.get("classes_")
        if ROLES[part.kind] == "classifier":
            if not isinstance(classes, np.ndarray) or classes.shape != (2,):
                found = len(classes) if isinstance(classes, np.ndarray) and classes.ndim else shown(classes)
                self.add("multiclass", "classes_", found=found)
            elif classes.dtype.kind not in "biuf" or not classes[0] < classes[1]:
                self.add("classes", "classes_", found=", ".join(shown(c, 20) for c in classes.tolist()))
        elif outputs != 1 or wide:
            self.add("multi_output", part.place, found=outputs if outputs != 1 or coef is None else coef.shape[0])

    def within(self, value: Any, width: int | None) -> None:
        """Everything inside an estimator that was fitted on `width` columns."""
        if isinstance(value, list | tuple):
            for item in value:
                self.within(item, width)
        elif isinstance(value, np.ndarray) and value.dtype == object:
            for item in value.ravel():
                self.within(item, width)
        elif isinstance(value, Part):
            self._part(value, width)

    def _part(self, part: Part, width: int | None) -> None:
        state, name = part.state, part.kind.rpartition(".")[2]
        own = state.get("n_features_in_", width)
        for key in FINITE:
            held = state.get(key)
            for array in held if isinstance(held, list) else [held]:
                if isinstance(array, float | np.ndarray) and not _finite(array):
                    self.add("infinite", f"{part.place}.{key}".lstrip("."))
        look = LOOKS.get(name)
        if look is not None:
            for key, inside, values in look(part, width):
                self.add(key, ".".join(filter(None, [part.place, inside])), **values)
        else:
            self._ensemble(part, width)
        for item in state.values():
            self.within(item, own if type(own) is int else None)

    def _ensemble(self, part: Part, width: int | None) -> None:
        """Trees see as many columns as their forest; one tree a round."""
        state, place = part.state, f"{part.place}.".lstrip(".")
        trees = state.get("estimators_")
        if trees is None:
            return
        flat = trees.ravel().tolist() if isinstance(trees, np.ndarray) else trees
        rounds = ".GradientBoosting" in part.kind
        alone = not rounds or (np.shape(trees) == (len(flat), 1) and state.get("n_trees_per_iteration_", 1) == 1)
        if not isinstance(flat, list) or not flat or not alone:
            self.add("shape", f"{place}estimators_")
            return
        seen = state.get("n_features_in_", width)
        if part.kind.endswith(".IsolationForest"):
            seen, chosen = state.get("_max_features"), state.get("estimators_features_")
            if not isinstance(chosen, list) or [np.shape(columns) for columns in chosen] != [(seen,)] * len(flat):
                self.add("shape", f"{place}estimators_features_")
        for i, tree in enumerate(flat):
            inner = tree.state.get("tree_") if isinstance(tree, Part) and ".tree._classes." in tree.kind else None
            fits = isinstance(inner, Part) and inner.kind.endswith(".Tree") and tree.state.get("n_features_in_") == seen
            if not fits:
                self.add("shape", f"{place}estimators_[{i}]")


def _finite(values: Any) -> bool:
    return np.asarray(values).dtype.kind in "biuf" and bool(np.isfinite(values).all())
