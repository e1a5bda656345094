"""An ONNX file taken apart: the messages of onnx.proto that a single, flat graph needs, and no others.

Local functions, training graphs, sparse tensors and data in other files are refused by name, wherever they stand.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from workbench.foreign import shown
from workbench.formats.protobuf import FIXED32, VARINT, Found, Known, Table, WireError, fields, read, signed, whole
from workbench.model_file import content_of
from workbench.schema import BadInputError, Fault

LARGEST_MB = 256
FLOAT, STRING, INT64, DOUBLE = 1, 8, 7, 11
# Bytes an element; text apart.
_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
MODEL: Table = {
    1: Known("ir_version", VARINT),
    2: Known("producer_name"),
    3: Known("producer_version"),
    4: Known("domain"),
    5: Known("model_version", VARINT),
    6: Known("doc_string"),
    7: Known("graph"),
    8: Known("opset_import", many=True),
    14: Known("metadata_props", many=True),
    20: Known("training_info", many=True),
    25: Known("functions", many=True),
}
GRAPH: Table = {
    1: Known("node", many=True),
    2: Known("name"),
    5: Known("initializer", many=True),
    10: Known("doc_string"),
    11: Known("input", many=True),
    12: Known("output", many=True),
    13: Known("value_info", many=True),
    14: Known("quantization_annotation", many=True),
    15: Known("sparse_initializer", many=True),
    16: Known("metadata_props", many=True),
}
_NODE: Table = {
    1: Known("input", many=True),
    2: Known("output", many=True),
    3: Known("name"),
    4: Known("op_type"),
    5: Known("attribute", many=True),
    6: Known("doc_string"),
    7: Known("domain"),
    9: Known("metadata_props", many=True),
}
_ATTRIBUTE: Table = {
    1: Known("name"),
    2: Known("f", FIXED32),
    3: Known("i", VARINT),
    4: Known("s"),
    5: Known("t"),
    6: Known("g"),
    7: Known("floats", FIXED32, many=True, run=True),
    8: Known("ints", VARINT, many=True, run=True),
    9: Known("strings", many=True, run=True),
    10: Known("tensors", many=True),
    11: Known("graphs", many=True),
    13: Known("doc_string"),
    20: Known("type", VARINT),
    22: Known("sparse_tensor"),
    23: Known("sparse_tensors", many=True),
}
_TENSOR: Table = {
    1: Known("dims", VARINT, many=True),
    2: Known("data_type", VARINT),
    4: Known("float_data", FIXED32, many=True, run=True),
    5: Known("int32_data", VARINT, many=True, run=True),
    6: Known("string_data", many=True, run=True),
    7: Known("int64_data", VARINT, many=True, run=True),
    8: Known("name"),
    9: Known("raw_data"),
    10: Known("double_data", many=True),
    11: Known("uint64_data", VARINT, many=True, run=True),
    12: Known("doc_string"),
    13: Known("external_data", many=True),
    14: Known("data_location", VARINT),
}
_VALUE: Table = {1: Known("name"), 2: Known("type"), 3: Known("doc_string"), 4: Known("metadata_props", many=True)}
_TYPE: Table = {1: Known("tensor"), 4: Known("sequence"), 5: Known("map"), 6: Known("denotation"), 7: Known("opaque")}
_TENSOR_TYPE: Table = {1: Known("elem_type", VARINT), 2: Known("shape")}
_SHAPE: Table = {1: Known("dim", many=True)}
_DIM: Table = {1: Known("value", VARINT), 2: Known("param"), 3: Known("denotation")}
_PAIR: Table = {1: Known("key"), 2: Known("value")}
_OPSET: Table = {1: Known("domain"), 2: Known("version", VARINT)}


@dataclass(frozen=True)
class Value:
    """An input or output of the graph: element type (0: no tensor) and dimensions, None where they are open."""

    name: str
    element: int
    dims: tuple[int | None, ...] | None
    written: bytes


@dataclass(frozen=True)
class Tensor:
    """A constant: its element type, its dimensions, and its numbers where they are whole and few, as shapes are."""

    name: str
    element: int
    dims: tuple[int, ...]
    numbers: tuple[int, ...] | None


@dataclass(frozen=True)
class Node:
    """An operator at work, and the bytes that it stands in."""

    place: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Found]
    tensors: tuple[Tensor, ...]
    has_graphs: bool
    written: bytes


@dataclass(frozen=True)
class Graph:
    """A model file: what it declares, and its one graph."""

    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    producer: str
    metadata: Mapping[str, str]
    nodes: tuple[Node, ...]
    constants: tuple[Tensor, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    kept: bytes


def read_graph(path: Path) -> Graph:
    """Take a file apart; `BadInputError` where it is no ONNX model, was cut off, or holds what is refused whatever it says."""
    file = path.name
    content = content_of(path, LARGEST_MB)
    try:
        return _Reader(file).graph(content)
    except WireError as error:
        raise BadInputError([Fault("fault.onnx.odd", file, values={"found": shown(error)})]) from None


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file

    def refuse(self, key: str, place: str | None, **values: object) -> BadInputError:
        return BadInputError([Fault(f"fault.onnx.{key}", self.file, place, values=values)])

    def graph(self, content: bytes) -> Graph:
        model = read(content, MODEL)
        if model["functions"]:
            raise self.refuse("functions", "functions", found=len(model["functions"]))
        if model["training_info"]:
            raise self.refuse("training", "training_info")
        body = read(_bytes(model["graph"]), GRAPH)
        if not model["graph"] or not body["node"]:
            raise WireError("no graph")
        if body["sparse_initializer"]:
            raise self.refuse("sparse", "sparse_initializer")
        # Nodes and outputs are written anew from what was checked; comments are left out.
        kept = b"".join(own for number, own, _ in fields(_bytes(model["graph"]), GRAPH) if number in {2, 5, 11, 13})
        return Graph(
            ir_version=_number(model["ir_version"]),
            opsets=tuple(_each(model["opset_import"], self._opset)),
            producer=_text(model["producer_name"]),
            metadata=dict(_each(model["metadata_props"], self._pair)),
            nodes=tuple(self._node(i, node) for i, node in enumerate(_each(body["node"], bytes))),
            constants=tuple(self._tensor(tensor, "initializer") for tensor in _each(body["initializer"], bytes)),
            inputs=tuple(_each(body["input"], self._value)),
            outputs=tuple(_each(body["output"], self._value)),
            kept=kept,
        )

    def _opset(self, data: bytes) -> tuple[str, int]:
        opset = read(data, _OPSET)
        return _text(opset["domain"]), _number(opset["version"])

    def _pair(self, data: bytes) -> tuple[str, str]:
        pair = read(data, _PAIR)
        return _text(pair["key"]), _text(pair["value"])

    def _value(self, data: bytes) -> Value:
        value = read(data, _VALUE)
        kind = read(_bytes(value["type"]), _TYPE)
        tensor = read(_bytes(kind["tensor"]), _TENSOR_TYPE)
        dims: tuple[int | None, ...] | None = None
        if tensor["shape"]:
            shape = read(_bytes(tensor["shape"]), _SHAPE)
            dims = tuple(_each(shape["dim"], self._dim))
        return Value(_text(value["name"]), _number(tensor["elem_type"]), dims, data)

    def _dim(self, data: bytes) -> int | None:
        dim = read(data, _DIM)
        return signed(_number(dim["value"])) or None

    def _node(self, i: int, data: bytes) -> Node:
        node = read(data, _NODE)
        op = _text(node["op_type"])
        place = f"node {i} ({shown(op, 40)})"
        attributes: dict[str, Found] = {}
        tensors: list[Tensor] = []
        for given in _each(node["attribute"], bytes):
            attribute = read(given, _ATTRIBUTE)
            name = _text(attribute["name"])
            if attribute["sparse_tensor"] or attribute["sparse_tensors"]:
                raise self.refuse("sparse", place)
            if name in attributes:
                raise WireError(f"{shown(name)} twice")
            attributes[name] = attribute
            both = [*attribute["t"], *attribute["tensors"]]
            tensors += [self._tensor(tensor, place) for tensor in _each(both, bytes)]
        return Node(
            place=place,
            op=op,
            domain=_text(node["domain"]),
            inputs=tuple(_each(node["input"], _decoded)),
            outputs=tuple(_each(node["output"], _decoded)),
            attributes=attributes,
            tensors=tuple(tensors),
            has_graphs=any(a["g"] or a["graphs"] for a in attributes.values()),
            written=data,
        )

    def _tensor(self, data: bytes, place: str) -> Tensor:
        tensor = read(data, _TENSOR)
        name = _text(tensor["name"])
        if tensor["external_data"] or _number(tensor["data_location"]):
            raise self.refuse("external", f"{place} {shown(name, 40)}".strip())
        dims = tuple(whole(tensor["dims"]))
        element = _number(tensor["data_type"])
        if min(dims, default=0) < 0 or (element not in _SIZES and element != STRING):
            raise WireError(f"tensor {shown(name)}")
        raw = tensor["raw_data"]
        if raw and len(_bytes(raw)) != prod(dims) * _SIZES.get(element, -1):
            raise self.refuse("tensor", f"{place} {shown(name, 40)}".strip(), dims=shown(dims))
        if not raw and prod(dims) > len(data):
            raise self.refuse("tensor", f"{place} {shown(name, 40)}".strip(), dims=shown(dims))
        return Tensor(name, element, dims, _few(tensor, element, dims))


def _few(tensor: Found, element: int, dims: tuple[int, ...]) -> tuple[int, ...] | None:
    if element != INT64 or prod(dims) > 64:  # noqa: PLR2004
        return None
    if tensor["raw_data"]:
        raw = _bytes(tensor["raw_data"])
        return tuple(int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, len(raw), 8))
    return tuple(whole(tensor["int64_data"]))


def _each(values: list[bytes | int], make: Callable[[bytes], Any]) -> Iterator[Any]:
    for value in values:
        if not isinstance(value, bytes):
            raise WireError("a number where a message stands")
        yield make(value)


def _bytes(values: list[bytes | int]) -> bytes:
    return values[0] if values and isinstance(values[0], bytes) else b""


def _number(values: list[bytes | int]) -> int:
    return values[0] if values and isinstance(values[0], int) else 0


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WireError("text that is not UTF-8") from None


def _text(values: list[bytes | int]) -> str:
    return _decoded(_bytes(values))
