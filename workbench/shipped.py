"""Where folders stand: those that ship with the package, and what the workbench keeps for itself."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(folder: str) -> Path:
    """The path of `pages`, `audits` or `datasets`: beside the package in a checkout, inside it in an installed wheel."""
    inside = _PACKAGE / "_shipped" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def home() -> Path:
    """Where the workbench keeps what it remembers: $WORKBENCH_HOME, else ~/.workbench."""
    return Path(os.environ.get("WORKBENCH_HOME") or Path.home() / ".workbench")


def kernels() -> Path:
    """Where compiled kernels are kept: $NUMBA_CACHE_DIR, else a folder in the home."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or home() / "kernels")
