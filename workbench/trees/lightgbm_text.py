"""LightGBM's text format, read and checked without LightGBM.

The library aborts the whole process on about half of all slightly damaged files (its loader throws inside an OpenMP region), so
nothing reaches it that was not checked here and in `forest.py`: header, sections, lengths, sizes; index ranges, tree shape.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from workbench.foreign import shown
from workbench.model_file import content_of
from workbench.schema import BadInputError, Fault
from workbench.trees.forest import Forest

LARGEST_MB = 256
MOST_FAULTS = 20
RANKINGS = ("lambdarank", "rank_xendcg")
OBJECTIVES = (
    *("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie"),
    *("binary", "cross_entropy", "cross_entropy_lambda"),
    *RANKINGS,
)

# Just what the library writes: whatever else its own number parser meets ends in an abort.
_REAL = re.compile(r"(?:-?\d++(?:\.\d++)?+(?:e[+-]?\d++)?+(?: (?!$)|$))*+")
# A split that parts only missing from present has the threshold inf; a gain may overflow.
_LIMIT = re.compile(r"(?:-?(?:\d++(?:\.\d++)?+(?:e[+-]?\d++)?+|inf)(?: (?!$)|$))*+")
_GAIN = re.compile(r"(?:-?(?:\d++(?:\.\d++)?+(?:e[+-]?\d++)?+|inf|nan)(?: (?!$)|$))*+")
_WHOLE = re.compile(r"(?:-?\d{1,10}+(?: (?!$)|$))*+")
_OBJECTIVE = re.compile(rf"(?:{'|'.join(OBJECTIVES)})(?: sqrt| sigmoid:(?=[0-9.]*[1-9])\d+(?:\.\d+)?(?:e[+-]?\d+)?)?")
_PARAMETER = re.compile(r"\[([a-z0-9_]+): ?(.*)\]")

_NODES = {
    "split_feature": _WHOLE,
    "threshold": _LIMIT,
    "decision_type": _WHOLE,
    "left_child": _WHOLE,
    "right_child": _WHOLE,
    "internal_count": _WHOLE,
    "split_gain": _GAIN,
    "internal_value": _REAL,
    "internal_weight": _REAL,
}
_LEAVES = {"leaf_value": _REAL, "leaf_count": _WHOLE, "leaf_weight": _REAL}
_SCALARS = {"num_leaves": _WHOLE, "num_cat": _WHOLE, "is_linear": _WHOLE, "shrinkage": _REAL}
_CATEGORIES = {"cat_boundaries": _WHOLE, "cat_threshold": _WHOLE}
_TREE_KEYS = {**_NODES, **_LEAVES, **_SCALARS, **_CATEGORIES}
_OPTIONAL = {"split_gain", "internal_value", "internal_weight", "leaf_weight", "is_linear", *_CATEGORIES}

_HEADER_WHOLE = ("num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "tree_sizes")
_HEADER = ("version", "feature_names", "feature_infos", *_HEADER_WHOLE)
_HEADER_OPTIONAL = ("objective", "monotone_constraints", "average_output")

Section = dict[str, str]


@dataclass(frozen=True)
class ModelText:
    """A model file taken apart: `text` is what the library may read (header and trees), `trees` its sections, key for key.

    `averaged`: the output is the mean of the trees (boosting rf), not their sum.
    """

    file: str
    text: str
    features: tuple[str, ...]
    trees: tuple[Section, ...]
    sizes: tuple[int, ...]
    objective: str | None
    parameters: Mapping[str, str]
    averaged: bool

    @cached_property
    def forest(self) -> Forest:
        """The trees as flat arrays, read when they are first asked for."""
        return Forest(self.file, self.trees)


def read_text(path: Path) -> ModelText:
    """Read a model file and check it line by line; raises `BadInputError` with the place of each fault (at most 20)."""
    file = path.name
    head, body, tail = _cut(file, _text(path))
    faults: list[Fault] = []
    header = _header(file, head, faults)
    _stop(faults)
    _check_header(file, header, faults)
    _stop(faults)
    features = _names(file, header, faults)
    trees = _sections(file, body, faults)
    parameters = _parameters(file, tail, faults)
    _stop(faults)
    for i, tree in enumerate(trees):
        _lengths(file, i, tree, faults)
    _stop(faults)
    sizes = tuple(int(size) for size in header["tree_sizes"].split(" "))
    text = f"{head}{body}end of trees\n"
    averaged = "average_output" in header
    return ModelText(file, text, features, tuple(trees), sizes, header.get("objective"), parameters, averaged)


def check_sizes(model: ModelText) -> None:
    """`tree_sizes` must be the bytes of each section: the library jumps by them. Asked last, as any edit breaks them."""
    if len(model.sizes) != len(model.trees):
        values = {"found": len(model.trees), "expected": len(model.sizes)}
        raise BadInputError([Fault("fault.lightgbm.tree_count", model.file, "tree_sizes", values=values)])
    starts = [match.end() - len("Tree=") for match in re.finditer("\nTree=", model.text)]
    found = [end - start for start, end in pairwise([*starts, len(model.text) - len("end of trees\n")])]
    _stop(
        [
            Fault("fault.lightgbm.tree_size", model.file, f"Tree={i}", values={"found": size, "expected": expected})
            for i, (size, expected) in enumerate(zip(found, model.sizes, strict=True))
            if size != expected
        ]
    )


def _stop(faults: Sequence[Fault]) -> None:
    if faults:
        raise BadInputError(faults[:MOST_FAULTS])


def _text(path: Path) -> str:
    content = content_of(path, LARGEST_MB)
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        text = ""
    if not text.startswith("tree\n"):
        raise BadInputError([Fault("fault.lightgbm.not_this", path.name, "line 1")])
    return text


def _cut(file: str, text: str) -> tuple[str, str, str]:
    """Head, trees and tail of a model file, which must be there to the end."""
    start, end = text.find("\nTree=0\n") + 1, text.rfind("\nend of trees\n") + 1
    if not end or "\nend of parameters\n" not in text[end:]:
        last = text.rstrip("\n").count("\n") + 1
        raise BadInputError([Fault("fault.model.cut", file, f"line {last}")])
    if not 0 < start < end:
        raise BadInputError([Fault("fault.lightgbm.no_trees", file)])
    return text[:start], text[start:end], text[end + len("end of trees\n") :]


def _header(file: str, head: str, faults: list[Fault]) -> Section:
    header: Section = {}
    for number, line in enumerate(head.split("\n")[1:], start=2):
        key, _, value = line.partition("=")
        if line and (
            key in header or key not in _HEADER + _HEADER_OPTIONAL or (key == "average_output" and line != key)
        ):
            faults.append(Fault("fault.lightgbm.line", file, f"line {number}", values={"line": shown(line)}))
        elif line:
            header[key] = value
    faults += [Fault("fault.lightgbm.missing", file, key, values={"key": key}) for key in _HEADER if key not in header]
    return header


def _check_header(file: str, header: Section, faults: list[Fault]) -> None:
    whole = {key: header[key] for key in (*_HEADER_WHOLE, "monotone_constraints") if key in header}
    faults += [
        Fault("fault.lightgbm.number", file, key, values={"found": shown(value)})
        for key, value in whole.items()
        if not value or not _WHOLE.fullmatch(value)
    ]
    if header["version"] not in ("v3", "v4"):
        faults.append(Fault("fault.lightgbm.version", file, "version", values={"found": shown(header["version"])}))
    if header["num_class"] != "1" or header["num_tree_per_iteration"] != "1":
        values = {"found": shown(header["num_class"])}
        faults.append(Fault("fault.lightgbm.multiclass", file, "num_class", values=values))
    elif not _OBJECTIVE.fullmatch(header.get("objective", OBJECTIVES[0])):
        values = {"found": shown(header["objective"]), "known": ", ".join(OBJECTIVES)}
        faults.append(Fault("fault.lightgbm.objective", file, "objective", values=values))


def _names(file: str, header: Section, faults: list[Fault]) -> tuple[str, ...]:
    names, expected = tuple(header["feature_names"].split(" ")), header["max_feature_idx"]
    found = {
        key: header[key].count(" ")
        for key in ("feature_names", "feature_infos", "monotone_constraints")
        if key in header
    }
    faults += [
        Fault("fault.lightgbm.names", file, key, values={"found": blanks + 1, "last": expected})
        for key, blanks in found.items()
        if str(blanks) != expected
    ]
    bad = [name for name, count in Counter(names).items() if count > 1 or not name or not name.isprintable()]
    if bad:
        values = {"names": ", ".join(shown(name) for name in bad[:5])}
        faults.append(Fault("fault.lightgbm.bad_names", file, "feature_names", values=values))
    return names


def _sections(file: str, body: str, faults: list[Fault]) -> list[Section]:
    """The `Tree=` sections, line by line; each key known, once, and a number or numbers."""
    trees: list[Section] = []
    for line in filter(None, body.split("\n")):
        key, _, value = line.partition("=")
        if line == f"Tree={len(trees)}":
            trees.append({})
            continue
        section = f"Tree={len(trees) - 1}"
        if key == "is_linear" and value == "1":
            faults.append(Fault("fault.lightgbm.linear_tree", file, f"{section} is_linear"))
            return trees
        if key not in _TREE_KEYS or key in trees[-1]:
            faults.append(Fault("fault.lightgbm.line", file, section, values={"line": shown(line)}))
        elif not _TREE_KEYS[key].fullmatch(value) or (key in _SCALARS and (not value or " " in value)):
            values = {"found": shown(_odd(key, value))}
            faults.append(Fault("fault.lightgbm.number", file, f"{section} {key}", values=values))
        trees[-1][key] = value
    for i, tree in enumerate(trees):
        missing = [key for key in _TREE_KEYS if key not in tree and key not in _OPTIONAL]
        faults += [Fault("fault.lightgbm.missing", file, f"Tree={i}", values={"key": key}) for key in missing]
    return trees


def _odd(key: str, value: str) -> str:
    return next((word for word in value.split(" ") if not word or not _TREE_KEYS[key].fullmatch(word)), value)


def _lengths(file: str, i: int, tree: Section, faults: list[Fault]) -> None:
    """Each array of a tree is as long as `num_leaves` and `num_cat` say."""
    leaves, categories = int(tree["num_leaves"]), int(tree["num_cat"])
    for key, value, least in (("num_leaves", leaves, 1), ("num_cat", categories, 0)):
        if value < least:
            faults.append(Fault("fault.lightgbm.number", file, f"Tree={i} {key}", values={"found": value}))
            return
    sizes = dict.fromkeys(_NODES, leaves - 1) | dict.fromkeys(_LEAVES, leaves)
    sizes["cat_boundaries"] = categories + 1 if categories else 0
    for key, size in sizes.items():
        line = tree.get(key)
        found = line.count(" ") + 1 if line else 0
        absent = (line is None and key in _OPTIONAL - {"cat_boundaries"}) or (key == "leaf_weight" and leaves == 1)
        if found != size and not (absent and not found):
            values = {"found": found, "expected": size, "leaves": leaves}
            faults.append(Fault("fault.lightgbm.length", file, f"Tree={i} {key}", values=values))
            return


def _parameters(file: str, tail: str, faults: list[Fault]) -> dict[str, str]:
    """How the model was fitted, as the file says; categories of pandas, which a table of numbers cannot know, are refused."""
    inside, _, rest = tail.partition("parameters:\n")[2].partition("\nend of parameters\n")
    parameters: dict[str, str] = {}
    for line in filter(None, inside.split("\n")):
        match = _PARAMETER.fullmatch(line)
        if match is None or not line.isprintable():
            faults.append(Fault("fault.lightgbm.line", file, "parameters", values={"line": shown(line)}))
        else:
            parameters[match[1]] = match[2]
    for line in filter(None, rest.split("\n")):
        key, _, value = line.partition(":")
        try:
            categories = json.loads(value)
        except (ValueError, RecursionError):
            key = ""
        if key != "pandas_categorical":
            faults.append(Fault("fault.model.cut", file, "pandas_categorical"))
        elif categories:
            faults.append(Fault("fault.lightgbm.pandas_categories", file, "pandas_categorical"))
    return parameters
