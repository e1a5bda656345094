"""What most tests share: a ledger of its own for every test, one desk for the session."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from workbench import cli
from workbench.desk import Desk
from workbench.trees import warm

# Kernels are compiled once, not for the home of every test; before numba is imported.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"workbench-kernels-{os.getuid()}"))

# A busy machine is no failure of what is tested.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def compiled():
    """No test finds the kernels half compiled."""
    while not warm.done():
        subprocess.run([sys.executable, "-m", "workbench.trees.warm"], check=True)
        time.sleep(0.5)  # another process is at it


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """No test writes into the home of whoever runs it."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def desk() -> Iterator[Desk]:
    with Desk() as found:
        yield found


@pytest.fixture
def run(capsys):
    """Run a command in this process; gives status, standard output, standard error."""

    def go(*words):
        status = cli._guard(partial(cli.app, args=[str(w) for w in words]), debug=False, lang="en")
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return go
