"""scikit-learn models from skops files: checked by `skops_checks`, then, in a worker only, built type by type from the trusted list.

skops itself is not asked: its reader trusts every estimator and ufunc there is, and takes seconds to import. scikit-learn's own
`predict` stays the judge: the shorter ways taken here are compared with it when a model is loaded, and left where they differ.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.foreign import shown
from workbench.formats import skops_checks
from workbench.formats.shortcuts import Way, shortcut
from workbench.formats.skops_checks import Checked
from workbench.formats.skops_file import Part
from workbench.formats.skops_trust import ROLES
from workbench.model import check_width, fitting
from workbench.schema import Floats, Message, ModelFailedError
from workbench.trees import warm
from workbench.trees.sklearn_ensemble import ensemble

LIBRARY = "sklearn"
# What a file may not set: threads, chatter, a cache on disk; names, as rows come in the model's order.
FIXED = {"n_jobs": None, "verbose": 0, "memory": None}
LEFT_OUT = ("feature_names_in_", "_skl_callbacks")
# Rows that are put to both ways of predicting when a model is loaded.
PROBES = 64


def recognises(path: Path) -> bool:
    """Whether the file begins like a zip and is called .skops; other formats are zips too."""
    with path.open("rb") as stream:
        return path.suffix.lower() == ".skops" and stream.read(4) == b"PK\x03\x04"


def inspect(path: Path) -> tuple[str, ...]:
    """The model's feature names, in its order, after a full structural check of the file; `BadInputError` names every fault."""
    return skops_checks.check(path).features


def task(path: Path) -> str:
    """What the estimator that predicts is for: `regression`, `classification` or `anomaly`."""
    role = skops_checks.check(path).role
    return {"regressor": "regression", "classifier": "classification"}.get(role, role)


def notes(path: Path) -> tuple[Message, ...]:
    """Sentences to show beside an accepted file: that another version of the library saved it."""
    return skops_checks.notes(path)


def preload() -> None:
    """Import what the trusted types need before there is a model, so that a worker is ready in milliseconds."""
    for module in sorted({kind.rpartition(".")[0] for kind, role in ROLES.items() if role != "forgotten"}):
        _import(module)
    warm.begin()


class SklearnModel:
    """A checked estimator or pipeline; lives in a worker. Regressors and anomalies are raw, classifiers P(y = 1) where they have it.

    Boosted trees give log-odds, as those of all formats do: these, not probabilities, are what their leaves add up to.
    """

    def __init__(self, checked: Checked) -> None:
        self.feature_names = checked.features
        self._role = checked.role
        self._whole = _built(checked.root)
        steps = [_built(step) for step in checked.steps]
        self._final = steps[-1]
        probable = self._role == "classifier" and hasattr(self._final, "predict_proba") and not _is_booster(self._final)
        self.scale: Literal["raw", "probability"] = "probability" if probable else "raw"
        self._runs: Way = self._public
        self.takes_missing = self._accepts_missing()
        probes = _probes(len(self.feature_names), missing=self.takes_missing)
        expected = self._public(probes)
        short = self._short(steps)
        if short is not None and _agree(short, probes, expected):
            self._runs = short
        trees = steps[0] if len(steps) == 1 else None
        self.kernel = warm.Kept(lambda: ensemble(trees), self.predict, missing=self.takes_missing)

    def predict(self, rows: Floats) -> Floats:
        """(n, d) in the model's order -> (n,): predictions, P(y = 1), a decision score, or an anomaly score (larger = stranger)."""
        rows = fitting(rows, len(self.feature_names))
        with np.errstate(all="ignore"):
            return self._runs(rows) if len(rows) else np.empty(0)

    def _output(self) -> str:
        if self._role == "anomaly":
            return "score_samples"
        if self._role == "regressor":
            return "predict"
        return "predict_proba" if self.scale == "probability" else "decision_function"

    def _public(self, rows: Floats) -> Floats:
        """scikit-learn's own way, without its second look at numbers that were looked at."""
        with _quick():
            return _one_column(getattr(self._whole, self._output())(rows), self._output(), len(rows))

    def _short(self, steps: list[Any]) -> Way | None:
        try:
            return shortcut(steps, self._output())
        except (AttributeError, TypeError, ValueError, KeyError):
            return None

    def _accepts_missing(self) -> bool:
        missing = np.full((1, len(self.feature_names)), np.nan)
        try:
            with _quick(assume_finite=False):
                answer = _one_column(getattr(self._whole, self._output())(missing), self._output(), 1)
        except Exception:  # noqa: BLE001 - each estimator says no in its own way
            return False
        return bool(np.isfinite(answer).all())


class TreesOfSklearn(SklearnModel):
    """Trees, a forest, or boosted trees, in the hands of the kernel: scikit-learn has no Shapley values of its own."""

    def contributions(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n, d) -> exact path-dependent Shapley values (n, d) and base values (n,) (Lundberg et al. 2020)."""
        kernel = self.kernel.get(wait=True)
        if kernel is None:
            raise ModelFailedError(Message("fault.model.no_kernel"))
        return kernel.contributions(fitting(rows, len(self.feature_names)))


def load(path: Path, entry: str | None = None, features: tuple[str, ...] = ()) -> SklearnModel:
    """Check the file once more and build it; in a worker only. Rows will come as `features`: one a feature of the model."""
    del entry
    checked = skops_checks.check(path)
    check_width(len(features or checked.features), len(checked.features))
    try:
        import_module("threadpoolctl").threadpool_limits(1)  # the other cores belong to the other workers
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            model = TreesOfSklearn(checked)
            return model if model.kernel.get(wait=True) is not None else SklearnModel(checked)
    except MemoryError:
        raise
    except Exception as error:
        written = shown(checked.final.state.get("_sklearn_version"), 20)
        told = {"written": written, "kind": type(error).__name__, "text": shown(error, 200)}
        raise ModelFailedError(Message("fault.sklearn.does_not_run", told)) from error


def _import(module: str) -> Any:
    if not module.startswith("sklearn."):
        raise ImportError(module)
    return import_module(module)


def _built(value: Any) -> Any:
    """A part of the file as the object that it describes: no constructor runs but those of trees and losses."""
    if isinstance(value, Part):
        return _object(value)
    if isinstance(value, dict):
        return {key: _built(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_built(item) for item in value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        objects = np.empty(value.size, object)
        objects[:] = [_built(item) for item in value.ravel()]
        return objects.reshape(value.shape)
    return value.copy(order="K") if isinstance(value, np.ndarray) else value  # libsvm takes no read-only arrays


def _object(part: Part) -> Any:
    if ROLES.get(part.kind, "forgotten") == "forgotten":
        raise ImportError(part.kind)
    module, _, name = part.kind.rpartition(".")
    cls = getattr(_import(module), name)
    state = {key: _built(item) for key, item in part.state.items() if key not in LEFT_OUT}
    state |= {key: fixed for key, fixed in FIXED.items() if key in state}
    if "_sklearn_version" in state:
        state["_sklearn_version"] = import_module("sklearn").__version__
    if module == "sklearn._loss._loss":
        return cls(*part.args)
    made = cls(*_built(part.args)) if part.args else cls.__new__(cls)
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
    else:
        made.__dict__.update(state)
    return made


@contextmanager
def _quick(*, assume_finite: bool = True) -> Iterator[None]:
    from sklearn import config_context  # noqa: PLC0415 - heavy: only a worker comes here

    with config_context(assume_finite=assume_finite, skip_parameter_validation=True):
        yield


def _one_column(answer: Any, output: str, n: int) -> Floats:
    """(n,) out of what scikit-learn gives; ValueError for more than one number a row."""
    numbers = np.asarray(answer, np.float64)
    if output == "predict_proba":
        if numbers.shape != (n, 2):
            raise ValueError(f"predict_proba gave shape {numbers.shape} for {n} rows")
        numbers = numbers[:, 1]
    if numbers.size != n:
        raise ValueError(f"{output} gave shape {numbers.shape} for {n} rows")
    return -numbers.reshape(n) if output == "score_samples" else numbers.reshape(n)


def _probes(width: int, *, missing: bool) -> Floats:
    """Rows of many sizes with zeros and, where they are accepted, gaps; the same every time."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(PROBES, width)) * np.geomspace(0.01, 100, PROBES)[:, None]
    rows[rng.random(rows.shape) < 0.1] = 0.0  # noqa: PLR2004
    if missing:
        rows[rng.random(rows.shape) < 0.1] = np.nan  # noqa: PLR2004
    return rows


def _is_booster(estimator: Any) -> bool:
    return type(estimator).__name__ in {"GradientBoostingClassifier", "HistGradientBoostingClassifier"}


def _agree(short: Way, rows: Floats, expected: Floats) -> bool:
    """Whether the shortcut answers like scikit-learn, to the last digits but two or three."""
    try:
        found = short(rows)
    except Exception:  # noqa: BLE001 - whatever goes wrong with it, there is the long way
        return False
    return found.shape == expected.shape and bool(np.allclose(found, expected, rtol=1e-11, atol=1e-300, equal_nan=True))
