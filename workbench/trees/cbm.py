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
LEAVES, WEIGHTS, STEPS, LEAF_OF_NODE, TEXTS, BINS, EMBEDDINGS = 8, 9, 10, 11, 12, 17, 18
HAS_GAPS, FLAT_INDEX, BORDERS, NAME = 0, 2, 3, 4
BORDERS_A_BIN = 254
DOCUMENTS = {"params", "training", "output_options"}

Table = dict[int, int]


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
    borders = [len(buffer.array(each, BORDERS, "<f4")) for each in floats]
    _check_trees(buffer, trees, np.array(borders))
    gaps = any(HAS_GAPS in each and buffer.number("<B", each[HAS_GAPS]) for each in floats)
    symmetric = not len(buffer.array(trees, STEPS, "<u2"))
    return CatBoostFile(content, _names(file, buffer, floats), len(buffer.array(trees, DEPTHS, "<i4")), gaps, symmetric)


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
        and len(bins) in {0, len(splits)}
        and bool((bins[:, 0] < (-(-borders // BORDERS_A_BIN)).sum()).all())
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
    if not inside.all() or not (leaf_of[last] < len(leaves)).all():
        raise ValueError


class _Buffer:
    """A FlatBuffer; what lies outside of it is a `struct.error` or a `ValueError`."""

    def __init__(self, content: bytes) -> None:
        self.content, self.size = content, len(content)

    def number(self, code: str, at: int) -> Any:
        if at < 0:
            raise ValueError
        return struct.unpack_from(code, self.content, at)[0]

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
