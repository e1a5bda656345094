"""Bundles for the desk: built from the nouns, with a Python function as the model, so that it can misbehave on demand."""

from pathlib import Path

import numpy as np
import pandas as pd

from workbench.manifest import Manifest
from workbench.schema import ModelFile, Panel, StrategyBundle

FEATURES = ("a", "b", "c", "d")
ROWS = 240
CODE = """
import ctypes, os, sys, time

def product(f):
    return (f["a"] * f["b"] + f["c"]).to_numpy()

def sleeps(f):
    time.sleep(30)

def sleeps_later(f):
    if len(f) > 150:
        time.sleep(30)
    return product(f)

def crashes(f):
    ctypes.string_at(0)

def raises(f):
    raise ValueError("no such thing {x} [b]")

def chatters(f):
    print("noise " * 1000)
    sys.stderr.write("noise " * 1000)
    return product(f)

def eats(f):
    return [0] * (1 << 40)

def wrong_shape(f):
    return [[1.0]]

kept = []

def leaks(f):
    kept.append(b"x" * (300 << 20))
    return product(f)

def swells(f):
    while True:
        kept.append(b"x" * (16 << 20))
        time.sleep(0.01)

def takes_long(f):
    time.sleep(0.005)
    return (f["a"] * f["b"] * f["c"] + f["d"] ** 2 * f["a"]).to_numpy()

def forks(f):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    return product(f)
"""


def python_bundle(folder: Path, function: str, entities: np.ndarray | None = None, idle: int = 0) -> StrategyBundle:
    """A bundle whose model is `function` of CODE, on random rows; `entities` doubles up the dates, `idle` adds features without use."""
    features = (*FEATURES, *(f"idle_{i}" for i in range(idle)))
    path = folder / "author.py"
    path.write_text(CODE)
    manifest = Manifest.model_validate(
        {
            "bundle": {"name": function},
            "model": {"format": "python", "entry": f"author:{function}"},
            "panel": {"file": "panel.csv", "time": "date"},
            "split": {"train_end": "2020-06-30"},
        }
    )
    rng = np.random.default_rng(7)
    table = pd.DataFrame(rng.normal(size=(ROWS, len(features))), columns=list(features))
    times = pd.bdate_range("2020-01-01", periods=ROWS)
    if entities is not None:
        times = times[: ROWS // len(entities)].repeat(len(entities))
        entities = np.resize(entities, ROWS)
    model = ModelFile("author.py", path, "python", f"sha-{function}-{idle}", entry=f"author:{function}")
    panel = Panel(times, table, features, entities)
    return StrategyBundle(
        folder, manifest, (model,), panel, None, {}, "panel-sha", f"bundle-{function}-{idle}-{folder}"
    )
