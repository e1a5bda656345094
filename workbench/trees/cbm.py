"""CatBoost's binary model file, read and checked as far as its features and trees go, without CatBoost.

The file is "CBM1", a length, and a FlatBuffer (google.github.io/flatbuffers, "internals") whose tables catboost/libs/model/flatbuffers
declares. Every offset is held against the file before it is followed; of the tables only those are read whose numbers the library
takes on trust.
"""

import json
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.foreign import shown
from workbench.model_file import content_of
from workbench.schema import BadInputError, Fault

LARGEST_MB = 256
MOST_FEATURES = 100_000
DEEPEST = 16  # the library's own bound for symmetric trees
# Fields of the tables, by their number in the declaration.
FORMAT, TREES, FACTS = 0, 1, 2
KEY, VALUE = 0, 1
DIMENSION, SPLITS, DEPTHS, STARTS, CATEGORICAL, FLOAT = range(6)
LEAVES, WEIGHTS, STEPS, LEAF_OF_NODE, TEXTS = 8, 9, 10, 11, 12
SCALE, BIAS, BIASES, BINS, EMBEDDINGS = 14, 15, 16, 17, 18
HAS_GAPS, FLAT_INDEX, BORDERS, NAME, GAPS = 0, 2, 3, 4, 5
GAPS_ARE_LARGEST = 2  # of GAPS; with the others no border is below a missing value
BORDERS_A_BIN = 254
DOCUMENTS = {"params", "training", "output_options"}

Table = dict[int, int]


@dataclass(frozen=True)
class Splits:
    """The trees one after the other, as the file has them: S questions, L leaves; a row answers yes where it is above the border.

    A tree begins at `starts` and has `depths` questions: one a level, the first for the lowest bit of a leaf's number and the last the root's, or, where it is
    not symmetric, one a node: `steps` (S, 2) lead on to the nodes for no and yes, a 0 to the leaf `leaf_of` the node.
    """

    feature: NDArray[np.int64]
    border: NDArray[np.float32]
    starts: NDArray[np.int64]
    depths: NDArray[np.int64]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    steps: NDArray[np.uint16]
    leaf_of: NDArray[np.uint32]
    scale: float
    bias: float
    gaps_are_largest: NDArray[np.bool_]
    """(d,) whether a missing value is above every border of the feature; else it is above none."""


@dataclass(frozen=True)
class CatBoostFile:
    """A checked file: `content` is what the library may read; `learnt_gaps`: a feature had missing values in training.

    `symmetric`: each tree asks one question a level (grow_policy SymmetricTree, the default).
    """

    content: bytes
    features: tuple[str, ...]
    n_trees: int
    learnt_gaps: bool
    symmetric: bool
    splits: Splits


def read_cbm(path: Path) -> CatBoostFile:
    """Read and check a model file; `BadInputError` for whatever is damaged, or more than numbers in and one number out."""
    file = path.name
    content = content_of(path, LARGEST_MB)
    if not content.startswith(b"CBM1"):
        raise _bad(file, "not_this", None)
    try:
        buffer = _Buffer(content[8:])
        if buffer.number("<I", 0) > buffer.size or struct.unpack("<I", content[4:8])[0] > buffer.size:
            raise BadInputError([Fault("fault.model.cut", file)])
        return _checked(file, content, buffer)
    except (struct.error, ValueError, KeyError, RecursionError):
        raise _bad(file, "damaged", None) from None


def _bad(file: str, fault: str, place: str | None, **values: object) -> BadInputError:
    return BadInputError([Fault(f"fault.catboost.{fault}", file, place, values=values)])


def _checked(file: str, content: bytes, buffer: "_Buffer") -> CatBoostFile:
    root = buffer.table(0)
    if buffer.text(root[FORMAT]) != "FlabuffersModel_v1" or TREES not in root:
        raise ValueError
    for fact in buffer.tables(root, FACTS):  # the library's Python part reads them as it loads
        key, value = buffer.text(fact[KEY]), buffer.text(fact[VALUE])
        if key in DOCUMENTS:
            json.loads(value)
    trees = buffer.table(root[TREES])
    for field, kind in ((CATEGORICAL, "categorical"), (TEXTS, "text"), (EMBEDDINGS, "embedding")):
        if len(buffer.tables(trees, field)):
            raise _bad(file, kind, None)
    dimension = buffer.number("<i", trees[DIMENSION])
    if dimension != 1:
        raise _bad(file, "dimension", None, found=dimension)
    if struct.unpack("<I", content[4:8])[0] != buffer.size:
        raise ValueError
    floats = buffer.tables(trees, FLOAT)
    if not 1 <= len(floats) <= MOST_FEATURES:
        raise _bad(file, "features", None, found=len(floats), limit=MOST_FEATURES)
    borders = [buffer.array(each, BORDERS, "<f4") for each in floats]
    if not all(bool((np.diff(each) > 0).all()) for each in borders):
        raise ValueError
    _check_trees(buffer, trees, np.array([len(each) for each in borders]))
    gaps = [bool(buffer.field(each, HAS_GAPS, "<B", 0)) for each in floats]
    largest = [buffer.field(each, GAPS, "<b", 0) == GAPS_ARE_LARGEST for each in floats]
    splits = _splits(buffer, trees, borders, np.array(gaps) & np.array(largest))
    names = _names(file, buffer, floats)
    return CatBoostFile(content, names, len(splits.depths), any(gaps), not len(splits.steps), splits)


def _splits(
    buffer: "_Buffer", trees: Table, borders: list[NDArray[np.float32]], gaps_are_largest: NDArray[np.bool_]
) -> Splits:
    """What `_check_trees` has passed, with each split's number spelt out as a feature and a border."""
    asked = buffer.array(trees, SPLITS, "<i4").astype(np.int64)
    depths = buffer.array(trees, DEPTHS, "<i4").astype(np.int64)
    biases = buffer.array(trees, BIASES, "<f8")
    scale, bias = buffer.field(trees, SCALE, "<d", 1.0), buffer.field(trees, BIAS, "<d", 0.0)
    bias = float(biases[0]) if len(biases) else bias
    if len(biases) > 1 or not np.isfinite([scale, bias]).all():
        raise ValueError
    return Splits(
        feature=np.repeat(np.arange(len(borders)), [len(each) for each in borders])[asked],
        border=np.concatenate(borders)[asked],
        starts=np.cumsum(depths) - depths,
        depths=depths,
        values=buffer.array(trees, LEAVES, "<f8"),
        weights=buffer.array(trees, WEIGHTS, "<f8"),
        steps=buffer.array(trees, STEPS, "<u2").reshape(-1, 2),
        leaf_of=buffer.array(trees, LEAF_OF_NODE, "<u4"),
        scale=scale,
        bias=bias,
        gaps_are_largest=gaps_are_largest,
    )


def _names(file: str, buffer: "_Buffer", floats: list[Table]) -> tuple[str, ...]:
    """The features in the order of the columns; Column_0, Column_1 … where the model was fitted on a plain array."""
    at = [buffer.number("<i", each[FLAT_INDEX]) for each in floats]
    if at != list(range(len(floats))):
        raise _bad(file, "columns", None, count=len(floats))
    names = [buffer.text(each[NAME]) if NAME in each else "" for each in floats]
    if not any(names):
        return tuple(f"Column_{i}" for i in range(len(floats)))
    odd = [name for name, count in Counter(names).items() if count > 1 or not name or not name.isprintable()]
    if odd:
        raise _bad(file, "bad_names", None, names=", ".join(shown(name) for name in odd[:5]))
    return tuple(names)


def _check_trees(buffer: "_Buffer", trees: Table, borders: NDArray[np.int64]) -> None:
    """Every split, bin and leaf that a row may come by is there; ValueError if not."""
    splits, depths = buffer.array(trees, SPLITS, "<i4"), buffer.array(trees, DEPTHS, "<i4").astype(np.int64)
    steps, leaf_of = buffer.array(trees, STEPS, "<u2").reshape(-1, 2), buffer.array(trees, LEAF_OF_NODE, "<u4")
    leaves, weights = buffer.array(trees, LEAVES, "<f8"), buffer.array(trees, WEIGHTS, "<f8")
    bins = buffer.array(trees, BINS, "<u2").reshape(-1, 2)
    starts = np.cumsum(depths) - depths
    fine = (
        len(depths) > 0
        and bool((depths >= 0).all())
        and depths.sum() == len(splits)
        and np.array_equal(starts, buffer.array(trees, STARTS, "<i4"))
        and bool(((splits >= 0) & (splits < borders.sum())).all())
        and bool(np.isfinite(leaves).all() and np.isfinite(weights).all() and (weights >= 0).all())
        and len(weights) in {0, len(leaves)}
        and (not len(bins) or np.array_equal(bins, _bins(splits, borders)))
    )
    if not fine:
        raise ValueError
    if not len(steps):
        if depths.max() > DEEPEST or (1 << depths).sum() != len(leaves):
            raise ValueError
        return
    if len(steps) != len(splits) or len(leaf_of) != len(splits):
        raise ValueError
    ends = np.repeat(starts + depths, depths)
    inside = np.arange(len(steps)) + steps.max(axis=1) < ends
    last = (steps == 0).any(axis=1)
    targets = (np.arange(len(steps))[:, None] + steps)[steps > 0]
    one_parent = bool((np.bincount(np.concatenate([targets, starts])) == 1).all())
    if not inside.all() or not one_parent or not (leaf_of[last] < len(leaves)).all():
        raise ValueError


def _bins(splits: NDArray[np.int32], borders: NDArray[np.int64]) -> NDArray[np.int64]:
    """The splits once more, as the library's evaluator reads them: a block of a feature's borders, and a count of them in a high byte."""
    blocks = -(-borders // BORDERS_A_BIN)
    feature = np.repeat(np.arange(len(borders)), borders)[splits]
    own = splits - (np.cumsum(borders) - borders)[feature]
    block = (np.cumsum(blocks) - blocks)[feature] + own // BORDERS_A_BIN
    return np.column_stack([block, (own % BORDERS_A_BIN + 1) << 8])


class _Buffer:
    """A FlatBuffer; what lies outside of it is a `struct.error` or a `ValueError`."""

    def __init__(self, content: bytes) -> None:
        self.content, self.size = content, len(content)

    def number(self, code: str, at: int) -> Any:
        if at < 0:
            raise ValueError
        return struct.unpack_from(code, self.content, at)[0]

    def field(self, table: Table, field: int, code: str, default: Any) -> Any:
        """A table's number; the default where it is absent."""
        return self.number(code, table[field]) if field in table else default

    def follow(self, at: int) -> int:
        """Where the offset at `at` leads."""
        return at + int(self.number("<I", at))

    def table(self, at: int) -> Table:
        """Field number -> position of its value, for the fields that the table behind the offset at `at` has."""
        start = self.follow(at)
        directory = start - self.number("<i", start)
        n = (self.number("<H", directory) - 4) // 2
        fields = (self.number("<H", directory + 4 + 2 * i) for i in range(n))
        return {i: start + offset for i, offset in enumerate(fields) if offset}

    def vector(self, at: int) -> tuple[int, int]:
        """Where the elements begin, and how many there are."""
        start = self.follow(at)
        count = int(self.number("<I", start))
        if count > self.size - start:
            raise ValueError
        return start + 4, count

    def text(self, at: int) -> str:
        start, count = self.vector(at)
        return self.content[start : start + count].decode()

    def tables(self, table: Table, field: int) -> list[Table]:
        """The tables that a field lists; none where it is absent."""
        start, count = self.vector(table[field]) if field in table else (0, 0)
        if count > MOST_FEATURES:
            raise ValueError
        return [self.table(start + 4 * i) for i in range(count)]

    def array(self, table: Table, field: int, code: str) -> NDArray[Any]:
        """The numbers that a field lists; two numbers an element for the fields of small structs."""
        start, count = self.vector(table[field]) if field in table else (0, 0)
        return np.frombuffer(self.content, code, count * (2 if field in {STEPS, BINS} else 1), start)
