"""XGBoost models, JSON or UBJSON: the check of `xgboost_json` first, then, in a worker only, the library."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.model import check_width, fitting, import_without, threads
from workbench.schema import Floats, Message, ModelFailedError
from workbench.trees import warm
from workbench.trees.xgboost_ensemble import ensemble
from workbench.trees.xgboost_json import LOGISTIC, ModelDocument, read_document

LIBRARY = "xgboost"
MANY = 64  # rows that the kernel is worth loading for
CONTRIBUTIONS_COST = 50  # in walks of one row through one tree


def inspect(path: Path) -> tuple[str, ...]:
    """The model's feature names, in its order, after a full structural check of the file; `BadInputError` names every fault."""
    return read_document(path).features


def task(path: Path) -> str:
    """What the file's objective makes of the model: `classification` for a logistic one, else `regression`."""
    return "classification" if read_document(path).objective in LOGISTIC else "regression"


def recognises(path: Path) -> bool:
    """Whether the file begins like this format."""
    with path.open("rb") as stream:
        head = stream.read(64).lstrip()
    return head.startswith(b"{") and b"learner" in head


class XGBoost:
    """A checked model in the library's hands; lives in a worker. Outputs are margins: returns, or log-odds for `binary:logistic`.

    The library computes in float32: it rounds the rows to it, and its Shapley values miss the prediction by the rounding of sums,
    `precision` at most of the output's spread and the prediction's size together (tests/bench/additivity.md).
    """

    scale: Literal["raw"] = "raw"
    takes_missing = True
    precision = 1e-5

    def __init__(self, checked: ModelDocument) -> None:
        import xgboost  # noqa: PLC0415 - heavy, and native: only a worker comes here

        self._library = xgboost
        self._checked = checked
        self._threads = 1
        self._booster = xgboost.Booster({"nthread": 1, "verbosity": 0})
        self._booster.load_model(bytearray(checked.content))
        self.kernel = warm.Kept(lambda: ensemble(checked), self.predict, self.precision)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Column names in the model's own order."""
        return self._checked.features

    @property
    def n_trees(self) -> int:
        """How many trees the file holds."""
        return self._checked.n_trees

    def predict(self, rows: Floats) -> Floats:
        """(n, d) in the model's order -> margins (n,); missing values go the way that the model learnt."""
        return np.asarray(self._run(rows, output_margin=True), np.float64)

    def contributions(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n, d) -> exact path-dependent Shapley values (n, d) and base values (n,) (Lundberg et al. 2020)."""
        kernel = self.kernel.get(wait=len(rows) >= MANY)
        if kernel is not None:
            return kernel.contributions(self._finite(rows).astype(np.float64))
        values = np.asarray(self._run(rows, pred_contribs=True), np.float64)
        return values[:, :-1], values[:, -1]

    def _run(self, rows: Floats, **how: bool) -> Any:
        single = self._finite(rows)
        if not len(rows):
            return np.empty((0, len(self.feature_names) + 1) if "pred_contribs" in how else 0)
        self._wake(threads(len(rows) * self.n_trees * (CONTRIBUTIONS_COST if "pred_contribs" in how else 1)))
        data = self._library.DMatrix(single, nthread=self._threads)
        return self._booster.predict(data, validate_features=False, iteration_range=(0, self._checked.rounds), **how)

    def _finite(self, rows: Floats) -> NDArray[np.float32]:
        """The rows as the library rounds them; it refuses what is infinite, and so does this, by name."""
        with np.errstate(over="ignore"):
            single = fitting(rows, len(self.feature_names)).astype(np.float32)
        infinite = np.isinf(single).any(axis=0)
        if infinite.any():
            name = self.feature_names[int(infinite.argmax())]
            raise ModelFailedError(Message("fault.xgboost.infinite", {"feature": name}))
        return single

    def _wake(self, wanted: int) -> None:
        if wanted != self._threads:
            self._threads = wanted
            self._booster.set_param({"nthread": wanted})


def preload() -> None:
    """Import the library before there is a model, without scikit-learn, which it wants for wrappers that nobody here uses."""
    import_without("xgboost", "sklearn")
    warm.begin()


def load(path: Path, entry: str | None = None, features: tuple[str, ...] = ()) -> XGBoost:
    """Check the file once more and load it; in a worker only. Rows will come as `features`: one a feature of the model."""
    del entry
    model = XGBoost(read_document(path))
    check_width(len(features or model.feature_names), len(model.feature_names))
    model.kernel.get(wait=True)
    return model
