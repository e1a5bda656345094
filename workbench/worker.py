"""The process that holds models: `python -m workbench.worker FD FORMAT`. It may die; nothing else does.

The zygote imports the format's library once and forks a worker for each socket that the desk hands it. It never runs
native code itself, so that its children start with clean thread pools.
"""

import contextlib
import ctypes
import os
import resource
import select
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
from workbench.model import ADDITIVITY_LINE, Model
from workbench.schema import Message, ModelFailedError
from workbench.wire import Arrays, Head, PeerGoneError, receive, send

MEMORY_LIMIT = 8 << 30
RSS_PER_MB = 1 << 20 if sys.platform == "darwin" else 1 << 10
# The model's output on so many rows of the background is the scale of the additivity gap.
SPREAD_ROWS = 100
# Features whose pairs are told apart: their number goes with the square.
MOST_INTERACTING = 1000
FACTS = ("base_values", "exact", "settled", "samples", "fit_r2", "stability")
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
            "interactions": self.interactions,
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
                if head["op"] == "enough":  # what it was said of has ended by itself in the meantime
                    continue
                for reply in self.operations[head["op"]](head, arrays):
                    send(self.sock, *reply)
                    if self._enough():
                        break
                self._end({"done": True})
            except PeerGoneError:
                return
            except ModelFailedError as failed:
                self._end({"error": {"key": failed.message.key, "values": dict(failed.message.values)}})
            except Exception as error:  # noqa: BLE001 - a model may raise anything
                self._end({"error": {"kind": type(error).__name__, "text": str(error)[:2000]}})

    def _end(self, last: Head) -> None:
        """The last reply to a request, with how large this process has become."""
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / RSS_PER_MB
        with contextlib.suppress(PeerGoneError):  # the next request will not come either
            send(self.sock, last | {"rss_mb": size})

    def _enough(self) -> bool:
        """Whether the desk has said anything while its request is being answered: only one word is expected then."""
        readable, _, _ = select.select([self.sock], [], [], 0)
        return bool(readable)

    def load(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Load a model file unless it is held already; says what it can do, and how long its exact methods take for a row.

        One that waited for its kernel is loaded again: it may be able to do more.
        """
        del arrays
        sha, module = head["model"], models.find(head["format"])
        if sha not in self.held or _pending(self.held[sha]):
            _give_way(head["nice"])
            try:
                self.held[sha] = module.load(Path(head["path"]), entry=head["entry"], features=tuple(head["features"]))
            except ModuleNotFoundError as missing:
                if missing.name != module.LIBRARY:
                    raise
                raise ModelFailedError(Message("desk.no_library", {"library": module.LIBRARY})) from missing
        model = self.held[sha]
        applicable = [name for name in explain.methods() if explain.find(name).applies(model)]
        facts = {name: getattr(model, name) for name in ("scale", "takes_missing")}
        yield (
            facts
            | {
                "precision": getattr(model, "precision", ADDITIVITY_LINE),
                "methods": {name: _cost(name, model, len(head["features"])) for name in applicable},
                "library": _version(module.LIBRARY),
                "pending": _pending(model),
            },
            {},
        )

    def predict(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Rows (n, d) -> predictions (n,)."""
        yield {}, {"predictions": self.held[head["model"]].predict(arrays["rows"])}

    def explain(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """One row's prediction, then ever better estimates until `budget_ms` have passed since the request came."""
        deadline = Deadline(head["budget_ms"])
        model, row, background = self.held[head["model"]], arrays["rows"][0], arrays["background"]
        prediction = model.predict(row[None])
        cost = deadline.elapsed_ms()
        yield {"spread": self.spreads.get(head["model"])}, {"predictions": prediction}
        explainer, rng = explain.find(head["method"]), np.random.default_rng(head["seed"])
        for estimate in explainer.explain(model, row, background, deadline, rng):
            facts = {name: getattr(estimate, name) for name in FACTS}
            yield (
                facts | {"elapsed_ms": deadline.elapsed_ms()},
                {"values": estimate.values, "std_error": estimate.std_error},
            )
        if head["model"] not in self.spreads and cost * SPREAD_ROWS < deadline.left_ms():
            spread = float(np.std(model.predict(background[:SPREAD_ROWS])))
            self.spreads[head["model"]] = spread
            yield {"spread": spread}, {"predictions": prediction}

    def attributions(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Rows (n, d) -> exact Shapley values, base values, and the model's own predictions, asked for separately."""
        model: Any = self.held[head["model"]]
        values, base = model.contributions(arrays["rows"])
        yield {}, {"values": values, "base_values": base, "predictions": model.predict(arrays["rows"])}

    def interactions(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Rows (n, d) -> mean of their absolute Shapley interaction values (d, d); a feature's own effect on the diagonal."""
        model: Any = self.held[head["model"]]
        width = arrays["rows"].shape[1]
        if width > MOST_INTERACTING:
            raise ModelFailedError(Message("fault.model.wide", {"found": width, "limit": MOST_INTERACTING}))
        kernel = model.kernel.get(wait=True) if hasattr(model, "kernel") else None
        if kernel is None:
            raise ModelFailedError(Message("fault.model.no_kernel"))
        total = sum(np.abs(values).sum(axis=0) for _, values in kernel.interactions(arrays["rows"]))
        yield {}, {"total": total}

    def refit(self, head: Head, arrays: Arrays) -> Iterator[Reply]:
        """Out-of-fold predictions of the same learner; masks train and test are (k, n)."""
        model: Any = self.held[head["model"]]
        named = {name: arrays[name] for name in ("rows", "y", "train", "test")}
        yield {}, {"predictions": model.refit(**named, seed=head["seed"])}


def _cost(method: str, model: Model, d: int) -> float | None:
    """Milliseconds that an exact method takes for a row, once warm; None for methods that `auto` does not choose by their cost."""
    explainer = explain.find(method)
    if not explainer.WEIGHED:
        return None
    row, rng = np.zeros(d), np.random.default_rng(0)
    for _ in range(2):
        clock = Deadline(0)
        list(explainer.explain(model, row, row[None], clock, rng))
    return clock.elapsed_ms()


def _pending(model: Any) -> bool:
    return hasattr(model, "kernel") and bool(model.kernel.pending)


def _version(library: str | None) -> list[str]:
    return [library, str(sys.modules[library].__version__)] if library else []


def zygote(control: socket.socket, format: str) -> None:  # noqa: A002 - the manifest's word
    """Fork a worker for every socket that comes over `control`, answering with its process id; end when the desk hangs up."""
    with contextlib.suppress(ImportError):  # said when a model is loaded
        getattr(models.find(format), "preload", lambda: None)()
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


def _give_way(nice: int) -> None:
    """Leave the cores to others; where Linux shares them out by session (man 7 sched, autogroup), the session has to say so."""
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(nice), "ascii")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _confine() -> None:
    """Take from a fresh worker what a model does not need: the terminal, core dumps, endless memory and files."""
    os.setsid()  # what the model starts can be ended with it
    _die_with_parent()
    os.register_at_fork(after_in_child=_die_with_parent)
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
    zygote(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
