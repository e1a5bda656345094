"""The commands: one file each, whose function `command` is the command of that name. Heavy imports wait inside it."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path


def commands() -> Iterator[tuple[str, Callable[..., None]]]:
    """Name and function of every command, by name."""
    for file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        yield file.stem, import_module(f"{__name__}.{file.stem}").command
