"""An ONNX file is refused by name before the runtime sees it; what is accepted predicts as the runtime does with the original."""

import random
from functools import cache
from pathlib import Path

import house
import numpy as np
import onnx
import onnxruntime
import pytest
from builders_networks import NAMES, damaged, fitted, outcomes, rows, table
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import (
    GradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR

from workbench.formats.protobuf import FIXED32, VARINT, Known, read, whole
from workbench.models import find
from workbench.models.onnx import inspect, load, notes, recognises
from workbench.schema import BadInputError, ModelFailedError

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::FutureWarning",
    "ignore::DeprecationWarning",
    "ignore::UserWarning",
)
UNNAMED = tuple(f"Column_{i}" for i in range(5))
MLP = {"hidden_layer_sizes": (8, 4), "max_iter": 8, "random_state": 0}
SMALL = {"n_estimators": 5, "max_depth": 4, "random_state": 0}
OPSETS = {"": 18, "ai.onnx.ml": 3}
SINGLE = rows().astype(np.float32).astype(np.float64)


def converted(model, **how) -> onnx.ModelProto:
    return to_onnx(fitted(model, named=False), rows()[:1].astype(np.float32), target_opset=OPSETS, **how)


def saved(folder: Path, model: onnx.ModelProto | bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def network(nodes, constants=None, *, inputs=None, outputs=None, opsets=None, **given) -> onnx.ModelProto:
    """A graph from (rows, 5) to (rows, 1) unless told otherwise."""
    inputs = inputs or [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 5])]
    outputs = outputs or [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1])]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=held)
    opsets = opsets or [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **given)


WEIGHTS = {"W": np.linspace(-1, 1, 5, dtype=np.float32)[:, None], "b": np.float32([0.5])}


def perceptron(*more, end: str = "Y", **given) -> onnx.ModelProto:
    """X W + b into the value `end`, and then the nodes given."""
    return network(
        [helper.make_node("Gemm", ["X", "W", "b"], [end]), *more], {**WEIGHTS, **given.pop("extra", {})}, **given
    )


def told(path: Path) -> list[tuple[str, str | None]]:
    """Key and place of each fault; each must be a sentence in both languages."""
    with pytest.raises(BadInputError) as caught:
        inspect(path)
    assert all(fault.spoken("en") and fault.spoken("zh") and fault.file == path.name for fault in caught.value.faults)
    return [(fault.key.removeprefix("fault."), fault.place) for fault in caught.value.faults]


def original(path: Path, data=None) -> list:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": (SINGLE if data is None else data).astype(np.float32)})


def test_the_format_is_found_by_its_name(tmp_path):
    assert find("onnx").LIBRARY == "onnxruntime"
    assert recognises(saved(tmp_path, perceptron()))
    (tmp_path / "a.onnx").write_bytes(b"tree\n")
    assert not recognises(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression(),
        SVR(),
        RandomForestRegressor(**SMALL),
        make_pipeline(StandardScaler(), MLPRegressor(**MLP)),
        make_pipeline(SimpleImputer(), MinMaxScaler(), LinearRegression()),
    ],
    ids=lambda m: repr(m)[:40].replace("\n", ""),
)
def test_a_regressor_predicts_as_the_runtime_does(tmp_path, model):
    path = saved(tmp_path, converted(model))
    held = load(path, features=NAMES)
    assert inspect(path) == held.feature_names == UNNAMED
    assert held.scale == "raw"
    assert np.allclose(held.predict(SINGLE), original(path)[0][:, 0], rtol=1e-6, atol=1e-6)
    assert np.allclose(held.predict(SINGLE), model.predict(SINGLE), rtol=1e-4, atol=1e-4)
    assert held.predict(SINGLE[:1]).shape == (1,)
    assert held.predict(SINGLE[:0]).shape == (0,)


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        SVC(probability=True, random_state=0),
        RandomForestClassifier(**SMALL),
        GradientBoostingClassifier(**SMALL),
        make_pipeline(StandardScaler(), MLPClassifier(**MLP)),
    ],
    ids=lambda m: repr(m)[:40].replace("\n", ""),
)
def test_a_classifier_gives_the_probability_of_one(tmp_path, model, zipmap):
    final = model[-1] if hasattr(model, "steps") else model
    path = saved(tmp_path, converted(model, options={type(final): {"zipmap": zipmap}}))
    held = load(path)
    _, probable = original(path)
    expected = [each[1] for each in probable] if zipmap else probable[:, 1]
    assert held.scale == "probability"
    assert np.allclose(held.predict(SINGLE), expected, rtol=1e-5, atol=1e-6)


def test_an_isolation_forest_scores_stranger_rows_higher(tmp_path):
    model = IsolationForest(n_estimators=9, random_state=0).fit(rows())
    path = saved(tmp_path, to_onnx(model, rows()[:1].astype(np.float32), target_opset=OPSETS))
    held = load(path)
    assert np.allclose(held.predict(SINGLE), -model.decision_function(SINGLE), atol=1e-5)
    assert held.predict(np.full((1, 5), 9.0)) > held.predict(np.zeros((1, 5)))


def test_a_sigmoid_network_gives_a_probability_and_a_plain_one_a_score(tmp_path):
    end = [helper.make_node("Sigmoid", ["a"], ["p"]), helper.make_node("Squeeze", ["p", "one"], ["Y"])]
    flat = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None])]
    held = load(saved(tmp_path, perceptron(*end, end="a", extra={"one": np.int64([1])}, outputs=flat)))
    score = SINGLE @ WEIGHTS["W"][:, 0] + 0.5
    assert held.scale == "probability"
    assert np.allclose(held.predict(SINGLE), 1 / (1 + np.exp(-score)), atol=1e-6)
    held = load(saved(tmp_path, perceptron()))
    assert held.scale == "raw"
    assert np.allclose(held.predict(SINGLE), score, atol=1e-5)


def test_names_come_from_inputs_or_from_the_metadata(tmp_path):
    model = perceptron()
    helper.set_model_props(model, {"feature_names": '["y10", "利率", "a", "b", "c"]'})
    assert inspect(saved(tmp_path, model)) == ("y10", "利率", "a", "b", "c")
    helper.set_model_props(model, {"feature_names": '["y10"]'})
    assert told(saved(tmp_path, model)) == [("onnx.names", "feature_names")]
    helper.set_model_props(model, {"feature_names": '["a", "a", "c", "d", "e"]'})
    assert told(saved(tmp_path, model)) == [("onnx.bad_names", "feature_names")]


def test_a_model_may_take_one_input_a_feature(tmp_path):
    estimator = fitted(make_pipeline(StandardScaler(), LinearRegression()))
    kinds = [(name, FloatTensorType([None, 1])) for name in NAMES]
    held = load(saved(tmp_path, to_onnx(estimator, initial_types=kinds, target_opset=OPSETS)))
    assert held.feature_names == NAMES
    assert np.allclose(held.predict(SINGLE), estimator[-1].predict(estimator[0].transform(table())), atol=1e-4)


def test_double_precision_is_kept_and_single_is_said(tmp_path):
    inputs = [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 5])]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, [None, 1])]
    weights = {name: value.astype(np.float64) for name, value in WEIGHTS.items()}
    double = network([helper.make_node("Gemm", ["X", "W", "b"], ["Y"])], weights, inputs=inputs, outputs=outputs)
    held = load(saved(tmp_path, double))
    assert np.allclose(held.predict(rows()), rows() @ weights["W"][:, 0] + 0.5, rtol=0, atol=1e-14)
    assert notes(tmp_path / "model.onnx") == ()
    (note,) = notes(saved(tmp_path, perceptron()))
    assert note.key == "fault.onnx.single"


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        (RandomForestRegressor(**SMALL), True),
        (make_pipeline(SimpleImputer(), LinearRegression()), True),
        (LinearRegression(), False),
        (make_pipeline(StandardScaler(), RandomForestRegressor(**SMALL)), False),
        (make_pipeline(SimpleImputer(missing_values=0.0), LinearRegression()), False),
    ],
    ids=["trees", "imputer", "linear", "scaled trees", "imputer of zeros"],
)
def test_gaps_are_taken_where_only_trees_or_imputers_read_them(tmp_path, model, takes):
    assert load(saved(tmp_path, converted(model))).takes_missing is takes


def test_rows_of_another_width_are_refused_before_the_runtime_sees_them(tmp_path):
    path = saved(tmp_path, perceptron())
    for width in (1, 4, 6):
        with pytest.raises(ModelFailedError, match=r"model\.width"):
            load(path).predict(np.zeros((2, width)))
    with pytest.raises(ModelFailedError, match=r"model\.width"):
        load(path, features=NAMES[:3])


def test_many_rows_go_in_blocks(tmp_path):
    held = load(saved(tmp_path, perceptron()))
    many = np.random.default_rng(0).normal(size=(9001, 5))
    assert np.array_equal(held.predict(many)[[0, 4095, 4096, 9000]], held.predict(many[[0, 4095, 4096, 9000]]))


def calling(depth: int) -> onnx.ModelProto:
    """A chain of local functions, each of which calls the next."""
    opset = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    made = [
        helper.make_function(
            "own", f"f{i}", ["x"], ["y"],
            [helper.make_node("Relu" if i == depth - 1 else f"f{i + 1}", ["x"], ["y"], domain="" if i == depth - 1 else "own")],
            opset,
        )
        for i in range(depth)
    ]  # fmt: skip
    return network([helper.make_node("f0", ["X"], ["Y"], domain="own")], opsets=opset, functions=made)


def looping() -> onnx.ModelProto:
    """A loop that goes round 2^62 times."""
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Identity", ["v"], ["v2"])],
        "body",
        [
            scalar("i", TensorProto.INT64, []),
            scalar("c", TensorProto.BOOL, []),
            scalar("v", TensorProto.FLOAT, [None, 1]),
        ],
        [scalar("c2", TensorProto.BOOL, []), scalar("v2", TensorProto.FLOAT, [None, 1])],
    )
    node = helper.make_node("Loop", ["n", "yes", "a"], ["Y"], body=body)
    return perceptron(node, end="a", extra={"n": np.int64(2**62), "yes": np.bool_(True)})


def elsewhere(where: str) -> onnx.ModelProto:
    """A model whose weights stand in another file: as a constant of the graph, of an attribute, or of a sub-graph."""
    tensor = TensorProto(name="W", data_type=TensorProto.FLOAT, dims=[5, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=".streamlit/secrets.toml")
    product = helper.make_node("MatMul", ["X", "W"], ["Y"])
    if where == "initializer":
        model = network([product])
        model.graph.initializer.append(tensor)
        return model
    constant = helper.make_node("Constant", [], ["W"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    if where == "attribute":
        return network([constant, product])
    inner = helper.make_graph([constant, product], "inner", [], [helper.make_tensor_value_info("Y", 1, [None, 1])])
    node = helper.make_node("If", ["yes"], ["Y"], then_branch=inner, else_branch=inner)
    return network([node], {"yes": np.bool_(True)})


def circle() -> onnx.ModelProto:
    return network(
        [
            helper.make_node("Add", ["X", "b"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Relu", ["b"], ["Y"]),
        ]
    )


def filled(shape: list[int]) -> onnx.ModelProto:
    node = helper.make_node("ConstantOfShape", ["n"], ["c"])
    add = helper.make_node("ReduceSum", ["c"], ["s"])
    return perceptron(node, add, helper.make_node("Add", ["a", "s"], ["Y"]), end="a", extra={"n": np.int64(shape)})


HOSTILE = {
    "functions": (calling(3000), "functions"),
    "filled": (filled([134_217_728]), "size"),
    "filled in turns": (filled([2**20, 2**20]), "size"),
    "loop": (looping(), "operator"),
    "circle": (circle(), "order"),
    "elsewhere": (elsewhere("initializer"), "external"),
    "elsewhere in an attribute": (elsewhere("attribute"), "external"),
    "elsewhere in a branch": (elsewhere("branch"), "operator"),
    "random": (perceptron(helper.make_node("RandomNormalLike", ["a"], ["Y"]), end="a"), "operator"),
    "own operator": (perceptron(helper.make_node("Gelu2", ["a"], ["Y"], domain="com.microsoft"), end="a"), "operator"),
    "own domain": (perceptron(opsets=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]), "domain"),
    "old": (perceptron(opsets=[helper.make_opsetid("", 1)]), "version"),
    "made twice": (perceptron(helper.make_node("Relu", ["X"], ["Y"])), "twice"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_harm_is_refused_by_name(tmp_path, name):
    model, key = HOSTILE[name]
    assert {found for found, _ in told(saved(tmp_path, model))} == {f"onnx.{key}"}


def forest(**changes) -> onnx.ModelProto:
    """A tree of one split, with some of its lists changed."""
    lists = {
        "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [4, 0, 0],
        "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0], "nodes_values": [0.0, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "n_targets": 1,
        "target_treeids": [0, 0], "target_nodeids": [1, 2], "target_ids": [0, 0], "target_weights": [-1.0, 1.0],
    }  # fmt: skip
    node = helper.make_node("TreeEnsembleRegressor", ["X"], ["Y"], domain="ai.onnx.ml", **{**lists, **changes})
    return network([node])


def test_a_tree_is_walked(tmp_path):
    assert np.array_equal(load(saved(tmp_path, forest())).predict(SINGLE), np.where(SINGLE[:, 4] <= 0, -1.0, 1.0))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"nodes_truenodeids": [2**62, 0, 0]}, "nodes_truenodeids"),
        ({"nodes_truenodeids": [7, 0, 0]}, "nodes_truenodeids"),
        ({"nodes_truenodeids": [-1, 0, 0]}, "nodes_truenodeids"),
        ({"nodes_truenodeids": [0, 0, 0]}, "nodes_falsenodeids"),
        ({"nodes_truenodeids": [2, 0, 0]}, "nodes_falsenodeids"),
        ({"nodes_nodeids": [0, 1, 1]}, "nodes_truenodeids"),
        ({"nodes_treeids": [0, 1, 0]}, "nodes_truenodeids"),
        ({"nodes_featureids": [5, 0, 0]}, "nodes_featureids"),
        ({"nodes_featureids": [4, 0]}, "nodes_featureids"),
        ({"nodes_modes": ["BRANCH_LEQ", "LEAF"]}, "nodes_modes"),
        ({"nodes_values": [0.0]}, "nodes_modes"),
        ({"target_ids": [0, 1_000_000]}, "target_ids"),
        ({"target_nodeids": [1, 9]}, "target_nodeids"),
        ({"target_nodeids": [0, 1]}, "target_nodeids"),
        ({"target_weights": [1.0]}, "target_ids"),
        ({"n_targets": 2}, "n_targets"),
    ],
    ids=str,
)
def test_trees_that_would_be_walked_out_of_bounds_are_refused(tmp_path, changes, name):
    path = saved(tmp_path, forest(**changes))
    assert ("onnx.learnt", f"node 0 (TreeEnsembleRegressor) {name}") in told(path)


def test_lists_may_be_packed():
    table = {8: Known("ints", VARINT, many=True, run=True), 7: Known("floats", FIXED32, many=True, run=True)}
    apart = b"\x40\x40\x40\x01\x40\xac\x02" + b"\x3d\0\0\x80\x3f" * 2
    packed = b"\x42\x04\x40\x01\xac\x02" + b"\x3a\x08" + b"\0\0\x80\x3f" * 2
    assert read(apart, table) == read(packed, table)
    assert whole(read(packed, table)["ints"]) == [64, 1, 300]


def test_widths_are_followed_to_trees_behind_other_operators(tmp_path):
    for axis, fits in ((1, True), (0, False)):
        join = helper.make_node("Concat", ["X", "X"], ["XX"], axis=axis)
        tree = forest(nodes_featureids=[9, 0, 0]).graph.node[0]
        tree.input[0] = "Z"
        path = saved(tmp_path, network([join, helper.make_node("Identity", ["XX"], ["Z"]), tree]))
        if fits:
            assert np.array_equal(load(path).predict(SINGLE), np.where(SINGLE[:, 4] <= 0, -1.0, 1.0))
        else:
            assert told(path) == [("onnx.learnt", "node 2 (TreeEnsembleRegressor) nodes_featureids")]


@pytest.mark.parametrize("seed", ["W", "X"])
def test_a_row_that_doubles_for_ever_is_refused(tmp_path, seed):
    axis = {"axis": 1}
    nodes = [helper.make_node("Concat", [seed, seed], ["c0"], **axis)]
    nodes += [helper.make_node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], **axis) for i in range(40)]
    nodes += [helper.make_node("ReduceSum", ["c40"], ["s"], keepdims=1), helper.make_node("Add", ["a", "s"], ["Y"])]
    assert told(saved(tmp_path, perceptron(*nodes, end="a")))[0][0] == "onnx.size"


def test_coefficients_must_be_as_many_as_columns(tmp_path):
    model = converted(LinearRegression())
    coefficients = next(a for a in model.graph.node[0].attribute if a.name == "coefficients")
    coefficients.floats.append(1.0)
    assert told(saved(tmp_path, model)) == [("onnx.learnt", "node 0 (LinearRegressor) coefficients")]
    model = converted(SVR())
    vectors = next(a for a in model.graph.node[0].attribute if a.name == "support_vectors")
    del vectors.floats[-1]
    assert told(saved(tmp_path, model))[0] == ("onnx.learnt", "node 0 (SVMRegressor) support_vectors")


def test_a_fixed_size_that_is_bearable_is_made(tmp_path):
    held = load(saved(tmp_path, filled([10])))
    assert np.allclose(held.predict(SINGLE), SINGLE @ WEIGHTS["W"][:, 0] + 0.5, atol=1e-5)


def test_a_training_graph_and_sparse_tensors_are_refused(tmp_path):
    model = perceptron()
    model.training_info.add()
    assert told(saved(tmp_path, model)) == [("onnx.training", "training_info")]
    model = perceptron()
    model.graph.sparse_initializer.add()
    assert told(saved(tmp_path, model)) == [("onnx.sparse", "sparse_initializer")]


def test_a_tensor_must_hold_the_numbers_that_it_promises(tmp_path):
    model = perceptron()
    model.graph.initializer[0].dims[0] = 10**9
    assert told(saved(tmp_path, model)) == [("onnx.tensor", "initializer W")]


def shaped(name: str, kind: int, dims) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


@pytest.mark.parametrize(
    ("inputs", "key"),
    [
        ([shaped("X", TensorProto.FLOAT, [1, 5])], "batch"),
        ([shaped("X", TensorProto.FLOAT, [None, None])], "width"),
        ([shaped("X", TensorProto.INT64, [None, 5])], "input"),
        ([shaped("X", TensorProto.STRING, [None, 5])], "input"),
        ([shaped("X", TensorProto.FLOAT, [None, 5, 5])], "input"),
        ([shaped("X", TensorProto.FLOAT, [None, 5]), shaped("Z", TensorProto.FLOAT, [None, 5])], "input"),
    ],
)
def test_inputs_that_are_no_table_are_refused(tmp_path, inputs, key):
    assert {found for found, _ in told(saved(tmp_path, perceptron(inputs=inputs)))} == {f"onnx.{key}"}


def test_labels_alone_several_outputs_and_several_classes_are_refused(tmp_path):
    labels = converted(RandomForestClassifier(**SMALL))
    del labels.graph.output[1]
    assert told(saved(tmp_path, labels)) == [("onnx.labels_only", "graph")]
    two = [shaped("Y", TensorProto.FLOAT, [None, 1]), shaped("Z", TensorProto.FLOAT, [None, 1])]
    assert told(saved(tmp_path, perceptron(helper.make_node("Relu", ["Y"], ["Z"]), outputs=two))) == [
        ("onnx.outputs", "graph")
    ]
    y = np.digitize(rows()[:, 0], [-1, 1])
    three = to_onnx(RandomForestClassifier(**SMALL).fit(rows(), y), rows()[:1].astype(np.float32), target_opset=OPSETS)
    assert {found for found, _ in told(saved(tmp_path, three))} == {"onnx.multiclass"}
    words = RandomForestClassifier(**SMALL).fit(rows(), np.where(y > 0, "up", "down"))
    words = to_onnx(words, rows()[:1].astype(np.float32), target_opset=OPSETS)
    assert {found for found, _ in told(saved(tmp_path, words))} == {"onnx.classes"}


def test_two_columns_that_are_no_probabilities_fail_in_words(tmp_path):
    path = saved(
        tmp_path, converted(LogisticRegression(), options={LogisticRegression: {"zipmap": False, "raw_scores": True}})
    )
    with pytest.raises(ModelFailedError, match="no_probability"):
        load(path)


def test_several_numbers_a_row_that_were_not_declared_fail_in_words(tmp_path):
    outputs = [shaped("Y", TensorProto.FLOAT, None)]
    path = saved(tmp_path, network([helper.make_node("Relu", ["X"], ["Y"])], outputs=outputs))
    with pytest.raises(ModelFailedError, match=r"onnx\.many"):
        load(path)


def test_a_graph_that_does_not_fit_together_fails_in_words(tmp_path):
    path = saved(
        tmp_path,
        network(
            [helper.make_node("Gemm", ["X", "W", "b"], ["Y"])], {"W": np.zeros((7, 1), np.float32), "b": WEIGHTS["b"]}
        ),
    )
    with pytest.raises(ModelFailedError, match="does_not_run"):
        load(path)


@pytest.mark.parametrize(
    "content", [b"\x80\x04\x95\x00", b"date,y10\n2020-01-01,1\n", b"PK\x03\x04", b"\x08\x08", b"\x0a" * 49 + b"\x0b"]
)
def test_what_is_no_onnx_model_is_told_so(tmp_path, content):
    assert told(saved(tmp_path, content)) == [("onnx.odd", None)]


def test_an_empty_file_is_told_so(tmp_path):
    assert told(saved(tmp_path, b"")) == [("model.empty", None)]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_refused(tmp_path, share):
    content = converted(RandomForestRegressor(**SMALL)).SerializeToString()
    assert told(saved(tmp_path, content[: int(len(content) * share)]))


def test_a_file_that_lost_its_operator_sets_is_cut_off(tmp_path):
    model = perceptron()
    del model.opset_import[:]
    assert told(saved(tmp_path, model)) == [("model.cut", "opset_import")]


def test_nothing_of_the_folder_is_read(tmp_path, monkeypatch):
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit/secrets.toml").write_bytes(bytes(20))
    monkeypatch.chdir(tmp_path)
    load(saved(tmp_path, perceptron()))
    assert Path.cwd() == tmp_path
    for where in ("initializer", "attribute"):
        assert told(saved(tmp_path, elsewhere(where)))[0][0] == "onnx.external"


def test_a_large_forest_is_checked_in_moments(tmp_path):
    path = saved(tmp_path, converted(RandomForestRegressor(n_estimators=100, random_state=0)))
    assert path.stat().st_size > 1 << 19
    assert inspect(path) == UNNAMED


def test_a_file_is_checked_without_its_library(tmp_path):
    path = saved(tmp_path, perceptron())
    statement = f"from pathlib import Path\nfrom workbench.models.onnx import inspect\ninspect(Path({str(path)!r}))"
    assert house.loaded_by(statement, {*house.ONLY_IN_WORKERS, "onnx"}, Path(__file__).parents[2]) == []


@cache
def seeds() -> tuple[bytes, ...]:
    models = [
        RandomForestRegressor(n_estimators=3, max_depth=3),
        RandomForestClassifier(n_estimators=3, max_depth=3),
        make_pipeline(StandardScaler(), MLPClassifier(**MLP)),
        make_pipeline(SimpleImputer(), LinearRegression()),
        SVC(probability=True),
    ]
    return tuple(converted(model).SerializeToString() for model in models)


def edited(content: bytes, dice: random.Random) -> bytes:
    """The model with one number, name or size of its graph changed: still a message that every reader takes."""
    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    attributes = [each for node in graph.node for each in node.attribute if each.ints or each.floats]
    kind = dice.randrange(5 if attributes else 4)
    extreme = dice.choice((-1, 0, 1, 7, 10**6, 2**31 - 1, 2**62, -(2**63)))
    if kind == 0:
        node = dice.choice(graph.node)
        node.op_type = dice.choice(graph.node).op_type
    elif kind == 1:
        node = dice.choice(graph.node)
        node.input[dice.randrange(len(node.input))] = dice.choice(dice.choice(graph.node).output)
    elif kind == 2 and graph.initializer:
        tensor = dice.choice(graph.initializer)
        tensor.dims[:] = [*tensor.dims, 1] if dice.random() < 0.5 else list(reversed(tensor.dims))
    elif kind == 4:
        attribute = dice.choice(attributes)
        if attribute.ints:
            attribute.ints[dice.randrange(len(attribute.ints))] = extreme
        else:
            attribute.floats[dice.randrange(len(attribute.floats))] = dice.choice((np.nan, np.inf, 1e38, -1.0))
    else:
        graph.input[0].type.tensor_type.shape.dim[1].dim_value = dice.choice((1, 3, 6, 50_000))
    return model.SerializeToString()


def mutants(folder: Path, count: int, seed: int) -> list[Path]:
    """Half of them damaged bytes, half of them well-formed files that say something else."""
    dice = random.Random(seed)
    paths = [folder / f"{i}.onnx" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(dice.choice((damaged, edited))(seeds()[i % len(seeds())], dice))
    return paths


def tried(path: Path) -> str:
    try:
        names = inspect(path)
    except BadInputError:
        return "refused"
    try:
        load(path).predict(np.random.default_rng(0).normal(size=(8, len(names))))
    except ModelFailedError:
        return "failed"
    return "predicted"


def test_slightly_damaged_files_are_refused_or_predict(tmp_path):
    told = outcomes(mutants(tmp_path, 100, seed=1), tried)
    assert set(told) <= {"refused", "failed", "predicted"}
    assert told.count("refused") > 20
