"""Starts, watches and kills worker processes; knows nothing of what they compute."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from workbench.budget import Deadline
from workbench.shipped import kernels
from workbench.wire import Arrays, Head, PeerGoneError, TornMessageError, receive, send

START_MS = 60_000
# How long a worker may take to end what nobody waits for any more, and how large it may have grown.
GRACE_MS = 200.0
RETIRE_MB = 3000
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
# A pool of linear-algebra threads in the zygote would not survive the fork.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class WorkerGoneError(Exception):
    """The worker crashed, was killed, or spoke nonsense and was killed for it."""


class ModelRaisedError(Exception):
    """The model failed and its worker lives; `said` is the worker's account: a sentence's key and values, or kind and text."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        super().__init__(str(dict(said)))
        self.said = said


class WorkerProcess:
    """One worker and the desk's end of its socket."""

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid, self._sock, self._killed = pid, sock, False
        # A file descriptor of the process cannot come to mean another process, as a recycled number could.
        self._handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None

    @property
    def alive(self) -> bool:
        """Whether it has neither been killed nor hung up by itself."""
        if self._killed:
            return False
        readable, _, _ = select.select([self._sock], [], [], 0)  # between requests only a closed socket has news
        return not readable

    def ask(
        self,
        head: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        timeout_ms: float,
        enough: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[Head, Arrays]]:
        """Send a request and yield its replies until it is done, or until one after which it was `enough`.

        Raises TimeoutError when `timeout_ms` have passed (then `drain` or `kill` it: its next words would be stale), WorkerGoneError or
        ModelRaisedError.
        """
        deadline = Deadline(timeout_ms)
        try:
            send(self._sock, head, arrays)
            while True:
                reply, numbers = receive(self._sock, max(deadline.left_ms(), 0))
                if "error" in reply or "done" in reply:
                    self._retire_if_large(reply)
                    if "error" in reply:
                        raise ModelRaisedError(reply["error"])
                    return
                yield reply, numbers
                if enough():
                    send(self._sock, {"op": "enough"})
                    self.drain(GRACE_MS)
                    return
        except TimeoutError:
            raise
        except (PeerGoneError, TornMessageError, OSError) as gone:
            self.kill()
            raise WorkerGoneError from gone

    def drain(self, grace_ms: float) -> None:
        """Let the request that is under way end, unheard; a worker that takes longer than `grace_ms` for it is killed."""
        deadline = Deadline(grace_ms)
        try:
            while True:
                reply, _ = receive(self._sock, max(deadline.left_ms(), 0))
                if "done" in reply or "error" in reply:
                    return
        except (TimeoutError, PeerGoneError, TornMessageError, OSError):
            self.kill()

    def _retire_if_large(self, last: Head) -> None:
        """A model that leaks starts again in a fresh worker before it is in anybody's way."""
        if last["rss_mb"] > RETIRE_MB or last.get("error", {}).get("kind") == "MemoryError":
            self.kill()

    def kill(self) -> None:
        """End the process, and what it started, now; harmless if it is gone."""
        if self._killed:
            return
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._handle is not None:
                signal.pidfd_send_signal(
                    self._handle, 0
                )  # raises if the process is gone and its number free for others
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        if self._handle is not None:
            os.close(self._handle)
        self._sock.close()


class Supervisor:
    """Owns one format's zygote: a preloaded process that forks a fresh worker in milliseconds. Started again should it die.

    One worker is always kept in reserve, so that the next one is there at once.
    """

    def __init__(self, format: str) -> None:  # noqa: A002 - the manifest's word
        self._format = format
        self._lock = threading.Lock()
        self._spare: WorkerProcess | None = None
        self._closed = False
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment |= ONE_THREAD | {"PYTHONPATH": str(Path(__file__).parent.parent), "NUMBA_CACHE_DIR": str(kernels())}
        self._zygote = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.worker", str(theirs.fileno()), self._format],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._control = ours
        self._control.settimeout(START_MS / 1000)

    def hire(self) -> WorkerProcess:
        """A fresh worker: the one in reserve, if it lives. Raises WorkerGoneError if none can be had."""
        with self._lock:
            worker, self._spare = self._spare, None
            if worker is not None and not worker.alive:
                worker.kill()
            if worker is None or not worker.alive:
                worker = self._fork()
        threading.Thread(target=self._keep_spare, daemon=True).start()
        return worker

    def _keep_spare(self) -> None:
        with self._lock, contextlib.suppress(WorkerGoneError):
            if not self._closed and self._spare is None:
                self._spare = self._fork()

    def _fork(self) -> WorkerProcess:
        for _ in range(2):
            ours, theirs = socket.socketpair()
            try:
                socket.send_fds(self._control, [b"w"], [theirs.fileno()])
                pid = self._control.recv(8)
            except OSError:
                pid = b""
            finally:
                theirs.close()
            if len(pid) == 8:  # noqa: PLR2004 - the size of what the zygote sends
                return WorkerProcess(int.from_bytes(pid, "big"), ours)
            ours.close()
            self._stop()
            self._start()
        raise WorkerGoneError

    def _stop(self) -> None:
        self._control.close()
        self._zygote.kill()
        self._zygote.wait()

    def close(self) -> None:
        """End the zygote; its workers end with it."""
        with self._lock:
            self._closed = True
            if self._spare is not None:
                self._spare.kill()
            self._stop()
