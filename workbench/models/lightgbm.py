"""LightGBM models: the check of `lightgbm_text` first, then, in a worker only, the library."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.model import check_width, fitting, import_without, threads
from workbench.schema import Floats, Message, ModelFailedError
from workbench.trees import warm
from workbench.trees.forest import check_forest
from workbench.trees.lightgbm_ensemble import ensemble
from workbench.trees.lightgbm_text import RANKINGS, ModelText, check_sizes, read_text

LIBRARY = "lightgbm"
# What explaining and fitting cost, in walks of one row through one tree.
CONTRIBUTIONS_COST, FIT_COST = 50, 10
# From so many rows on the kernel is worth loading, and is faster at predicting.
MANY = 64
SWITCHES = (
    *("extra_trees", "xgboost_dart_mode", "uniform_drop", "use_missing", "zero_as_missing", "feature_pre_filter"),
    *(
        "use_quantized_grad",
        "quant_train_renew_leaf",
        "stochastic_rounding",
        "is_unbalance",
        "boost_from_average",
        "reg_sqrt",
    ),
)
SETTINGS = (
    *("boosting", "learning_rate", "num_leaves", "max_depth", "min_data_in_leaf", "min_sum_hessian_in_leaf"),
    *("data_sample_strategy", "bagging_fraction", "pos_bagging_fraction", "neg_bagging_fraction", "bagging_freq"),
    *("feature_fraction", "feature_fraction_bynode", "max_delta_step", "lambda_l1", "lambda_l2", "min_gain_to_split"),
    *("drop_rate", "max_drop", "skip_drop", "top_rate", "other_rate", "min_data_per_group", "max_cat_threshold"),
    *("cat_l2", "cat_smooth", "max_cat_to_onehot", "monotone_constraints", "monotone_constraints_method"),
    *("monotone_penalty", "feature_contri", "path_smooth", "interaction_constraints", "max_bin", "max_bin_by_feature"),
    *("min_data_in_bin", "bin_construct_sample_cnt", "num_grad_quant_bins", "scale_pos_weight", "sigmoid", "alpha"),
    *("fair_c", "poisson_max_delta_step", "tweedie_variance_power"),
)


def inspect(path: Path) -> tuple[str, ...]:
    """The model's feature names, in its order, after a full structural check of the file; `BadInputError` names every fault."""
    return checked(path).features


def task(path: Path) -> str:
    """What the file's objective makes of the model: `classification` for a binary one, else `regression`."""
    binary = ("binary", "cross_entropy")
    return "classification" if (checked(path).objective or "").startswith(binary) else "regression"


def checked(path: Path) -> ModelText:
    """The model file as text that the library may read; `BadInputError` for any other."""
    text = read_text(path)
    check_forest(text.forest, len(text.features))
    check_sizes(text)
    return text


def recognises(path: Path) -> bool:
    """Whether the file begins like this format."""
    with path.open("rb") as stream:
        return stream.read(5).rstrip() == b"tree"


class LightGBM:
    """A checked model in the library's hands; lives in a worker. Outputs are raw scores: returns, or log-odds for `binary`."""

    scale: Literal["raw"] = "raw"
    takes_missing = True

    def __init__(self, checked: ModelText) -> None:
        import lightgbm  # noqa: PLC0415 - heavy, and native: only a worker comes here

        self._library = lightgbm
        self._checked = checked
        self._booster = lightgbm.Booster(model_str=checked.text)
        # The library's raw scores and contributions of a random forest are sums, where its predictions are means.
        self._shared = len(checked.trees) if checked.averaged else 1
        self.kernel = warm.Kept(lambda: ensemble(checked), self._outputs)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Column names in the model's own order."""
        return self._checked.features

    @property
    def n_trees(self) -> int:
        """How many trees the file holds."""
        return len(self._checked.trees)

    def predict(self, rows: Floats) -> Floats:
        """(n, d) in the model's order -> raw scores (n,); missing values go the way that the model learnt."""
        kernel = self.kernel.get(wait=False) if len(rows) >= MANY else None
        return self._outputs(rows) if kernel is None else kernel.predict(fitting(rows, len(self.feature_names)))

    def contributions(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n, d) -> exact path-dependent Shapley values (n, d) and base values (n,) (Lundberg et al. 2020)."""
        kernel = self.kernel.get(wait=len(rows) >= MANY)
        if kernel is not None:
            return kernel.contributions(fitting(rows, len(self.feature_names)))
        values = np.asarray(self._run(rows, pred_contrib=True), np.float64)
        return values[:, :-1] / self._shared, values[:, -1] / self._shared

    def _outputs(self, rows: Floats) -> Floats:
        return np.asarray(self._run(rows, raw_score=True), np.float64) / self._shared

    def _run(self, rows: Floats, **how: bool) -> Any:
        rows, expected = fitting(rows, len(self.feature_names)), len(self.feature_names)
        if not len(rows):
            return np.empty((0, expected + 1) if "pred_contrib" in how else 0)
        cost = CONTRIBUTIONS_COST if "pred_contrib" in how else 1
        return self._booster.predict(rows, num_threads=threads(len(rows) * self.n_trees * cost), **how)

    def refit(self, rows: Floats, y: Floats, train: NDArray[np.bool_], test: NDArray[np.bool_], seed: int) -> Floats:
        """Fit the same learner anew on each fold and predict what it did not see.

        `rows` (n, d) in the model's order, `y` (n,), `train` and `test` (k, n); rows without a label are not fitted on. Gives raw
        scores (n,), the mean where a row is tested more than once, NaN where it never is. As many rounds as the file has trees.
        """
        params = self._learner(seed, len(rows))
        total, times = np.zeros(len(rows)), np.zeros(len(rows))
        for fit, held_out in zip(train & np.isfinite(y), test, strict=True):
            if not held_out.any():
                continue
            data = self._library.Dataset(
                rows[fit], y[fit], feature_name=list(self.feature_names), categorical_feature=self._categorical()
            )
            booster = self._library.train(params, data, self.n_trees)
            scores = np.asarray(booster.predict(rows[held_out], raw_score=True, num_threads=1))
            total[held_out] += scores / self._shared
            times += held_out
        return np.where(times > 0, total / np.maximum(times, 1), np.nan)

    def _learner(self, seed: int, n: int) -> dict[str, object]:
        """The file's own parameters, only those that steer learning: a file may not name other files, ports or devices."""
        objective = (self._checked.objective or "").split(" ")[0]
        if not objective or objective in RANKINGS:
            raise ModelFailedError(Message("fault.lightgbm.no_refit", {"objective": objective or "custom"}))
        written = self._checked.parameters
        given: dict[str, object] = {key: written[key] for key in SETTINGS if written.get(key)}
        given |= {key: written[key] == "1" for key in SWITCHES if key in written}
        fixed = {"objective": objective, "seed": seed, "deterministic": True, "force_row_wise": True, "verbosity": -1}
        return {**given, **fixed, "num_threads": threads(n * self.n_trees * FIT_COST)}

    def _categorical(self) -> list[int]:
        listed = self._checked.parameters.get("categorical_feature", "")
        numbers = [int(number) for number in listed.split(",") if number.isdigit()]
        return [number for number in numbers if number < len(self.feature_names)]


def preload() -> None:
    """Import the library before there is a model, so that a worker is ready in milliseconds.

    Without scikit-learn, which it wants for wrappers that nobody here uses, and which takes longer to import than all the rest.
    """
    import_without("lightgbm", "sklearn")
    warm.begin()


def load(path: Path, entry: str | None = None, features: tuple[str, ...] = ()) -> LightGBM:
    """Check the file once more and load it; in a worker only. Rows will come as `features`: one a feature of the model."""
    del entry
    model = LightGBM(checked(path))
    check_width(len(features or model.feature_names), len(model.feature_names))
    model.kernel.get(wait=True)
    return model
