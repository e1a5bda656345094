"""Who explains trees exactly, each called as its user would with the explainer already made: tests/bench/trees.py times them.

All are held to one thread. Peers that are not installed are left out.
"""

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from workbench.models.lightgbm import checked
from workbench.trees.ensemble import Ensemble
from workbench.trees.kernel import TreeKernel
from workbench.trees.lightgbm_ensemble import ensemble

OURS, SINGLES, PRED_CONTRIB, WOODELF = "workbench", "workbench, float32", "LightGBM pred_contrib", "woodelf"
PEERS = {"shap": "shap", "fasttreeshap_fixed": "fasttreeshap-fixed", "woodelf": "woodelf-explainer", "shapiq": "shapiq"}
WOODELF_LEAVES = 3_200
"""woodelf goes tree by tree, whatever the rows: of a forest with more leaves it is given some trees, evenly spaced."""

Rows = np.ndarray
Read = Callable[[Any], tuple[np.ndarray, Any]]


@dataclass(frozen=True)
class Contender:
    """`call` is timed; `read` makes values (n, …) and base values of what it gave, None where it has none.

    `whole`: always all rows at once, as the cost is not in proportion to them. `prepares`: each call makes tables first, which costs the
    same for any rows. `share`: which part of the trees is explained.
    """

    name: str
    call: Callable[[Rows], Any]
    read: Read = lambda found: (found, None)
    whole: bool = False
    prepares: bool = False
    share: float = 1.0


@dataclass
class Subject:
    """A LightGBM file in everybody's hands."""

    path: Path
    trees: int
    leaves: int

    def __post_init__(self) -> None:
        self.booster = lightgbm.Booster(model_file=str(self.path), params={"num_threads": 1})
        self.ensemble = ensemble(checked(self.path))

    @property
    def size(self) -> str:
        return f"{self.trees} × {self.leaves}"

    def predict(self, rows: Rows) -> Rows:
        return self.booster.predict(rows, num_threads=1)


def missing() -> list[str]:
    return [name for module, name in (PEERS | {"xgboost": "xgboost"}).items() if not has(module)]


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def versions() -> str:
    there = ["lightgbm", "numba", "numpy", *(name for name in PEERS.values() if name not in missing())]
    # More than one package gives the module.
    own = [f"XGBoost {import_module('xgboost').__version__}"] if has("xgboost") else []
    return ", ".join([*(f"{name} {version(name)}" for name in there), *own])


def _there(makers: Iterable[Callable[[], Contender]]) -> list[Contender]:
    found = []
    for make in makers:
        try:
            found.append(make())
        except ModuleNotFoundError:
            continue
    return found


def values(subject: Subject) -> list[Contender]:
    """Path-dependent Shapley values."""
    return [
        *ours(subject.ensemble),
        Contender(
            PRED_CONTRIB, lambda rows: subject.booster.predict(rows, pred_contrib=True, num_threads=1), last_is_base
        ),
        *_there(
            [
                lambda: shap_values(subject),
                lambda: fasttreeshap(subject, "v1"),
                lambda: fasttreeshap(subject, "v2"),
                lambda: woodelf(subject),
                lambda: quadrature(subject.booster),
                lambda: linear(subject.booster),
            ]
        ),
    ]


def last_is_base(found: Rows) -> tuple[Rows, Rows]:
    return found[:, :-1], found[:, -1]


def ours(forest: Ensemble) -> list[Contender]:
    kernel, singles = TreeKernel(forest), TreeKernel(forest, np.float32)
    same: Read = lambda found: found  # noqa: E731
    return [
        Contender(OURS, kernel.contributions, same, whole=True),
        Contender(SINGLES, singles.contributions, same, whole=True),
    ]


def shap_values(subject: Subject) -> Contender:
    shap = import_module("shap")

    explainer = shap.TreeExplainer(subject.booster, feature_perturbation="tree_path_dependent")
    # Its check of additivity predicts once more: left out, in its favour.
    return Contender(
        "shap TreeExplainer",
        lambda rows: explainer.shap_values(rows, check_additivity=False),
        lambda found: (found, explainer.expected_value),
    )


def fasttreeshap(subject: Subject, algorithm: str) -> Contender:
    fasttreeshap_fixed = import_module("fasttreeshap_fixed")

    explainer = fasttreeshap_fixed.TreeExplainer(subject.booster, algorithm=algorithm, n_jobs=1)
    return Contender(
        f"fasttreeshap {algorithm}",
        lambda rows: explainer.shap_values(rows, check_additivity=False),
        lambda found: (np.asarray(found), explainer.expected_value),
        prepares=algorithm == "v2",
    )


def _some_trees(subject: Subject) -> tuple[Any, float]:
    read = import_module("woodelf.core.trees.parse_models").load_decision_tree_ensemble_model
    trees = read(subject.booster, list(range(subject.ensemble.n_features))).trees
    some = trees[:: max(subject.trees * subject.leaves // WOODELF_LEAVES, 1)]
    made = import_module("woodelf.core.trees.decision_trees_ensemble").DecisionTreesEnsemble(some)
    return made, len(some) / len(trees)


def woodelf(subject: Subject, background: Rows | None = None) -> Contender:
    trees, share = _some_trees(subject)
    explainer = import_module("woodelf").WoodelfExplainer(
        trees, data=None if background is None else pd.DataFrame(background)
    )
    return Contender(
        WOODELF,
        lambda rows: explainer.shap_values(pd.DataFrame(rows), verbose=False),
        lambda found: (np.asarray(found), None),
        whole=True,
        share=share,
    )


def quadrature(booster: Any) -> Contender:
    shapiq = import_module("shapiq")

    explainer = shapiq.TreeExplainer(booster, index="SV", max_order=1, backend="shapiq")
    return Contender(
        "shapiq TreeExplainer (quadrature)", lambda rows: [explainer.explain(row) for row in rows], _of_shapiq
    )


def linear(booster: Any) -> Contender:
    explainer = import_module("shapiq.tree.linear").LinearTreeSHAP(booster)
    return Contender("shapiq LinearTreeSHAP", lambda rows: [explainer.explain(row) for row in rows], _of_shapiq)


def _of_shapiq(found: list[Any]) -> tuple[Rows, Rows]:
    d = found[0].n_players
    table = np.array([[one[j,] for j in range(d)] for one in found])
    return table, np.array([one.baseline_value for one in found])


def interventional(subject: Subject, background: Rows) -> list[Contender]:
    """Against background rows; shap cuts them to a hundred unless it is told otherwise."""
    kernel = TreeKernel(subject.ensemble)

    def of_shap() -> Contender:
        shap = import_module("shap")

        masker = shap.maskers.Independent(background, max_samples=len(background))
        explainer = shap.TreeExplainer(subject.booster, data=masker, feature_perturbation="interventional")
        return Contender(
            "shap TreeExplainer",
            lambda rows: explainer.shap_values(rows, check_additivity=False),
            lambda found: (found, explainer.expected_value),
        )

    def of_shapiq() -> Contender:
        shapiq = import_module("shapiq")

        how = {"index": "SV", "max_order": 1, "backend": "shapiq"}
        explainer = shapiq.TreeExplainer(subject.booster, mode="interventional", reference_dataset=background, **how)
        return Contender("shapiq TreeExplainer", lambda rows: [explainer.explain(row) for row in rows], _of_shapiq)

    own = Contender(OURS, lambda rows: kernel.interventional(rows, background), lambda found: found, whole=True)
    return [own, *_there([of_shap, lambda: woodelf(subject, background), of_shapiq])]


def interactions(subject: Subject) -> list[Contender]:
    """Shapley interaction values."""

    def of_shap() -> Contender:
        shap = import_module("shap")

        explainer = shap.TreeExplainer(subject.booster, feature_perturbation="tree_path_dependent")
        return Contender(
            "shap TreeExplainer", explainer.shap_interaction_values, lambda found: (found, explainer.expected_value)
        )

    def of_woodelf() -> Contender:
        trees, share = _some_trees(subject)
        explainer = import_module("woodelf").WoodelfExplainer(trees)
        return Contender(
            WOODELF,
            lambda rows: explainer.shap_interaction_values(pd.DataFrame(rows), verbose=False),
            lambda found: (np.asarray(found), None),
            whole=True,
            share=share,
        )

    def of_shapiq() -> Contender:
        shapiq = import_module("shapiq")

        explainer = shapiq.TreeExplainer(subject.booster, index="SII", max_order=2, backend="shapiq")
        return Contender(
            "shapiq TreeExplainer", lambda rows: [explainer.explain(row) for row in rows], _pairs_of_shapiq
        )

    return [*our_interactions(subject.ensemble), *_there([of_shap, of_woodelf, of_shapiq])]


def our_interactions(forest: Ensemble) -> list[Contender]:
    found = []
    for name, dtype in ((OURS, np.float64), (SINGLES, np.float32)):
        kernel = TreeKernel(forest, dtype)

        def read(blocks: list[Any], kernel: TreeKernel = kernel) -> tuple[Rows, float]:
            return np.concatenate([block for _, block in blocks]), kernel.base

        found.append(Contender(name, lambda rows, kernel=kernel: list(kernel.interactions(rows)), read, whole=True))
    return found


def _pairs_of_shapiq(found: list[Any]) -> tuple[Rows, None]:
    """Its index is that of a pair, which shap halves between two cells; it has nothing to say of the diagonal."""
    d = found[0].n_players
    tables = np.full((len(found), d, d), np.nan)
    for table, one in zip(tables, found, strict=True):
        for i in range(d):
            for j in range(i):
                table[i, j] = table[j, i] = one[j, i] / 2
    return tables, None


def xgboost_values(booster: Any, forest: Ensemble) -> list[Contender]:
    """On XGBoost's own file; its matrix is made with each call, as a caller with an array must."""
    return [
        *ours(forest),
        Contender("XGBoost pred_contribs", lambda rows: _xgboost(booster, rows, pred_contribs=True), last_is_base),
        *_there([lambda: quadrature(booster)]),
    ]


def xgboost_interactions(booster: Any, forest: Ensemble) -> list[Contender]:
    own = Contender(
        "XGBoost pred_interactions",
        lambda rows: _xgboost(booster, rows, pred_interactions=True),
        lambda found: (found[:, :-1, :-1], found[:, -1, -1]),
    )
    return [*our_interactions(forest), own]


def xgboost_predict(booster: Any, rows: Rows) -> Rows:
    return _xgboost(booster, rows, output_margin=True)


def _xgboost(booster: Any, rows: Rows, **how: bool) -> Rows:
    xgboost = import_module("xgboost")

    return booster.predict(xgboost.DMatrix(rows, nthread=1), **how)
