"""The process that holds models: `python -m workbench.worker FD`. It may die; nothing else does.

The zygote imports the heavy libraries once and forks a worker for each socket that the desk hands it. It never runs
native code itself, so that its children start with clean thread pools.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workbench import explain, models
from workbench.budget import Deadline
from workbench.model import Model
from workbench.schema import ModelFailedError
from workbench.wire import Arrays, Head, PeerGoneError, receive, send

MEMORY_LIMIT = 8 << 30
FILE_LIMIT = 16 << 20
_PR_SET_PDEATHSIG = 1

Reply = tuple[Head, Arrays]


class Worker:
    """Serves one desk over one socket: holds models by hash, answers one request at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.held: dict[str, Model] = {}
        self.spreads: dict[str, float] = {}
        self.operations: dict[str, Callable[[Head, Arrays], Iterator[Reply]]] = {
            "load": self.load,
            "predict": self.predict,
            "explain": self.explain,
            "attributions": self.attributions,
            "refit": self.refit,
        }

    def serve(self) -> None:
        """Answer until the desk hangs up. Whatever a model raises goes back as a sentence's values."""
        while True:
            try:
                head, arrays = receive(self.sock)
            except PeerGoneError:
                return
            try:
                for reply in self.operations[head["op"]](head, arrays):
                    send(self.sock, *reply)
                send(self.sock, {"done": True})
            except PeerGoneError:
                return
            except ModelFailedError as failed:
                send(self.sock, {"error": {"key": failed.message.key, "values": dict(failed.message.values)}})
            except Exception as error:  # noqa: BLE001 - a model may raise anything
                send(self.sock, {"error": {"kind": type(error).__name__, "text": str(error)[:2000]}})

    def load(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Load a model file unless it is held already; says which methods apply and which one `auto` means."""
        del arrays
        sha = head["model"]
        if sha not in self.held:
            module = models.find(head["format"])
            self.held[sha] = module.load(Path(head["path"]), entry=head["entry"], features=tuple(head["features"]))
        model = self.held[sha]
        methods = [name for name in explain.methods() if explain.find(name).applies(model)]
        yield {"methods": methods, "auto": explain.choose(model), "feature_names": list(model.feature_names)}, {}

    def predict(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Rows (n, d) -> predictions (n,)."""
        yield {}, {"predictions": self.held[head["model"]].predict(arrays["rows"])}

    def explain(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """One row's prediction, then ever better estimates until `budget_ms` have passed since the request came."""
        deadline = Deadline(head["budget_ms"])
        model, row = self.held[head["model"]], arrays["rows"][0]
        explainer, rng = explain.find(head["method"]), np.random.default_rng(head["seed"])
        yield (
            {"spread": self._spread(head["model"], arrays) if explainer.EXACT else None},
            {"predictions": model.predict(row[None])},
        )
        for estimate in explainer.explain(model, row, arrays["background"], deadline, rng):
            facts = {name: getattr(estimate, name) for name in ("base_values", "exact", "settled", "samples")}
            yield (
                facts | {"elapsed_ms": deadline.elapsed_ms()},
                {"values": estimate.values, "std_error": estimate.std_error},
            )

    def _spread(self, sha: str, arrays: Arrays) -> float:
        """Standard deviation of the model's output: the scale of the additivity gap. Measured once a model."""
        if sha not in self.spreads:
            self.spreads[sha] = float(np.std(self.held[sha].predict(arrays["background"])))
        return self.spreads[sha]

    def attributions(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Rows (n, d) -> exact Shapley values, base values, and the model's own predictions, asked for separately."""
        model: Any = self.held[head["model"]]
        values, base = model.contributions(arrays["rows"])
        yield {}, {"values": values, "base_values": base, "predictions": model.predict(arrays["rows"])}

    def refit(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Out-of-fold predictions of the same learner; masks train and test are (k, n)."""
        model: Any = self.held[head["model"]]
        named = {name: arrays[name] for name in ("rows", "y", "train", "test")}
        yield {}, {"predictions": model.refit(**named, seed=head["seed"])}


def zygote(control: socket.socket) -> None:
    """Fork a worker for every socket that comes over `control`, answering with its process id; end when the desk hangs up."""
    for name in models.formats():
        getattr(models.find(name), "preload", lambda: None)()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        _, handed, _, _ = socket.recv_fds(control, 1, 1)
        if not handed:
            return
        pid = os.fork()
        if not pid:
            control.close()
            _confine()
            Worker(socket.socket(fileno=handed[0])).serve()
            os._exit(0)
        os.close(handed[0])
        control.sendall(pid.to_bytes(8, "big"))


def _confine() -> None:
    """Take from a fresh worker what a model does not need: the terminal, core dumps, endless memory and files."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limits = {resource.RLIMIT_AS: MEMORY_LIMIT, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: FILE_LIMIT}
    for limit, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # not every system has every limit
            resource.setrlimit(limit, (most, most))
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    os.chdir(tempfile.gettempdir())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    zygote(socket.socket(fileno=int(sys.argv[1])))
