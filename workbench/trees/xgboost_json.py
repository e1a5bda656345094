"""XGBoost's model files, JSON and UBJSON, read, checked and written anew without XGBoost.

The library takes the indices in a file on trust: a wrong one is read out of bounds at the first prediction. So it is given only what
was checked here and in `xgboost_forest.py`, as UBJSON of our own making, to the byte what it would have written itself.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.foreign import shown
from workbench.trees.ubjson import encode
from workbench.trees.xgboost_forest import checked_trees
from workbench.trees.xgboost_values import Table, bad, is_whole, read_values, table

MOST_FEATURES = 100_000
LARGEST = float(np.finfo(np.float32).max)
VERSIONS = (1, 2, 3)
LOGIT = ("binary:logistic", "reg:logistic")  # what takes base_score to where the trees are added up
LOGISTIC = ("binary:logitraw", *LOGIT)
EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
OBJECTIVES = (
    *("reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror"),
    *LOGISTIC,
    *EXPONENTIAL,
    *("binary:hinge", "rank:pairwise", "rank:ndcg", "rank:map"),
)
_SETTINGS = (
    *("reg_loss_param", "pseudo_huber_param", "quantile_loss_param", "poisson_regression_param"),
    *("tweedie_regression_param", "aft_loss_param", "lambdarank_param", "lambda_rank_param"),
)
_NUMBER = r"-?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?"
_SETTING = re.compile(rf"{_NUMBER}|\[{_NUMBER}\]|topk|mean|normal|logistic|extreme")
_WHOLE = re.compile(r"\d{1,9}")
_SCORE = re.compile(rf"\[?({_NUMBER})\]?")
_TYPES = {"q", "float", "int", "i", "c"}
_NO_CATEGORIES: dict[str, object] = {
    "enc": [],
    "feature_segments": np.empty(0, np.int32),
    "sorted_idx": np.empty(0, np.int32),
}


@dataclass(frozen=True)
class ModelDocument:
    """A checked model: `content` is what the library may read.

    `rounds`: how many rounds of boosting predict. XGBoost itself uses all, its scikit-learn classes those up to the best round of an
    early stop; which of the two fitted the model stands in the file. `trees` are those of these rounds, as they were checked;
    `weights` DART's, one a tree, where it fitted the model; `base_score` is in the space of the objective's predictions.
    """

    content: bytes
    features: tuple[str, ...]
    n_trees: int
    rounds: int
    objective: str
    trees: tuple[Table, ...]
    weights: tuple[float, ...]
    base_score: float


def read_document(path: Path) -> ModelDocument:
    """Read a model file, check all of it and write it anew; `BadInputError` with the place of each fault (at most 20)."""
    file = path.name
    document = table(file, read_values(path), "", {"learner", "version"})
    version = document["version"]
    if not (isinstance(version, list) and list(map(is_whole, version)) == [True] * 3 and version[0] in VERSIONS):
        raise bad(file, "version", "version", found=shown(version))
    learner = table(
        file,
        document["learner"],
        "learner",
        {"gradient_booster", "learner_model_param", "objective"},
        {"attributes", "feature_names", "feature_types"},
    )
    booster = learner["gradient_booster"]
    dart = _is_dart(file, booster)
    objective = _objective(file, learner["objective"])
    width, parameters = _parameters(file, learner["learner_model_param"], objective["name"])
    features = _features(file, learner, width)
    model = _model(file, booster["gbtree"]["model"] if dart else booster["model"], width)
    weights = _weights(file, booster, model) if dart else []
    trees = {"model": model, "name": "gbtree"}
    written = {
        "attributes": {},
        **{key: list(learner.get(key, [])) for key in ("feature_names", "feature_types")},
        "gradient_booster": {"gbtree": trees, "name": "dart", "weight_drop": weights} if dart else trees,
        "learner_model_param": parameters,
        "objective": objective,
    }
    rounds = _rounds(file, learner.get("attributes", {}), len(model["iteration_indptr"]) - 1)
    used = model["iteration_indptr"][rounds]
    return ModelDocument(
        content=encode({"learner": written, "version": version}),
        features=features,
        n_trees=len(model["trees"]),
        rounds=rounds,
        objective=objective["name"],
        trees=tuple(model["trees"][:used]),
        weights=tuple(weights[:used]),
        base_score=float(parameters["base_score"].strip("[]")),
    )


def _is_dart(file: str, booster: object) -> bool:
    """Whether the trees are weighed; boosters other than trees are refused by name."""
    name = booster.get("name") if isinstance(booster, dict) else None
    place = "learner.gradient_booster"
    if name == "gblinear":
        raise bad(file, "linear", place)
    if name == "dart":
        table(file, booster, place, {"gbtree", "name", "weight_drop"})
        table(file, booster["gbtree"], f"{place}.gbtree", {"model", "name"})  # type: ignore[index]
    elif name == "gbtree":
        table(file, booster, place, {"model", "name"})
    else:
        raise bad(file, "booster", place, found=shown(name))
    return bool(name == "dart")


def _objective(file: str, value: object) -> Table:
    name = value.get("name") if isinstance(value, dict) else None
    if isinstance(name, str) and name.startswith("multi:"):
        raise bad(file, "multiclass", "learner.objective", found=shown(name))
    if name not in OBJECTIVES:
        raise bad(file, "objective", "learner.objective", found=shown(name), known=", ".join(OBJECTIVES))
    objective = table(file, value, "learner.objective", {"name"}, _SETTINGS)
    for key in objective.keys() - {"name"}:
        settings = objective[key] if isinstance(objective[key], dict) else {"": objective[key]}
        for word, setting in settings.items():
            if not (isinstance(setting, str) and _SETTING.fullmatch(setting) and re.fullmatch(r"\w{1,64}", word)):
                raise bad(file, "value", f"learner.objective.{key}", found=shown(setting))
    return objective


def _parameters(file: str, value: object, objective: str) -> tuple[int, dict[str, str]]:
    """How many features, and the learner's parameters as they are written anew."""
    place = "learner.learner_model_param"
    given = table(file, value, place, {"base_score", "num_class", "num_feature"}, {"boost_from_average", "num_target"})
    given = {"boost_from_average": "1", "num_target": "1", **given}
    score = given["base_score"]
    if isinstance(score, str) and score.count(",") and given["num_class"] in {"0", "1"}:
        raise bad(file, "multitarget", f"{place}.base_score", found=score.count(",") + 1)
    match = _SCORE.fullmatch(score) if isinstance(score, str) else None
    wrong = [
        key
        for key in given.keys() - {"base_score"}
        if not (isinstance(given[key], str) and _WHOLE.fullmatch(given[key]))
    ]
    if match is None or wrong:
        key = wrong[0] if wrong else "base_score"
        raise bad(file, "value", f"{place}.{key}", found=shown(given[key]))
    if int(given["num_class"]) > 1:
        raise bad(file, "multiclass", f"{place}.num_class", found=given["num_class"])
    if int(given["num_target"]) > 1:
        raise bad(file, "multitarget", f"{place}.num_target", found=given["num_target"])
    width, base = int(given["num_feature"]), float(match[1])
    if not 1 <= width <= MOST_FEATURES:
        raise bad(file, "range", f"{place}.num_feature", found=width, low=1, high=MOST_FEATURES)
    inside = 0 < base < 1 if objective in LOGIT else base > 0 if objective in EXPONENTIAL else True
    if not inside or abs(base) > LARGEST:
        raise bad(file, "base_score", f"{place}.base_score", found=shown(score), objective=objective)
    return width, {**given, "num_class": "0", "num_target": "1"}


def _features(file: str, learner: Table, width: int) -> tuple[str, ...]:
    """The names, or Column_0, Column_1 … where the model was fitted on a plain array."""
    for key in ("feature_names", "feature_types"):
        words = learner.get(key, [])
        if not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
            raise bad(file, "value", f"learner.{key}", found=shown(words))
        if len(words) not in {0, width}:
            raise bad(file, "names", f"learner.{key}", found=len(words), expected=width)
    types: list[str] = learner.get("feature_types", [])
    names: list[str] = learner.get("feature_names", [])
    odd = set(types) - _TYPES
    if odd:
        raise bad(file, "value", "learner.feature_types", found=shown(min(odd)))
    odd_names = [name for name, count in Counter(names).items() if count > 1 or not name or not name.isprintable()]
    if odd_names:
        raise bad(file, "bad_names", "learner.feature_names", names=", ".join(shown(name) for name in odd_names[:5]))
    return tuple(names) or tuple(f"Column_{i}" for i in range(width))


def _model(file: str, value: object, width: int) -> dict[str, Any]:
    """The trees with their bookkeeping."""
    place = "learner.gradient_booster.model"
    model = table(file, value, place, {"gbtree_model_param", "tree_info", "trees"}, {"cats", "iteration_indptr"})
    if any(np.size(part) for part in table(file, model.get("cats", {}), f"{place}.cats", (), _NO_CATEGORIES).values()):
        raise bad(file, "pandas_categories", f"{place}.cats")
    counts = table(
        file,
        model["gbtree_model_param"],
        f"{place}.gbtree_model_param",
        {"num_parallel_tree", "num_trees"},
        {"size_leaf_vector"},
    )
    trees = model["trees"]
    if not isinstance(trees, list) or not trees:
        raise bad(file, "no_trees", f"{place}.trees")
    if counts["num_trees"] != str(len(trees)):
        raise bad(
            file, "tree_count", f"{place}.gbtree_model_param", found=len(trees), expected=shown(counts["num_trees"])
        )
    if not (isinstance(parallel := counts["num_parallel_tree"], str) and _WHOLE.fullmatch(parallel) and int(parallel)):
        raise bad(file, "value", f"{place}.gbtree_model_param.num_parallel_tree", found=shown(parallel))
    starts = model.get("iteration_indptr", list(range(0, len(trees) + 1, int(parallel))))
    whole = isinstance(starts, list) and len(starts) > 1 and all(map(is_whole, starts))
    if not whole or starts[0] or starts[-1] != len(trees) or starts != sorted(set(starts)):
        raise bad(file, "value", f"{place}.iteration_indptr", found=shown(starts))
    if model["tree_info"] != [0] * len(trees):
        raise bad(file, "value", f"{place}.tree_info", found=shown(model["tree_info"]))
    return {
        "cats": _NO_CATEGORIES,
        "gbtree_model_param": {"num_parallel_tree": parallel, "num_trees": str(len(trees))},
        "iteration_indptr": starts,
        "tree_info": [0] * len(trees),
        "trees": checked_trees(file, f"{place}.trees", trees, width),
    }


def _weights(file: str, booster: Table, model: Table) -> list[float]:
    """DART's weight of each tree."""
    weights = booster["weight_drop"]
    numbers = isinstance(weights, list) and all(isinstance(w, int | float) and abs(w) < 2**100 for w in weights)
    if not numbers or len(weights) != len(model["trees"]):
        raise bad(file, "value", "learner.gradient_booster.weight_drop", found=shown(weights))
    return [float(weight) for weight in weights]


def _rounds(file: str, attributes: object, rounds: int) -> int:
    given = attributes if isinstance(attributes, dict) else {}
    best = given.get("best_iteration")
    if best is None or "scikit_learn" not in given:
        return rounds
    if not (isinstance(best, str) and _WHOLE.fullmatch(best) and int(best) < rounds):
        raise bad(file, "value", "learner.attributes.best_iteration", found=shown(best))
    return int(best) + 1
