"""Fitted models of scikit-learn and onnx for the tests of the two formats, and what damages a file a little."""

import os
import random
import re
import resource
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

NAMES = ("y10", "slope", "spread", "momentum", "volatility")


@cache
def rows(n: int = 200) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(n, len(NAMES)))


@cache
def labels(n: int = 200) -> np.ndarray:
    X = rows(n)
    return X[:, 0] + np.where(X[:, 1] > 0, X[:, 2], -X[:, 3])


def table(n: int = 200) -> pd.DataFrame:
    return pd.DataFrame(rows(n), columns=list(NAMES))


def fitted(model, *, named: bool = True):
    """The estimator fitted on 200 rows: classifiers on the labels' sign, regressors on positive labels."""
    y = (labels() > 0).astype(int) if is_classifier(model) else labels() - labels().min() + 0.1
    return model.fit(table() if named else rows(), y)


def damaged(content: bytes, dice: random.Random) -> bytes:
    """The content with one to three small faults: bits, words, lost, doubled or swapped stretches, or a lost end."""
    data = bytearray(content)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data))
        kind = dice.randrange(7)
        if kind == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        elif kind == 2:
            words = (-1, 2**31 - 1, -(2**31), 10**6, 0)
            data[at : at + 4] = dice.choice(words).to_bytes(4, "little", signed=True)
        elif kind == 3:
            del data[at : at + dice.randint(1, 64)]
        elif kind == 4:
            data[at:at] = data[at : at + dice.randint(1, 64)]
        elif kind == 5 and (number := re.search(rb"-?\d+", data[at:])):
            extreme = dice.choice((b"-1", b"0", b"2", b"7", b"1000000", b"2147483647", b"NaN", b"-9e99"))
            data[at + number.start() : at + number.end()] = extreme
        elif kind == 6:
            del data[at:]
        if not data:
            return b""
    return bytes(data)


def outcomes(mutants: list[Path], tried: Callable[[Path], str], limit_mb: int = 2048, seconds: int = 10) -> list[str]:
    """What `tried` says of each file, or `crash`, `hang` or `memory`: in forked children, which may die without harm."""
    told: list[str] = []
    while len(told) < len(mutants):
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            _child(mutants[len(told) :], tried, write, limit_mb, seconds)
        os.close(write)
        with os.fdopen(read) as stream:
            told += stream.read().split()
        _, status = os.waitpid(pid, 0)
        if len(told) < len(mutants):
            told.append("hang" if os.WTERMSIG(status) == signal.SIGXCPU else "crash")
    return told


def _child(mutants: list[Path], tried: Callable[[Path], str], write: int, limit_mb: int, seconds: int) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (limit_mb << 20), -1))
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(silent, stream)
    for path in mutants:
        spent = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, -1))
        try:
            said = tried(path)
        except MemoryError:
            said = "memory"
        except Exception as error:  # noqa: BLE001 - the child tells, whatever it was
            said = type(error).__name__
        os.write(write, f"{said}\n".encode())
    os._exit(0)
