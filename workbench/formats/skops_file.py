"""The container of a skops file: a zip of arrays and a schema.json, read within bounds and without skops.

Nothing of the file is imported, called or built here. `Part` is an object to be: its type by name, which `skops_trust.py` must
list, and its state in plain values and arrays. The worker builds from these parts alone, so no second reader can see another file.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.foreign import shown
from workbench.formats.skops_trust import BOOSTERS, ROLES
from workbench.model_file import content_of
from workbench.schema import BadInputError, Fault

LARGEST_MB = 256
MOST_MEMBERS = 200_000
MOST_UNPACKED = 1 << 30
LARGEST_SCHEMA = 64 << 20
DEEPEST = 40
MOST_FAULTS = 20
SCHEMA = "schema.json"
_SCALARS = ("bool_", "bool", *(f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)))
_PLAIN = ("JsonNode", "NdArrayNode", "ListNode", "TupleNode", "DictNode", "DTypeNode")
# These would call or hand out something of the type that they name.
_ACTING = ("MethodNode", "FunctionNode", "TypeNode", "PartialNode", "OperatorFuncNode", "ConstructorFromReduceNode")


@dataclass(frozen=True)
class Part:
    """An object of the file: its type's full name, its state, and for native parts the arguments that it is made with."""

    kind: str
    place: str
    state: dict[str, Any] = field(default_factory=dict)
    args: tuple[Any, ...] = ()


class Odd(Exception):  # noqa: N818 - becomes a fault at the edge of this room
    """Something that does not belong into such a file, and where it stands."""

    def __init__(self, place: str, found: object) -> None:
        super().__init__(place)
        self.place, self.found = place, found


def read_parts(path: Path) -> Part:
    """The file's outermost object; `BadInputError` with every foreign type by name, or the first other fault."""
    file = path.name
    content = content_of(path, LARGEST_MB)
    if not content.startswith(b"PK"):
        raise BadInputError([Fault("fault.sklearn.not_this", file)])
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _Reader(file, archive).root()
    except (Odd, RecursionError) as odd:
        place, found = (odd.place, odd.found) if isinstance(odd, Odd) else (SCHEMA, "…")
        raise BadInputError([Fault("fault.sklearn.odd", file, place, values={"found": shown(found)})]) from None
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadInputError([Fault("fault.sklearn.container", file, values={"reason": shown(error, 100)})]) from None


class _Reader:
    """One archive being read; arrays are read once however often they are named."""

    def __init__(self, file: str, archive: zipfile.ZipFile) -> None:
        self.file, self.archive = file, archive
        self.members = {info.filename: info for info in archive.infolist()}
        self.arrays: dict[str, NDArray[Any]] = {}

    def root(self) -> Part:
        infos = self.archive.infolist()
        if len(infos) > MOST_MEMBERS or len(infos) != len(self.members):
            raise Odd("zip", f"{len(infos)} members")
        if sum(info.file_size for info in infos) > MOST_UNPACKED:
            raise BadInputError([Fault("fault.model.large", self.file, values={"limit_mb": MOST_UNPACKED >> 20})])
        if any(info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} for info in infos):
            raise Odd("zip", "compression")
        if SCHEMA not in self.members or self.members[SCHEMA].file_size > LARGEST_SCHEMA:
            raise Odd(SCHEMA, "…")
        schema = json.loads(self.archive.read(SCHEMA))
        self._refuse_foreign(schema)
        found = self.value(schema, "", 0)
        if not isinstance(found, Part):
            raise Odd(SCHEMA, type(found).__name__)
        return found

    def _refuse_foreign(self, schema: Any) -> None:
        """Every type that is not trusted, once, before anything else is looked at."""
        foreign = {kind: place for kind, place in _kinds(schema, "", 0) if kind not in ROLES}
        faults = []
        for kind, place in foreign.items():
            library = kind.partition(".")[0]
            key, values = "fault.sklearn.type", {"found": shown(kind, 100)}
            if library in BOOSTERS:
                key, values = "fault.sklearn.booster", {**values, "format": library, "call": BOOSTERS[library]}
            faults.append(Fault(key, self.file, place or None, values=values))
        if faults:
            raise BadInputError(faults[:MOST_FAULTS])

    def value(self, node: Any, place: str, depth: int) -> Any:
        """A node of the schema as a plain value, an array, or a part."""
        if not isinstance(node, dict) or depth > DEEPEST:
            raise Odd(place, node)
        loader, kind = node.get("__loader__"), _kind(node)
        if ROLES.get(kind) == "forgotten":
            return None
        read = {
            "JsonNode": self._scalar,
            "NdArrayNode": self._array,
            "ListNode": self._list,
            "TupleNode": self._list,
            "DictNode": self._dict,
            "DTypeNode": self._dtype,
        }.get(str(loader))
        if read is None and (kind not in ROLES or loader not in {"ObjectNode", "TreeNode", "LossNode"}):
            raise Odd(place, loader)
        return self._part(node, place, depth) if read is None else read(node, place, depth)

    def _list(self, node: dict[str, Any], place: str, depth: int) -> Any:
        content = node.get("content")
        if not isinstance(content, list):
            raise Odd(place, content)
        items = [self.value(item, f"{place}[{i}]", depth + 1) for i, item in enumerate(content)]
        return tuple(items) if node["__loader__"] == "TupleNode" else items

    def _scalar(self, node: dict[str, Any], place: str, depth: int) -> float | str | None:
        del depth
        content = node.get("content")
        found = json.loads(content) if isinstance(content, str) else []
        if isinstance(found, list | dict) or (isinstance(found, int) and abs(found) >= 2**63):
            raise Odd(place, content)
        return found  # type: ignore[no-any-return]

    def _dtype(self, node: dict[str, Any], place: str, depth: int) -> np.dtype[Any]:
        held = self.value(node.get("content"), place, depth + 1)
        if not isinstance(held, np.ndarray) or held.dtype.kind not in "biuf":
            raise Odd(place, held)
        return np.dtype(held.dtype)

    def _dict(self, node: Any, place: str, depth: int) -> dict[str, Any]:
        content = node.get("content") if isinstance(node, dict) and node.get("__loader__") == "DictNode" else None
        if not isinstance(content, dict):
            raise Odd(place, node)
        below = f"{place}." if place else ""
        return {key: self.value(item, f"{below}{shown(key, 40)}", depth + 1) for key, item in content.items()}

    def _part(self, node: dict[str, Any], place: str, depth: int) -> Part:
        kind, content, args = _kind(node), node.get("content"), ()
        native = node["__loader__"] != "ObjectNode"
        if native != kind.startswith(("sklearn.tree._tree.", "sklearn._loss._loss.")):
            raise Odd(place, node["__loader__"])
        if native:
            reduce = node.get("__reduce__")
            args = self.value(reduce.get("args") if isinstance(reduce, dict) else None, place, depth + 1)
            if not isinstance(args, tuple):
                raise Odd(place, "args")
        empty = (
            isinstance(content, dict) and content.get("__loader__") == "JsonNode" and content.get("content") == "null"
        )
        state = {} if content is None or empty else self._dict(content, place, depth)
        return Part(kind, place, state, args)

    def _array(self, node: dict[str, Any], place: str, depth: int) -> Any:
        kind = _kind(node)
        if node.get("type") == "json" and kind == "numpy.ndarray":
            return self._objects(node, place, depth)
        module, _, name = kind.rpartition(".")
        if module != "numpy" or name not in {"ndarray", *_SCALARS} or node.get("type") != "numpy":
            raise Odd(place, kind)
        array = self._member(node.get("file"), place)
        if name == "ndarray":
            return array
        if array.shape != ():
            raise Odd(place, kind)
        return array.item()

    def _objects(self, node: dict[str, Any], place: str, depth: int) -> NDArray[np.object_]:
        """An array of names or of estimators: a list in the schema, or a list of lists of one length."""
        shape, content = self.value(node.get("shape"), place, depth + 1), node.get("content")
        if not isinstance(content, list) or not isinstance(shape, tuple) or len(shape) not in {1, 2}:
            raise Odd(place, "shape")
        items = [self.value(item, f"{place}[{i}]", depth + 1) for i, item in enumerate(content)]
        flat = items if len(shape) == 1 else [one for row in items if isinstance(row, list) for one in row]
        if not all(type(size) is int for size in shape) or shape[0] != len(items) or int(np.prod(shape)) != len(flat):
            raise Odd(place, shape)
        objects = np.empty(len(flat), object)
        objects[:] = flat
        return objects.reshape(shape)

    def _member(self, name: Any, place: str) -> NDArray[Any]:
        if not isinstance(name, str) or name not in self.members:
            raise Odd(place, name)
        if name not in self.arrays:
            self.arrays[name] = _array_of(self.archive.read(name), place)
        return self.arrays[name]


def _kind(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _kinds(node: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:
    """Type and place of every object and function of the schema that is not trusted; plain containers and numbers apart."""
    if depth > 3 * DEEPEST:
        raise Odd(place, "…")
    if isinstance(node, list):
        for i, item in enumerate(node):
            yield from _kinds(item, f"{place}[{i}]", depth + 1)
    elif isinstance(node, dict) and "__loader__" not in node:
        for key, item in node.items():
            yield from _kinds(item, f"{place}.{shown(key, 40)}".lstrip("."), depth + 1)
    elif isinstance(node, dict):
        kind = _kind(node)
        if node["__loader__"] not in _PLAIN and (kind not in ROLES or node["__loader__"] in _ACTING):
            yield kind if kind not in ROLES else f"{kind} ({node['__loader__']})", place
        elif ROLES.get(kind) != "forgotten":
            for key in ("content", "__reduce__", "args"):
                yield from _kinds(node.get(key), place, depth + 1)


def _array_of(content: bytes, place: str) -> NDArray[Any]:
    """An `.npy` member, whose header must account for every byte of it; no objects, numbers in this machine's order."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in {(1, 0), (2, 0)}:
        raise Odd(place, version)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(stream)
    except Exception:  # noqa: BLE001 - numpy reads the header with Python's own parser, which raises this and that
        raise Odd(place, "npy") from None
    start = stream.tell()
    count = 1
    for size in shape:
        count *= size
    if dtype.hasobject or not dtype.itemsize or min(shape, default=0) < 0 or not dtype.isnative:
        raise Odd(place, dtype)
    if count * dtype.itemsize != len(content) - start:
        raise Odd(place, shape)
    array: NDArray[Any] = np.frombuffer(content, dtype, count, start)
    return array.reshape(shape, order="F" if fortran else "C")
