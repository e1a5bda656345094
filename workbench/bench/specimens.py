"""Bundles to measure: random but valid models over random rows, made without any training library."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.beginning.toml import quoted

ROWS = 400
TRAINED_ON = 10_000


@dataclass(frozen=True)
class Specimen:
    """A model to measure: `trees` of `leaves` each, or a network of `layers` (widths from input to output)."""

    features: int
    trees: int = 0
    leaves: int = 0
    layers: tuple[int, ...] = ()

    @property
    def size(self) -> str:
        """How large it is: trees x leaves, or widths.

        >>> Specimen(50, trees=100, leaves=31).size, Specimen(20, layers=(20, 32, 1)).size
        ('100 × 31', '20–32–1')
        """
        return f"{self.trees} × {self.leaves}" if self.trees else "–".join(map(str, self.layers))


FULL = (
    *(Specimen(50, trees=trees, leaves=leaves) for trees, leaves in ((100, 31), (500, 31), (500, 127), (1000, 127))),
    Specimen(20, layers=(20, 32, 1)),
    Specimen(50, layers=(50, 64, 64, 1)),
)
QUICK = (FULL[0], FULL[2], FULL[4])


def write_bundle(specimen: Specimen, folder: Path, seed: int) -> Path:
    """Write the specimen's bundle into `folder`, which is made, and give the folder back."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    names = [f"x{i}" for i in range(specimen.features)]
    table = pd.DataFrame(rng.normal(size=(ROWS, len(names))), columns=names)
    table.insert(0, "date", pd.bdate_range("2020-01-01", periods=ROWS))
    table.to_parquet(folder / "panel.parquet", index=False)
    if specimen.trees:
        (folder / "model.txt").write_text(forest_text(specimen, rng), "utf-8")
        model = 'file = "model.txt"\nformat = "lightgbm"'
    else:
        pairs = zip(specimen.layers[:-1], specimen.layers[1:], strict=True)
        layers = {f"layer_{i}": rng.normal(size=pair) / np.sqrt(pair[0]) for i, pair in enumerate(pairs)}
        np.savez(folder / "weights.npz", allow_pickle=False, **layers)
        shutil.copyfile(Path(__file__).with_name("network.py"), folder / "network.py")
        model = 'format = "python"\nentry = "network:score"'
    features = ", ".join(map(quoted, names))
    panel = f'file = "panel.parquet"\ntime = "date"\nfeatures = [{features}]'
    (folder / "bundle.toml").write_text(f'[bundle]\nname = "bench"\n[model]\n{model}\n[panel]\n{panel}\n', "utf-8")
    return folder


def forest_text(specimen: Specimen, rng: np.random.Generator) -> str:
    """A LightGBM text model of random trees, each of which parts 10,000 imagined rows."""
    trees = [_tree(i, specimen, rng) for i in range(specimen.trees)]
    head = ["tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0"]
    head += [f"max_feature_idx={specimen.features - 1}", "objective=regression"]
    head += [f"feature_names={' '.join(f'x{i}' for i in range(specimen.features))}"]
    head += [f"feature_infos={' '.join(['[-5:5]'] * specimen.features)}"]
    head += [f"tree_sizes={' '.join(str(len(tree)) for tree in trees)}", "", ""]
    end = "end of trees\n\nfeature_importances:\n\nparameters:\n\nend of parameters\n\npandas_categorical:null\n"
    return "\n".join(head) + "".join(trees) + end


def _tree(number: int, specimen: Specimen, rng: np.random.Generator) -> str:
    """One section: the leaf with the most rows is split until there are enough."""
    rows, parents = [TRAINED_ON], [(-1, 0)]  # of each leaf: its rows, and the node and side that it hangs from
    children: list[list[int]] = []
    counts: list[int] = []
    for node in range(specimen.leaves - 1):
        leaf = int(np.argmax(rows))
        above, side = parents[leaf]
        if above >= 0:
            children[above][side] = node
        left = max(int(rows[leaf] * rng.uniform(0.2, 0.8)), 1)
        counts.append(rows[leaf])
        children.append([~leaf, ~len(rows)])
        rows.append(rows[leaf] - left)
        rows[leaf] = left
        parents[leaf] = (node, 0)
        parents.append((node, 1))
    nodes = specimen.leaves - 1
    lines: dict[str, Sequence[object]] = {
        "num_leaves": [specimen.leaves],
        "num_cat": [0],
        "split_feature": rng.integers(specimen.features, size=nodes).tolist(),
        "threshold": np.round(rng.normal(scale=0.8, size=nodes), 6).tolist(),
        "decision_type": [2] * nodes,
        "left_child": [left for left, _ in children],
        "right_child": [right for _, right in children],
        "leaf_value": np.round(rng.normal(scale=0.01, size=specimen.leaves), 9).tolist(),
        "leaf_count": rows,
        "internal_count": counts,
        "is_linear": [0],
        "shrinkage": [1],
    }
    return "\n".join([f"Tree={number}", *_lines(lines), "", "", ""])


def _lines(values: dict[str, Sequence[object]]) -> Iterator[str]:
    yield from (f"{key}={' '.join(map(str, numbers))}" for key, numbers in values.items())
