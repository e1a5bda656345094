"""What most tests share: a ledger of its own for every test, one desk for the session."""

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from workbench import cli
from workbench.desk import Desk

# Kernels are compiled once, not for the home of every test; before numba is imported.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"workbench-kernels-{os.getuid()}"))

# A busy machine is no failure of what is tested.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


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
