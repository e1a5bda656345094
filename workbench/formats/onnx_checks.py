"""What an ONNX model may do here: operators by name, sizes within bounds, one table of numbers in, one number a row out.

What is accepted is written anew with that one output: labels and ZipMap, which makes a dictionary a row, are left out.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan, prod
from pathlib import Path
from struct import unpack

from workbench.foreign import shown
from workbench.formats.onnx_file import DOUBLE, FLOAT, Graph, Node, Tensor, Value, read_graph
from workbench.formats.onnx_learnt import MOST_ELEMENTS, complaints, heaviest
from workbench.formats.onnx_operators import OPERATORS, SIZED
from workbench.formats.protobuf import WireError, whole, written
from workbench.schema import BadInputError, Fault

MOST_FAULTS = 20
MOST_NODES = 20_000
MOST_MADE = 1_000_000
MOST_FEATURES = 100_000
OLDEST_IR, NEWEST_IR = 3, 13
OPSETS = {"": (7, 26), "ai.onnx.ml": (1, 5)}
_CLASSIFIERS = ("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier", "ZipMap")
# These hand a number on as it is.
_RESHAPED = ("Cast", "Identity", "Flatten", "Reshape", "Squeeze")
_SAME = (*_RESHAPED, "Concat", "FeatureVectorizer")


@dataclass(frozen=True)
class Checked:
    """A model that the runtime may see. `content`: the file anew, with `output` alone; `inputs` by name with their element types.

    `says`: "probability" where the output is, or has beside it, a class's probability; "normality" where larger means less strange.
    """

    features: tuple[str, ...]
    inputs: tuple[tuple[str, int], ...]
    output: str
    says: str
    takes_missing: bool
    content: bytes

    @property
    def by_column(self) -> bool:
        """Whether every feature is an input of its own."""
        return len(self.inputs) > 1


def check(path: Path) -> Checked:
    """Read a file and check what it would do; `BadInputError` with file, place and remedy for each fault (at most 20)."""
    graph = read_graph(path)
    checks = _Checks(path.name, graph)
    checks.versions()
    checks.operators()
    checks.stop()
    checks.order()
    checks.sizes()
    checks.stop()
    inputs = checks.inputs()
    features = checks.features(inputs)
    output, says = checks.output()
    checks.stop()
    checks.learnt({value.name: len(features) if len(inputs) == 1 else 1 for value in inputs})
    checks.stop()
    return Checked(
        features=features,
        inputs=tuple((value.name, value.element) for value in inputs),
        output=output.name,
        says=says,
        takes_missing=_takes_missing(graph, {value.name for value in inputs}),
        content=_anew(graph, output),
    )


@dataclass
class _Checks:
    file: str
    graph: Graph
    faults: list[Fault] = field(default_factory=list)

    def add(self, key: str, place: str | None, **values: object) -> None:
        self.faults.append(Fault(f"fault.onnx.{key}", self.file, place, values=values))

    def stop(self) -> None:
        if self.faults:
            raise BadInputError(self.faults[:MOST_FAULTS])

    def versions(self) -> None:
        """Operator sets and format versions that were looked at; no other vendor's operators."""
        if not OLDEST_IR <= self.graph.ir_version <= NEWEST_IR:
            self.add("version", "ir_version", found=self.graph.ir_version, low=OLDEST_IR, high=NEWEST_IR)
        for domain, version in self.graph.opsets:
            low, high = OPSETS.get(_domain(domain), (0, -1))
            if _domain(domain) not in OPSETS:
                self.add("domain", "opset_import", found=shown(domain))
            elif not low <= version <= high:
                self.add("version", f"opset_import {domain or 'ai.onnx'}", found=version, low=low, high=high)

        declared = {_domain(domain) for domain, _ in self.graph.opsets}
        if not {_domain(node.domain) for node in self.graph.nodes} & set(OPSETS) <= declared:
            self.faults.append(Fault("fault.model.cut", self.file, "opset_import"))

    def operators(self) -> None:
        """Each operator on the list; no graphs inside graphs."""
        if len(self.graph.nodes) > MOST_NODES:
            self.add("nodes", "graph", found=len(self.graph.nodes), limit=MOST_NODES)
        foreign: dict[tuple[str, str], Node] = {}
        for node in self.graph.nodes:
            domain = _domain(node.domain)
            if node.op not in OPERATORS.get(domain, set()):
                foreign.setdefault((domain, node.op), node)
            elif node.has_graphs:
                self.add("subgraph", node.place)
        for (domain, op), node in foreign.items():
            self.add("operator", node.place, found=shown(f"{domain}.{op}".lstrip("."), 60))

    def order(self) -> None:
        """Every value is made once, before it is used: no circles."""
        known = {"", *(t.name for t in self.graph.constants), *(value.name for value in self.graph.inputs)}
        for node in self.graph.nodes:
            for name in node.inputs:
                if name not in known:
                    self.add("order", node.place, name=shown(name, 40))
            for name in filter(None, node.outputs):
                if name in known:
                    self.add("twice", node.place, name=shown(name, 40))
                known.add(name)
            if len(self.faults) > MOST_FAULTS:
                return

    def sizes(self) -> None:
        """What makes arrays out of a size takes it from the file, and a bearable one."""
        constants: dict[str, Tensor] = {tensor.name: tensor for tensor in self.graph.constants}
        for node in self.graph.nodes:
            if node.op == "Constant" and len(node.tensors) == 1:
                constants[node.outputs[0]] = node.tensors[0]
            if node.op not in SIZED:
                continue
            given = node.inputs[0 if node.op == "ConstantOfShape" else -1]
            made = constants[given].numbers if given in constants else None
            if made is None or min(made, default=0) < 0 or prod(made) > MOST_MADE:
                self.add("size", node.place, found=shown(made) if made else "?", limit=MOST_MADE)

    def inputs(self) -> tuple[Value, ...]:
        """The graph's inputs but those that are constants: one (rows, features), or one (rows, 1) a feature."""
        constants = {tensor.name for tensor in self.graph.constants}
        values = tuple(value for value in self.graph.inputs if value.name not in constants)
        if not values:
            self.add("no_input", "graph")
        for value in values:
            dims = value.dims or ()
            wide = len(values) == 1
            fits = len(dims) == 2 and (wide or dims[1] in {1, None})  # noqa: PLR2004
            if value.element not in {FLOAT, DOUBLE} or not fits:
                self.add("input", shown(value.name, 40))
            elif dims[0] is not None:
                self.add("batch", shown(value.name, 40), found=dims[0])
            elif wide and not 0 < (dims[1] or 0) <= MOST_FEATURES:
                self.add("width", shown(value.name, 40))
        self.stop()
        return values

    def learnt(self, widths: dict[str, int]) -> None:
        """The numbers that were learnt fit each other, and no row grows beyond what can be borne."""
        for place, name in complaints(self.graph, widths):
            self.add("learnt", f"{place} {name}")
        place, numbers = heaviest(self.graph, widths)
        if numbers > MOST_ELEMENTS:
            self.add("size", place, found=numbers, limit=MOST_ELEMENTS)

    def features(self, inputs: tuple[Value, ...]) -> tuple[str, ...]:
        """Inputs' names, else the list under `feature_names` in the metadata, else `Column_i`."""
        if len(inputs) > 1:
            names = tuple(value.name for value in inputs)
        else:
            width = (inputs[0].dims or (0, 0))[1] or 0
            names = tuple(f"Column_{i}" for i in range(width))
            if "feature_names" in self.graph.metadata:
                names = _listed(self.graph.metadata["feature_names"])
            if len(names) != width:
                self.add("names", "feature_names", found=len(names), expected=width)
        bad = [name for name in names if not name or not name.isprintable()]
        if bad or len(set(names)) < len(names):
            self.add("bad_names", "feature_names", names=", ".join(shown(name) for name in bad[:5]) or "–")
        return names

    def output(self) -> tuple[Value, str]:
        """The one output that is a number a row, and what it says."""
        makers = {name: node for node in self.graph.nodes for name in node.outputs}
        numbers = list(self._numbers(makers))
        if len(numbers) != 1:
            names = ", ".join(shown(value.name, 30) for value in self.graph.outputs)
            self.add("outputs" if numbers else "labels_only", "graph", names=names)
            self.stop()
        value = numbers[0]
        classes = [node for node in self.graph.nodes if node.op in _CLASSIFIERS]
        for node in classes:
            self._two_classes(node)
        columns = (value.dims or ())[1:]
        if prod(size or 1 for size in columns) > 2:  # noqa: PLR2004
            self.add("multiclass", shown(value.name, 40), found=prod(size or 1 for size in columns))
        named = [output.name for output in self.graph.outputs]
        if named == ["label", "scores"] and self.graph.producer == "skl2onnx":
            return value, "normality"
        return value, "probability" if classes or self._ends_in_one(value.name, makers) else "raw"

    def _numbers(self, makers: dict[str, Node]) -> Iterator[Value]:
        for value in self.graph.outputs:
            maker = makers.get(value.name)
            if maker is not None and maker.op == "ZipMap" and len(maker.inputs) == 1:
                yield Value(maker.inputs[0], FLOAT, None, _a_table_of(maker.inputs[0]))
            elif maker is not None and value.element in {FLOAT, DOUBLE}:
                yield value

    def _two_classes(self, node: Node) -> None:
        held = node.attributes.get("classlabels_int64s", node.attributes.get("classlabels_ints"))
        words = node.attributes.get("classlabels_strings")
        if words and words["strings"]:
            many = len(words["strings"])
            self.add("multiclass" if many > 2 else "classes", node.place, found=many)  # noqa: PLR2004
        elif held is None:
            self.add("classes", node.place, found="–")
        else:
            try:
                labels = whole(held["ints"])
            except WireError:
                labels = [0] * 1000
            if len(labels) != 2:  # noqa: PLR2004
                self.add("multiclass", node.place, found=len(labels))
            elif labels[0] >= labels[1]:
                self.add("classes", node.place, found=f"{labels[0]}, {labels[1]}")

    def _ends_in_one(self, name: str, makers: dict[str, Node]) -> bool:
        """Whether the last thing that happens to the output is a Sigmoid or a Softmax."""
        while name in makers and makers[name].op in _RESHAPED:
            name = makers[name].inputs[0]
        return name in makers and makers[name].op in {"Sigmoid", "Softmax"}


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _listed(text: str) -> tuple[str, ...]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    fine = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if fine else ()


def _takes_missing(graph: Graph, inputs: set[str]) -> bool:
    """Whether whatever reads the input is a tree, or an imputer of gaps."""
    read = set(inputs)
    for node in graph.nodes:
        if not read.intersection(node.inputs):
            continue
        if node.op in _SAME:
            read.update(node.outputs)
        elif node.op == "Imputer":
            gap = node.attributes.get("replaced_value_float", {}).get("f", [])
            if not gap or not isinstance(gap[0], bytes) or not isnan(unpack("<f", gap[0])[0]):
                return False
        elif not node.op.startswith("TreeEnsemble"):
            return False
    return True


def _a_table_of(name: str) -> bytes:
    """A ValueInfo: float, two dimensions of any size."""
    shape = written(1, b"") * 2
    tensor = written(1, FLOAT) + written(2, shape)
    return written(1, name.encode()) + written(2, written(1, tensor))


def _anew(graph: Graph, output: Value) -> bytes:
    """The model with its checked parts and one output; nodes that only led to the others are left out."""
    needed, nodes = {output.name}, list[Node]()
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            nodes.append(node)
            needed.update(node.inputs)
    body = b"".join(written(1, node.written) for node in reversed(nodes)) + graph.kept + written(12, output.written)
    opsets = b"".join(
        written(8, (written(1, domain.encode()) if domain else b"") + written(2, version))
        for domain, version in dict.fromkeys(graph.opsets)
    )
    return written(1, graph.ir_version) + opsets + written(7, body)
