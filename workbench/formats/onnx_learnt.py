"""The lists of numbers in ai.onnx.ml operators: tree nodes, leaves, support vectors and coefficients fit each other and the columns.

The runtime checks some of this and not all: a child that is no node made it run for ever, a target out of range is written to.
"""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from workbench.formats.onnx_file import Graph, Node, Tensor
from workbench.formats.protobuf import Found, WireError

DEEPEST = 1000
MOST_ELEMENTS = 100_000_000
_KEEPS_WIDTH = ("Cast", "Identity", "Scaler", "Imputer", "Normalizer", "Binarizer", "Sub", "Add", "Mul", "Div")
Whole = NDArray[np.int64]


def complaints(graph: Graph, widths: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Place and name of each attribute that does not fit; `widths` holds the columns of the graph's inputs."""
    constants = {tensor.name: tensor for tensor in graph.constants}
    known = dict(widths)
    for node in graph.nodes:
        if node.op == "Constant" and len(node.tensors) == 1:
            constants[node.outputs[0]] = node.tensors[0]
        width = known.get(node.inputs[0]) if node.inputs else None
        look = _LOOKS.get(node.op)
        if look is not None:
            try:
                yield from ((node.place, name) for name in look(node, width))
            except WireError as error:
                yield node.place, str(error)
        made = _width(node, known, constants)
        if made is not None and node.outputs:
            known[node.outputs[0]] = made


def heaviest(graph: Graph, widths: Mapping[str, int]) -> tuple[str, int]:
    """The node that makes the largest row, as far as joining and handing on can tell, and that row's numbers."""
    counts = {tensor.name: prod(tensor.dims) for tensor in graph.constants} | dict(widths)
    most = ("", 0)
    for node in graph.nodes:
        held = [counts.get(name, 1) for name in node.inputs] or [1]
        made = sum(held) if node.op in {"Concat", "FeatureVectorizer"} else max(held)
        most = max(most, (node.place, made), key=lambda each: each[1])
        counts |= dict.fromkeys(node.outputs, made)
    return most


def _width(node: Node, known: Mapping[str, int], constants: Mapping[str, Tensor]) -> int | None:
    """Columns of a node's output, None where they cannot be told."""
    inputs = [known.get(name) for name in node.inputs]
    constant = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if node.op in _KEEPS_WIDTH and (len(inputs) == 1 or constant is not None):
        return inputs[0] if constant is None or _last(constant.dims) in {1, inputs[0]} else None
    axis = (node.attributes.get("axis", {}).get("i") or [0])[0]
    joined = node.op == "Concat" and axis in {1, 2**64 - 1}
    joined |= node.op == "FeatureVectorizer" and whole_list(node, "inputdimensions").tolist() == inputs
    if joined and None not in inputs:
        return sum(width for width in inputs if width is not None)
    picked = node.op == "ArrayFeatureExtractor" or (node.op == "Gather" and axis == 1)
    if picked and constant is not None and len(constant.dims) == 1 and inputs[0] is not None:
        return constant.dims[0]
    if node.op in {"MatMul", "Gemm"} and constant is not None and len(constant.dims) == 2:  # noqa: PLR2004
        return constant.dims[1] if constant.dims[0] == inputs[0] else None
    return None


def _last(dims: tuple[int, ...]) -> int:
    """Columns of a constant that is laid over rows; 0 for one of more than two dimensions."""
    return (1, *dims)[-1] if len(dims) < 3 else 0  # noqa: PLR2004


def whole_list(node: Node, name: str) -> Whole:
    """An attribute's whole numbers, which may stand one by one or packed."""
    stretches: Found = node.attributes.get(name, {})
    parts = [np.frombuffer(part, np.uint8) for part in stretches.get("ints", []) if isinstance(part, bytes)]
    return np.concatenate([np.empty(0, np.int64), *(_varints(part) for part in parts)])


def _varints(part: NDArray[np.uint8]) -> Whole:
    ends = np.flatnonzero(part < 0x80)  # noqa: PLR2004
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts + 1
    if len(part) and (not len(ends) or ends[-1] != len(part) - 1 or lengths.max() > 10):  # noqa: PLR2004
        raise WireError("ints")
    values = np.zeros(len(ends), np.uint64)
    for i in range(int(lengths.max(initial=0))):
        there = lengths > i
        values[there] |= (part[starts[there] + i].astype(np.uint64) & np.uint64(0x7F)) << np.uint64(7 * i)
    return values.astype(np.int64)


def _count(node: Node, name: str) -> int:
    """How many real numbers an attribute holds."""
    return sum(len(part) // 4 for part in node.attributes.get(name, {}).get("floats", []) if isinstance(part, bytes))


def _trees(node: Node, width: int | None) -> Iterator[str]:
    nodes = whole_list(node, "nodes_nodeids")
    lists = {
        name: whole_list(node, f"nodes_{name}") for name in ("treeids", "truenodeids", "falsenodeids", "featureids")
    }
    modes = [mode for mode in node.attributes.get("nodes_modes", {}).get("strings", []) if isinstance(mode, bytes)]
    n = len(nodes)
    for name, values in {"nodeids": nodes, **lists}.items():
        if len(values) != n or not n or values.min() < 0 or values.max() >= 2**31:
            yield f"nodes_{name}"
            return
    if len(modes) != n or _count(node, "nodes_values") not in {n, 0}:
        yield "nodes_modes"
        return
    branch = np.array([mode != b"LEAF" for mode in modes])
    if width is None or (lists["featureids"][branch] >= width).any():
        yield "nodes_featureids"
    keys = lists["treeids"] << 32 | nodes
    order = np.argsort(keys, kind="stable")
    children = [
        _found(keys, order, lists["treeids"][branch] << 32 | lists[f"{side}nodeids"][branch])
        for side in ("true", "false")
    ]
    if (np.diff(keys[order]) == 0).any() or (np.concatenate(children) < 0).any():
        yield "nodes_truenodeids"
        return
    if not _all_reached(n, branch, children):
        yield "nodes_falsenodeids"
    yield from _leaves(node, keys, order, ~branch)


def _found(keys: Whole, order: Whole, wanted: Whole) -> Whole:
    """Positions of the keys wanted, -1 where there is none."""
    at = np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)
    return np.where(keys[order[at]] == wanted, order[at], -1)


def _all_reached(n: int, branch: NDArray[np.bool_], children: list[Whole]) -> bool:
    """Whether each node has one parent or is a root, and all hang on the roots: no circles."""
    parents = np.bincount(np.concatenate(children), minlength=n)
    left, right = np.full(n, -1), np.full(n, -1)
    left[branch], right[branch] = children
    level, reached = np.flatnonzero(parents == 0), 0
    for _ in range(DEEPEST):
        reached += len(level)
        level = np.concatenate([left[level], right[level]])
        level = level[level >= 0]
        if not len(level):
            break
    return bool(parents.max() <= 1) and reached == n


def _leaves(node: Node, keys: Whole, order: Whole, leaf: NDArray[np.bool_]) -> Iterator[str]:
    kind, most = ("class", 2) if node.op == "TreeEnsembleClassifier" else ("target", 1)
    trees, nodes, ids = (whole_list(node, f"{kind}_{name}") for name in ("treeids", "nodeids", "ids"))
    if not len(trees) == len(nodes) == len(ids) or not len(ids) or min(trees.min(), nodes.min()) < 0:
        yield f"{kind}_nodeids"
    elif ids.min() < 0 or ids.max() >= most or _count(node, f"{kind}_weights") not in {len(ids), 0}:
        yield f"{kind}_ids"
    else:
        at = _found(keys, order, trees << 32 | nodes)
        if (at < 0).any() or not leaf[at].all():
            yield f"{kind}_nodeids"
    targets = node.attributes.get("n_targets", {}).get("i", [1])
    if kind == "target" and targets != [1]:
        yield "n_targets"


def _vectors(node: Node, width: int | None) -> Iterator[str]:
    classifying = node.op == "SVMClassifier"
    given = (
        whole_list(node, "vectors_per_class").sum()
        if classifying
        else (node.attributes.get("n_supports", {}).get("i") or [0])[0]
    )
    n = int(given) if isinstance(given, int | np.integer) and 0 < given < 2**31 else 0
    if not n or width is None or _count(node, "support_vectors") != n * width:
        yield "support_vectors"
    elif _count(node, "coefficients") != n or (classifying and len(whole_list(node, "vectors_per_class")) != 2):  # noqa: PLR2004
        yield "coefficients"
    elif _count(node, "rho") < 1 or not _count(node, "prob_a") == _count(node, "prob_b") <= 1:
        yield "rho"


def _linear(node: Node, width: int | None) -> Iterator[str]:
    outputs = {1, 2} if node.op == "LinearClassifier" else {1}
    if width is None or _count(node, "coefficients") not in {width * k for k in outputs}:
        yield "coefficients"
    if _count(node, "intercepts") not in {0, *outputs}:
        yield "intercepts"


def _columns(node: Node, width: int | None) -> Iterator[str]:
    for name in ("offset", "scale", "imputed_value_floats"):
        if name in node.attributes and _count(node, name) not in {1, width}:
            yield name


_LOOKS = {
    **dict.fromkeys(("TreeEnsembleClassifier", "TreeEnsembleRegressor"), _trees),
    **dict.fromkeys(("SVMClassifier", "SVMRegressor"), _vectors),
    **dict.fromkeys(("LinearClassifier", "LinearRegressor"), _linear),
    **dict.fromkeys(("Scaler", "Imputer"), _columns),
}
