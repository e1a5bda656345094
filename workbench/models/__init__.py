"""The model formats: one file each, found by listing this folder; a name from outside is looked up, never imported blindly."""

from importlib import import_module
from pathlib import Path
from types import ModuleType


def formats() -> tuple[str, ...]:
    """The formats that can be read, by name."""
    return tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__"))


def find(format: str) -> ModuleType:  # noqa: A002 - the manifest's word
    """The module of a format, with `inspect(path)` and `load(path, entry)`; `KeyError` if there is none.

    >>> find("lightgbm").__name__
    'workbench.models.lightgbm'
    """
    if format not in formats():
        raise KeyError(format)
    return import_module(f"{__name__}.{format}")
