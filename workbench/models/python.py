"""A Python function of the author's: DataFrame in, 1-D array out. It runs code, so it needs --trust-code, and a worker."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.schema import Floats

LIBRARY = None


def recognises(path: Path) -> bool:
    """Never by its content: code is run only where a manifest asks for it and --trust-code allows it."""
    del path
    return False


def inspect(path: Path) -> tuple[str, ...]:
    """No names: a function takes whatever columns the manifest gives it. Nothing is run."""
    del path
    return ()


@dataclass(frozen=True)
class PythonModel:
    """The function with the column names that it is called with."""

    function: Callable[[pd.DataFrame], Any]
    feature_names: tuple[str, ...]
    scale: Literal["probability"] = "probability"
    takes_missing: bool = True

    def predict(self, rows: Floats) -> Floats:
        """(n, d) -> (n,); ValueError if the function gives anything but n finite or missing numbers."""
        answer = np.asarray(self.function(pd.DataFrame(rows, columns=list(self.feature_names))), np.float64)
        if answer.shape != (len(rows),):
            raise ValueError(
                f"predict gave shape {answer.shape} for {len(rows)} rows; a 1-D array of {len(rows)} is needed"
            )
        return answer


def load(path: Path, entry: str | None = None, features: tuple[str, ...] = ()) -> PythonModel:
    """Import the module at `path` and take the function named in `entry` ("module:function"). In a worker only."""
    if entry is None:
        raise ValueError("a python model needs an entry")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return PythonModel(getattr(module, entry.partition(":")[2]), features)
