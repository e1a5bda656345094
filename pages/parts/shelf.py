"""The bundles that the app may open, by their ids: a name from outside is looked up here and never becomes a path."""

import json
import os
from pathlib import Path

import streamlit as st

from workbench.bundles import load_bundle, shipped_bundles
from workbench.schema import BadInputError, StrategyBundle
from workbench.shipped import shipped


@st.cache_resource(show_spinner=False)
def folders() -> dict[str, Path]:
    """Id -> folder: those given on the command line first, then the shipped ones."""
    given = [Path(folder) for folder in json.loads(os.environ.get("WORKBENCH_BUNDLES", "[]"))]
    found: dict[str, Path] = {}
    for folder in (*given, *(shipped("datasets") / name for name in shipped_bundles())):
        alike = sum(known.name == folder.name for known in found.values())
        found[f"{folder.name} ({alike + 1})" if alike else folder.name] = folder
    return found


def read(name: str) -> StrategyBundle | BadInputError:
    """The bundle of that id, or its faults; read again when a file of it has changed."""
    folder = folders()[name]
    times = (file.stat().st_mtime_ns for file in (folder, *folder.glob("*")) if file.exists())
    return _read(folder, max(times, default=0))


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(folder: Path, changed: int) -> StrategyBundle | BadInputError:  # noqa: ARG001 - part of the cache's key
    try:
        return load_bundle(folder)
    except BadInputError as bad:
        return bad
