"""CatBoost models (.cbm) of numeric features: the check of `cbm` first, then, in a worker only, the library."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.model import check_width, fitting, import_without, threads
from workbench.schema import Floats, Message, ModelFailedError
from workbench.trees import warm
from workbench.trees.catboost_ensemble import ensemble
from workbench.trees.cbm import CatBoostFile, read_cbm

LIBRARY = "catboost"
MANY = 64  # rows that the kernel is worth loading for
CONTRIBUTIONS_COST = 50  # in walks of one row through one tree
# What the library wants for notebooks and plots, and nobody here uses.
UNUSED = ("sklearn", "matplotlib", "plotly", "graphviz", "IPython", "ipywidgets")


def inspect(path: Path) -> tuple[str, ...]:
    """The model's feature names, in its order, after a check of the file's tables; `BadInputError` says what is wrong."""
    return read_cbm(path).features


def recognises(path: Path) -> bool:
    """Whether the file begins like this format."""
    with path.open("rb") as stream:
        return stream.read(4) == b"CBM1"


class CatBoost:
    """A checked model in the library's hands; lives in a worker. Outputs are raw formula values: returns, or log-odds for Logloss.

    The library rounds the rows to float32 and computes in float64. `takes_missing` where a feature had gaps in training; in the
    columns that had none, a missing value counts as smaller than any border. Of trees that are not symmetric the library (1.2.10)
    gives contributions that miss the prediction by tenths of its spread: they have none without the kernel.
    """

    scale: Literal["raw"] = "raw"
    precision = 1e-6

    def __init__(self, checked: CatBoostFile) -> None:
        import catboost  # noqa: PLC0415 - heavy, and native: only a worker comes here

        self._library = catboost
        self._checked = checked
        self.takes_missing = checked.learnt_gaps
        self._model = catboost.CatBoost({"thread_count": 1, "logging_level": "Silent", "allow_writing_files": False})
        self._model.load_model(blob=checked.content)
        self.kernel = warm.Kept(lambda: ensemble(checked), self.predict, self.precision, missing=self.takes_missing)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Column names in the model's own order."""
        return self._checked.features

    @property
    def n_trees(self) -> int:
        """How many trees the file holds."""
        return self._checked.n_trees

    def predict(self, rows: Floats) -> Floats:
        """(n, d) in the model's order -> raw formula values (n,)."""
        rows = fitting(rows, len(self.feature_names))
        if not len(rows):
            return np.empty(0)
        wanted = threads(len(rows) * self.n_trees)
        answer: Any = self._model.predict(rows, prediction_type="RawFormulaVal", thread_count=wanted)
        return np.asarray(answer, np.float64)


class GrownCatBoost(CatBoost):
    """A model of trees that are not symmetric, which the library explains wrongly, in the hands of the kernel."""

    def contributions(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n, d) -> exact path-dependent Shapley values (n, d) and base values (n,) (Lundberg et al. 2020)."""
        kernel = self.kernel.get(wait=True)
        if kernel is None:
            raise ModelFailedError(Message("fault.model.no_kernel"))
        return kernel.contributions(fitting(rows, len(self.feature_names)))


class SymmetricCatBoost(CatBoost):
    """A model of symmetric trees, which knows its own exact Shapley values."""

    def contributions(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n, d) -> exact path-dependent Shapley values (n, d) and base values (n,) (Lundberg et al. 2020).

        CatBoost's `shap_calc_type` "Regular": an unknown feature's sides are weighed by the weights of their leaves, empty ones not
        at all. (Its "Exact" is another game, with other values.)
        """
        rows = fitting(rows, len(self.feature_names))
        kernel = self.kernel.get(wait=len(rows) >= MANY)
        if kernel is not None:
            return kernel.contributions(rows)
        if not len(rows):
            return np.empty((0, len(self.feature_names))), np.empty(0)
        values = self._model.get_feature_importance(
            data=self._library.Pool(rows),
            type="ShapValues",
            shap_mode="Auto",
            shap_calc_type="Regular",
            thread_count=threads(len(rows) * self.n_trees * CONTRIBUTIONS_COST),
        )
        return values[:, :-1], values[:, -1]


def preload() -> None:
    """Import the library before there is a model, without what it wants for notebooks."""
    import_without("catboost", *UNUSED)
    warm.begin()


def load(path: Path, entry: str | None = None, features: tuple[str, ...] = ()) -> CatBoost:
    """Check the file once more and load it; in a worker only. Rows will come as `features`: one a feature of the model."""
    del entry
    checked = read_cbm(path)
    model: CatBoost = SymmetricCatBoost(checked) if checked.symmetric else GrownCatBoost(checked)
    if model.kernel.get(wait=True) is None and not checked.symmetric:
        model = CatBoost(checked)
    check_width(len(features or model.feature_names), len(model.feature_names))
    return model
