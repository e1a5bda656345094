"""Starts, watches and kills worker processes; knows nothing of what they compute."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from workbench.budget import Deadline
from workbench.wire import Arrays, Head, PeerGoneError, TornMessageError, receive, send

START_MS = 60_000
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
        self.pid, self._sock, self.alive = pid, sock, True
        # A file descriptor of the process cannot come to mean another process, as a recycled number could.
        self._handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None

    def ask(
        self, head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], timeout_ms: float
    ) -> Iterator[tuple[Head, Arrays]]:
        """Send a request and yield its replies until it is done.

        Raises TimeoutError when `timeout_ms` have passed (the worker is killed: its next words would be stale),
        WorkerGoneError or ModelRaisedError.
        """
        deadline = Deadline(timeout_ms)
        try:
            send(self._sock, head, arrays)
            while True:
                reply, numbers = receive(self._sock, max(deadline.left_ms(), 0))
                if "error" in reply:
                    raise ModelRaisedError(reply["error"])
                if "done" in reply:
                    return
                yield reply, numbers
        except TimeoutError:
            self.kill()
            raise
        except (PeerGoneError, TornMessageError, OSError) as gone:
            self.kill()
            raise WorkerGoneError from gone

    def kill(self) -> None:
        """End the process now; harmless if it is gone."""
        self.alive = False
        with contextlib.suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        self._sock.close()


class Supervisor:
    """Owns the zygote: a preloaded process that forks a fresh worker in milliseconds. Started again should it die."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment |= ONE_THREAD | {"PYTHONPATH": str(Path(__file__).parent.parent)}
        self._zygote = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.worker", str(theirs.fileno())],
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
        """A fresh worker. Raises WorkerGoneError if none can be had."""
        with self._lock:
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
            self._stop()
