"""LightGBM's text format, read and checked without LightGBM.

The library aborts the whole process on about half of all slightly damaged files (its loader throws inside an OpenMP region), so
nothing reaches it that was not checked here: header, lengths, index ranges, tree shape, finite numbers.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.schema import BadInputError, Fault, Floats

LARGEST = 256 * 2**20
DEEPEST = 1000  # TreeSHAP's scratch space grows with the square of the depth
MOST_FAULTS = 20

OBJECTIVES = [
    "regression",
    "regression_l1",
    "huber",
    "fair",
    "poisson",
    "quantile",
    "mape",
    "gamma",
    "tweedie",
    "binary",
    "cross_entropy",
    "cross_entropy_lambda",
    "lambdarank",
    "rank_xendcg",
]

_REAL = re.compile(r"(?:-?\d++(?:\.\d++)?+(?:e[+-]?\d++)?+(?: (?!$)|$))*+")
_GAIN = re.compile(r"(?:-?(?:\d++(?:\.\d++)?+(?:e[+-]?\d++)?+|inf|nan)(?: (?!$)|$))*+")
_WHOLE = re.compile(r"(?:-?\d{1,10}+(?: (?!$)|$))*+")
_OBJECTIVE = re.compile(rf"(?:{'|'.join(OBJECTIVES)})(?: sqrt| sigmoid:(?=[0-9.]*[1-9])\d+(?:\.\d+)?(?:e[+-]?\d+)?)?")
_PARAMETER = re.compile(r"\[([a-z0-9_]+): ?(.*)\]")

_NODES = {
    "split_feature": _WHOLE,
    "threshold": _REAL,
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
_OPTIONAL = {"split_gain", "internal_value", "internal_weight", "leaf_weight", "is_linear", *_CATEGORIES}
_TREE_KEYS = {**_NODES, **_LEAVES, **_SCALARS, **_CATEGORIES}

_HEADER = [
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "feature_names",
    "feature_infos",
    "tree_sizes",
]
_HEADER_OPTIONAL = ("objective", "monotone_constraints", "average_output")

Section = dict[str, str]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class CheckedText:
    """A model file that holds what it says: `text` is what the library may read (header and trees), `parameters` how it was fitted."""

    text: str
    features: tuple[str, ...]
    n_trees: int
    objective: str | None
    parameters: Mapping[str, str]


def read(path: Path) -> CheckedText:
    """Check a model file without the library; raises `BadInputError` with the place of each fault (at most 20)."""
    text = _text(path)
    head, body, tail = _cut(path, text)
    faults: list[Fault] = []
    header = _header(path.name, head, faults)
    _stop(faults)
    features = _names(path.name, header, faults)
    trees = _sections(path.name, body, faults)
    parameters = _parameters(path.name, tail, faults)
    _stop(faults)
    _Forest(path.name, trees, len(features)).check()
    _sizes(path.name, header["tree_sizes"], body, len(trees))
    objective = header.get("objective")
    return CheckedText(f"{head}{body}end of trees\n", features, len(trees), objective, parameters)


def _stop(faults: Sequence[Fault]) -> None:
    if faults:
        raise BadInputError(faults[:MOST_FAULTS])


def _shown(text: str) -> str:
    """Foreign text as it may stand in a message: one line, bounded."""
    return ascii(text)[1:-1] if len(text) <= 60 and not text.isprintable() else text[:60]  # noqa: PLR2004


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise BadInputError([Fault("fault.model.large", path.name, values={"limit_mb": LARGEST >> 20})])
    content = path.read_bytes()
    if not content.strip():
        raise BadInputError([Fault("fault.model.empty", path.name)])
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        text = ""
    if not text.startswith("tree\n"):
        raise BadInputError([Fault("fault.lightgbm.not_this", path.name, "line 1")])
    return text


def _cut(path: Path, text: str) -> tuple[str, str, str]:
    """Head, trees and tail of a model file, which must be there to the end."""
    start, end = text.find("\nTree=0\n") + 1, text.rfind("\nend of trees\n") + 1
    if not end or "\nend of parameters\n" not in text[end:]:
        last = text.rstrip("\n").count("\n") + 1
        raise BadInputError([Fault("fault.model.cut", path.name, f"line {last}")])
    if not 0 < start < end:
        raise BadInputError([Fault("fault.lightgbm.no_trees", path.name)])
    return text[:start], text[start:end], text[end + len("end of trees\n") :]


def _header(file: str, head: str, faults: list[Fault]) -> Section:
    header: Section = {}
    for number, line in enumerate(head.split("\n")[1:], start=2):
        key, _, value = line.partition("=")
        if key in header or (line and key not in (*_HEADER, *_HEADER_OPTIONAL)):
            faults.append(Fault("fault.lightgbm.line", file, f"line {number}", values={"line": _shown(line)}))
        elif line:
            header[key] = value
    faults += [Fault("fault.lightgbm.missing", file, key, values={"key": key}) for key in _HEADER if key not in header]
    if faults:
        return header
    if header["version"] not in ("v3", "v4"):
        faults.append(Fault("fault.lightgbm.version", file, "version", values={"found": _shown(header["version"])}))
    if (header["num_class"], header["num_tree_per_iteration"]) != ("1", "1"):
        found = _shown(header["num_class"])
        faults.append(Fault("fault.lightgbm.multiclass", file, "num_class", values={"found": found}))
    elif "objective" in header and not _OBJECTIVE.fullmatch(header["objective"]):
        values = {"found": _shown(header["objective"]), "known": ", ".join(OBJECTIVES)}
        faults.append(Fault("fault.lightgbm.objective", file, "objective", values=values))
    for key in ("label_index", "max_feature_idx", "tree_sizes", "monotone_constraints"):
        if not _WHOLE.fullmatch(header.get(key, "0")) or header.get(key) == "":
            values = {"found": _shown(header[key])}
            faults.append(Fault("fault.lightgbm.number", file, key, values=values))
    if header.get("average_output"):
        faults.append(
            Fault("fault.lightgbm.line", file, "average_output", values={"line": _shown(header["average_output"])})
        )
    return header


def _names(file: str, header: Section, faults: list[Fault]) -> tuple[str, ...]:
    names, expected = tuple(header["feature_names"].split(" ")), int(header["max_feature_idx"]) + 1
    for key in ("feature_names", "feature_infos", "monotone_constraints"):
        found = header[key].count(" ") + 1 if key in header else expected
        if found != expected:
            values = {"found": found, "expected": expected}
            faults.append(Fault("fault.lightgbm.names", file, key, values=values))
    bad = (
        sorted({name for name in names if names.count(name) > 1 or not name or not name.isprintable()})
        if not faults
        else []
    )
    if bad:
        values = {"names": ", ".join(_shown(name) for name in bad[:5])}
        faults.append(Fault("fault.lightgbm.bad_names", file, "feature_names", values=values))
    return names


def _sections(file: str, body: str, faults: list[Fault]) -> list[Section]:
    """The `Tree=` sections, line by line; each key once, known, and a number or numbers."""
    trees: list[Section] = []
    for line in filter(None, body.split("\n")):
        key, _, value = line.partition("=")
        place = f"Tree={len(trees) - 1} {key}"
        if line == f"Tree={len(trees)}":
            trees.append({})
        elif key == "is_linear" and value == "1":
            faults.append(Fault("fault.lightgbm.linear_tree", file, place))
            return trees
        elif key not in _TREE_KEYS or key in trees[-1]:
            place = f"Tree={len(trees) - 1}"
            faults.append(Fault("fault.lightgbm.line", file, place, values={"line": _shown(line)}))
        else:
            trees[-1][key] = value
            if not _TREE_KEYS[key].fullmatch(value) or (key in _SCALARS and (" " in value or not value)):
                faults.append(Fault("fault.lightgbm.number", file, place, values={"found": _shown(_odd(key, value))}))
    for i, tree in enumerate(trees):
        missing = [key for key in _TREE_KEYS if key not in tree and key not in _OPTIONAL]
        faults += [Fault("fault.lightgbm.missing", file, f"Tree={i}", values={"key": key}) for key in missing]
    return trees


def _odd(key: str, value: str) -> str:
    return next((word for word in value.split(" ") if not word or not _TREE_KEYS[key].fullmatch(word)), value)


def _sizes(file: str, sizes: str, body: str, found: int) -> None:
    """`tree_sizes` are the bytes of each section: the library jumps by them."""
    expected = [int(size) for size in sizes.split(" ")]
    if len(expected) != found:
        values: dict[str, object] = {"found": found, "expected": len(expected)}
        raise BadInputError([Fault("fault.lightgbm.tree_count", file, "tree_sizes", values=values)])
    at = [body.find(f"Tree={i}\n") for i in range(found)] if found < 2 else _starts(body)  # noqa: PLR2004
    lengths = np.diff([*at, len(body)])
    for i, (length, size) in enumerate(zip(lengths.tolist(), expected, strict=True)):
        if length != size:
            values = {"found": length, "expected": size}
            raise BadInputError([Fault("fault.lightgbm.tree_size", file, f"Tree={i}", values=values)])


def _starts(body: str) -> list[int]:
    return [match.start() for match in re.finditer(r"^Tree=", body, re.MULTILINE)]


def _parameters(file: str, tail: str, faults: list[Fault]) -> dict[str, str]:
    inside, _, rest = tail.partition("parameters:\n")[2].partition("\nend of parameters\n")
    parameters: dict[str, str] = {}
    for line in filter(None, inside.split("\n")):
        match = _PARAMETER.fullmatch(line)
        if match is None or not line.isprintable():
            faults.append(Fault("fault.lightgbm.line", file, "parameters", values={"line": _shown(line)}))
        else:
            parameters[match[1]] = match[2]
    for line in filter(None, rest.split("\n")):
        key, _, value = line.partition(":")
        try:
            categories = json.loads(value) if key == "pandas_categorical" else None
        except ValueError:
            key = ""
        if key != "pandas_categorical":
            faults.append(Fault("fault.model.cut", file, "pandas_categorical"))
        elif categories:
            faults.append(Fault("fault.lightgbm.pandas_categories", file, "pandas_categorical"))
    return parameters


class _Forest:
    """All trees as flat arrays, so that each check is one vector operation over the whole model."""

    def __init__(self, file: str, trees: Sequence[Section], n_features: int) -> None:
        self.file, self.trees, self.n_features = file, trees, n_features
        self.faults: list[Fault] = []

    def check(self) -> None:
        """Raise `BadInputError` unless lengths, index ranges, tree shapes and categories hold."""
        self.leaves = self._scalar("num_leaves", 1)
        self.categories = self._scalar("num_cat", 0)
        _stop(self.faults)
        self._lengths()
        _stop(self.faults)
        self.nodes = self.leaves - 1
        self.tree_of = np.repeat(np.arange(len(self.trees)), self.nodes)
        self.node_start = np.concatenate([[0], np.cumsum(self.nodes)])
        self._finite()
        self._ranges()
        self._categories()
        _stop(self.faults)
        self._shape()
        _stop(self.faults)

    def _add(self, key: str, tree: int, place: str, **values: object) -> None:
        self.faults.append(Fault(f"fault.lightgbm.{key}", self.file, f"Tree={tree} {place}", values=values))

    def _scalar(self, key: str, least: int) -> Whole:
        values = np.array([int(tree[key]) for tree in self.trees])
        for i in np.flatnonzero(values < least):
            self._add("number", int(i), key, found=int(values[i]))
        return values

    def _lengths(self) -> None:
        for i, (tree, leaves, cats) in enumerate(zip(self.trees, self.leaves, self.categories, strict=True)):
            sizes = dict.fromkeys(_NODES, leaves - 1) | dict.fromkeys(_LEAVES, leaves)
            sizes["cat_boundaries"] = cats + 1 if cats else 0
            for key, size in sizes.items():
                line = tree.get(key, "")
                found = line.count(" ") + 1 if line else 0
                absent = (key in _OPTIONAL and key not in tree) or (key == "leaf_weight" and leaves == 1 and not found)
                if found != size and not (absent and key != "cat_boundaries"):
                    self._add("length", i, key, found=found, expected=int(size), leaves=int(leaves))
                    break

    def _flat(self, key: str) -> Floats:
        return np.array(" ".join(filter(None, (tree.get(key, "") for tree in self.trees))).split(), np.float64)

    def _whole(self, key: str) -> Whole:
        return self._flat(key).astype(np.int64)

    def _finite(self) -> None:
        starts = np.concatenate([[0], np.cumsum(self.leaves)])
        for key in ("leaf_value", "threshold", "shrinkage"):
            offsets = {"leaf_value": starts, "threshold": self.node_start}.get(key, np.arange(len(self.trees) + 1))
            for at in np.flatnonzero(~np.isfinite(self._flat(key))):
                self._add("number", int(np.searchsorted(offsets, at, side="right") - 1), key, found="inf")

    def _ranges(self) -> None:
        limits = {"split_feature": (0, self.n_features - 1), "decision_type": (0, 11), "internal_count": (1, 2**31 - 1)}
        for key, (low, high) in limits.items():
            values = self._whole(key)
            for at in np.flatnonzero((values < low) | (values > high)):
                self._add("range", int(self.tree_of[at]), key, found=int(values[at]), low=low, high=high)
        counts, tree_of = self._whole("leaf_count"), np.repeat(np.arange(len(self.trees)), self.leaves)
        for at in np.flatnonzero((counts < 1) | (counts >= 2**31)):
            self._add("range", int(tree_of[at]), "leaf_count", found=int(counts[at]), low=1, high=2**31 - 1)

    def _categories(self) -> None:
        """A categorical node's threshold is an index into its tree's bit sets."""
        threshold, categorical = self._flat("threshold"), self._whole("decision_type") % 2 == 1
        with np.errstate(invalid="ignore"):
            inside = (threshold >= 0) & (threshold < self.categories[self.tree_of]) & (threshold % 1 == 0)
        for at in np.flatnonzero(categorical & ~inside):
            tree = int(self.tree_of[at])
            high = int(self.categories[tree]) - 1
            self._add("range", tree, "threshold", found=float(threshold[at]), low=0, high=high)
        for i in np.flatnonzero(self.categories):
            tree = self.trees[i]
            bounds = np.array(tree["cat_boundaries"].split(), np.int64)
            words = np.array(tree.get("cat_threshold", "").split(), np.int64)
            rising = bounds[0] == 0 and bool((np.diff(bounds) > 0).all())
            if not (rising and bounds[-1] == len(words) and ((words >= 0) & (words < 2**32)).all()):
                self._add("categories", int(i), "cat_boundaries")

    def _shape(self) -> None:
        """Each node and leaf has exactly one parent, which stands before it, and no path is too deep."""
        start = self.node_start[:-1][self.tree_of]
        own = np.arange(len(start)) - start
        leaf_start = np.concatenate([[0], np.cumsum(self.leaves)])[:-1][self.tree_of]
        targets = []
        for key in ("left_child", "right_child"):
            child = self._whole(key)
            inside = np.where(
                child >= 0, (child > own) & (child < self.nodes[self.tree_of]), ~child < self.leaves[self.tree_of]
            )
            for at in np.flatnonzero(~inside):
                self._add("child", int(self.tree_of[at]), key, node=int(own[at]), found=int(child[at]))
            targets.append(np.where(child >= 0, start + child, len(start) + leaf_start + ~child))
        _stop(self.faults)
        left, right = targets
        parents = np.bincount(np.concatenate(targets), minlength=len(start) + int(self.leaves.sum()))
        expected = np.ones_like(parents)
        expected[self.node_start[:-1][self.nodes > 0]] = 0
        stumps = np.flatnonzero(self.nodes == 0)
        expected[len(start) + np.concatenate([[0], np.cumsum(self.leaves)])[stumps]] = 0
        for at in np.flatnonzero((parents != expected)[: len(start)]):
            self._add("parents", int(self.tree_of[at]), "left_child", node=int(own[at]), found=int(parents[at]))
        _stop(self.faults)
        frontier = self.node_start[:-1][self.nodes > 0]
        for _ in range(DEEPEST):
            frontier = np.concatenate([left[frontier], right[frontier]])
            frontier = frontier[frontier < len(start)]
            if not frontier.size:
                return
        self._add("deep", int(self.tree_of[frontier[0]]), "left_child", limit=DEEPEST)
