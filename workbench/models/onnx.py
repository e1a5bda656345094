"""ONNX models: checked and written anew by `onnx_checks`, then, in a worker only, run by onnxruntime.

Most models take single precision: rows are rounded to it, which the library itself would do, so an explanation sees the steps too.
"""

import contextlib
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.foreign import shown
from workbench.formats import onnx_checks
from workbench.formats.onnx_checks import Checked
from workbench.formats.onnx_file import DOUBLE
from workbench.model import check_width, fitting
from workbench.schema import Floats, Message, ModelFailedError

LIBRARY = "onnxruntime"
# Rows a call: keeps what a network holds in between small and in the processor's cache.
BLOCK = 4096
PROBES = 32
SILENT = 4


def recognises(path: Path) -> bool:
    """Whether the file is called .onnx and begins like a message that has a format version or a producer."""
    with path.open("rb") as stream:
        return path.suffix.lower() == ".onnx" and stream.read(1) in {b"\x08", b"\x12", b"\x3a", b"\x42"}


def inspect(path: Path) -> tuple[str, ...]:
    """The model's feature names, in its order, after a full structural check of the file; `BadInputError` names every fault."""
    return onnx_checks.check(path).features


def task(path: Path) -> str:
    """What the output says it is: `classification` for probabilities, `anomaly` for a normality score, else `regression`."""
    said = {"probability": "classification", "normality": "anomaly"}
    return said.get(str(onnx_checks.check(path).says), "regression")


def notes(path: Path) -> tuple[Message, ...]:
    """Sentences to show beside an accepted file: that its numbers are rounded."""
    single = any(element != DOUBLE for _, element in onnx_checks.check(path).inputs)
    return (Message("fault.onnx.single", {"file": path.name}),) if single else ()


def preload() -> None:
    """Import the runtime before there is a model, so that a worker is ready in milliseconds."""
    import_module("onnxruntime").set_default_logger_severity(SILENT)


class OnnxModel:
    """A checked graph in the runtime's hands; lives in a worker."""

    def __init__(self, checked: Checked) -> None:
        self.feature_names = checked.features
        self._checked = checked
        self._run = _session(checked.content).run
        self._types = [np.float64 if element == DOUBLE else np.float32 for _, element in checked.inputs]
        self.scale: Literal["raw", "probability"] = "probability" if checked.says == "probability" else "raw"
        answers = self._answers(_probes(len(self.feature_names)))
        self._column = answers.shape[1] - 1
        self._look_at(answers)
        self.takes_missing = checked.takes_missing and self._bears_gaps()

    def predict(self, rows: Floats) -> Floats:
        """(n, d) in the model's order -> (n,): what the model gives, or P(y = 1); for anomalies larger means stranger."""
        rows = fitting(rows, len(self.feature_names))
        blocks = [self._answers(rows[at : at + BLOCK])[:, self._column] for at in range(0, len(rows), BLOCK)]
        answer = np.concatenate([np.empty(0), *blocks])
        return -answer if self._checked.says == "normality" else answer

    def _answers(self, rows: Floats) -> Floats:
        """(n, 1) or (n, 2) of the model's one output."""
        with np.errstate(over="ignore"):
            if self._checked.by_column:
                each = enumerate(zip(self._checked.inputs, self._types, strict=True))
                fed = {name: rows[:, i : i + 1].astype(kind) for i, ((name, _), kind) in each}
            else:
                fed = {self._checked.inputs[0][0]: rows.astype(self._types[0])}
        (answer,) = self._run([self._checked.output], fed)
        columns = answer.size // max(len(rows), 1)
        if answer.size != len(rows) * columns or columns not in {1, 2}:
            raise ModelFailedError(Message("fault.onnx.many", {"found": shown(answer.shape), "rows": len(rows)}))
        return np.asarray(answer, np.float64).reshape(len(rows), columns)

    def _look_at(self, answers: Floats) -> None:
        """Two columns must be the probabilities of two classes, and one that says so must be one."""
        pair = answers.shape[1] == 2  # noqa: PLR2004
        inside = bool(((answers >= -1e-6) & (answers <= 1 + 1e-6)).all())  # noqa: PLR2004
        if pair and not (inside and np.allclose(answers.sum(axis=1), 1, atol=1e-4)):
            raise ModelFailedError(Message("fault.onnx.no_probability", {"output": shown(self._checked.output, 40)}))
        if pair or self.scale == "probability":
            self.scale = "probability" if inside else "raw"

    def _bears_gaps(self) -> bool:
        return bool(np.isfinite(self._answers(np.full((1, len(self.feature_names)), np.nan))).all())


def load(path: Path, entry: str | None = None, features: tuple[str, ...] = ()) -> OnnxModel:
    """Check the file once more and load it; in a worker only. Rows will come as `features`: one a feature of the model."""
    del entry
    checked = onnx_checks.check(path)
    check_width(len(features or checked.features), len(checked.features))
    try:
        return OnnxModel(checked)
    except (ModelFailedError, MemoryError):
        raise
    except Exception as error:
        told = {"kind": type(error).__name__, "text": shown(error, 200)}
        raise ModelFailedError(Message("fault.onnx.does_not_run", told)) from error


def _session(content: bytes) -> Any:
    """A session on one thread, from bytes, begun in an empty folder: there is no other file to be found."""
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False  # it keeps a plan for each number of rows that it meets
    options.log_severity_level = SILENT
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _probes(width: int) -> Floats:
    """Rows of many sizes, the same every time."""
    return np.random.default_rng(0).normal(size=(PROBES, width)) * np.geomspace(0.01, 10, PROBES)[:, None]
