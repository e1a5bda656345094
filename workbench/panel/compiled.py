"""Waits until the kernels are compiled on this machine: until then a library's own way serves, which rounds otherwise."""

import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from workbench.shipped import kernels
from workbench.trees import warm

WAIT_S = 0.2


def compiled() -> dict[str, str]:
    """Whose kernels serve from now on, for every row of the panel; none where they cannot be compiled. Takes a minute the first time."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "NUMBA_CACHE_DIR": str(kernels())}
    while not warm.done():
        command = [sys.executable, "-P", "-m", "workbench.trees.warm"]
        if subprocess.run(command, env=environment, check=False, capture_output=True).returncode:
            return {}
        time.sleep(WAIT_S)  # another process is at it
    return {"numba": version("numba")}
