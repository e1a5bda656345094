"""Damaged copies of model files, each loaded, asked and explained in a process of its own: `python tests/bench/mutants.py FOLDER FORMAT COUNT SEED`.

The folder holds intact models and `rows.npy`; how many ended how is printed as JSON; copies that ended badly are kept there.
"""

import collections
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from damage import mutants, put_to

from workbench import models


def used(module, path: Path, rows) -> None:
    module.inspect(path)
    model = module.load(path)
    model.predict(rows)
    getattr(model, "contributions", model.predict)(rows)


def main(folder: Path, name: str, count: int, seed: int) -> dict[str, int]:
    module = models.find(name)
    module.preload()
    rows = np.load(folder / "rows.npy")
    seeds = [path.read_bytes() for path in sorted(folder.glob("seed*"))]
    ends = collections.Counter()
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "model"
        for content in mutants(seeds, count, seed):
            path.write_bytes(content)
            end = put_to(lambda: used(module, path, rows))
            ends[end] += 1
            if end not in {"refused", "done"}:
                (folder / f"kept_{ends.total()}").write_bytes(content)
    return ends


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
