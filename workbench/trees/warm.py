"""Compiles the kernels ahead of need: `python -m workbench.trees.warm`. Until it is done, a library's own way serves.

numba keeps what it compiled on disk. Nothing here imports it but the process that compiles, and whoever finds its work done.
"""

import fcntl
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench import __version__
from workbench.schema import Floats
from workbench.shipped import kernels
from workbench.trees.ensemble import Ensemble, NoEnsembleError

if TYPE_CHECKING:
    from workbench.trees.kernel import TreeKernel

PROBES, GAPS = 64, 0.1


def done() -> bool:
    """Whether the kernels of this version are compiled for this machine."""
    return _stamp().exists()


def begin() -> None:
    """Load the compiled kernels into this process; where there are none, have another compile them at the lowest priority."""
    if done():
        run()
        return
    command = [sys.executable, "-P", "-m", __name__]
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@cache
def run() -> None:
    """Run every kernel once, in both precisions."""
    ensemble, rows = _small(), np.zeros((PROBES, 2))
    for dtype in (np.float64, np.float32):
        kernel: TreeKernel = _kernel()(ensemble, dtype)
        kernel.predict(rows)
        kernel.contributions(rows)
        kernel.contributions(rows[:1])
        list(kernel.interactions(rows))
        kernel.interventional(rows, rows)
        kernel.interventional(rows[:1], rows)


class Kept:
    """The kernel of one model, made when it is first wanted and there, and held against the library's own outputs.

    `precision`: how far the library's sums may be from it, relative to the size of the output. `missing`: whether it takes NaN.
    """

    def __init__(
        self,
        ensemble: Callable[[], Ensemble | None],
        predict: Callable[[Floats], Floats],
        precision: float = 1e-12,
        *,
        missing: bool = True,
    ) -> None:
        self._ensemble, self._predict, self._precision, self._missing = ensemble, predict, precision, missing
        self._kernel: TreeKernel | None = None
        self._tried = False

    @property
    def pending(self) -> bool:
        """Whether the model still waits for the kernels to be compiled."""
        return not self._tried

    def get(self, *, wait: bool) -> "TreeKernel | None":
        """The kernel. None where it is not compiled, or the model not one for it; without `wait` also where it is not loaded yet.

        Loading takes a second, which is worth it for many rows.
        """
        if not self._tried and (run.cache_info().currsize or (wait and done())):
            run()
            self._tried = True
            self._kernel = self._made()
        return self._kernel

    def _made(self) -> "TreeKernel | None":
        from workbench.trees.program import TooLargeError  # noqa: PLC0415 - imports numba

        try:
            ensemble = self._ensemble()
            if ensemble is None:
                return None
            kernel, rows = _kernel()(ensemble), _probes(ensemble, missing=self._missing)
        except (NoEnsembleError, TooLargeError):
            return None
        expected, found = self._predict(rows), kernel.predict(rows)
        close = np.abs(found - expected) <= self._precision * np.abs(expected).max()
        return kernel if close.all() else None


def _probes(ensemble: Ensemble, *, missing: bool) -> Floats:
    """Rows of the model's own thresholds, where a comparison that is wrong shows, and of gaps."""
    rng = np.random.default_rng(0)
    rows = np.zeros((PROBES, ensemble.n_features))
    for feature in np.unique(ensemble.feature):
        at = ensemble.threshold[(ensemble.feature == feature) & np.isfinite(ensemble.threshold)]
        if len(at):
            rows[:, feature] = rng.choice(at, PROBES)
    if missing:
        rows[rng.random(rows.shape) < GAPS] = np.nan
    return rows


def _kernel() -> "type[TreeKernel]":
    from workbench.trees.kernel import TreeKernel  # noqa: PLC0415 - imports numba, which takes a second

    return TreeKernel


def _small() -> Ensemble:
    """One split of each kind."""
    return Ensemble(
        n_features=2,
        base=0.0,
        roots=np.array([0], np.int32),
        feature=np.array([0, 1], np.int32),
        threshold=np.zeros(2),
        missing=np.full(2, 2, np.uint8),
        missing_left=np.array([True, False]),
        left=np.array([1, ~1], np.int32),
        right=np.array([~0, ~2], np.int32),
        cover=np.array([4.0, 3.0]),
        values=np.array([1.0, 2.0, 4.0]),
        leaf_cover=np.array([1.0, 2.0, 1.0]),
    )


def _stamp() -> Path:
    """A file that is there once all is compiled: for this version of everything, this code, and this kind of processor."""
    words = [__version__, version("numba"), version("llvmlite"), platform.python_version(), _processor(), _code()]
    return kernels() / f"ready-{'-'.join(words)}"


@cache
def _processor() -> str:
    import llvmlite.binding  # noqa: PLC0415 - takes a while

    return str(llvmlite.binding.get_host_cpu_name())


@cache
def _code() -> str:
    """Stands for where the code is and when it was written: numba compiles anew for another place or time, versions or not."""
    written = [(str(path), path.stat().st_mtime_ns) for path in sorted(Path(__file__).parent.glob("*.py"))]
    return sha256(repr(written).encode()).hexdigest()[:16]


def main() -> None:
    """Compile, unless another process is at it; then say so on disk."""
    os.nice(19)
    kernels().mkdir(parents=True, exist_ok=True)
    with (kernels() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        run()
        _stamp().touch()


if __name__ == "__main__":
    main()
