"""Ensembles drawn at random, with all that a reader may hand over, and rows that stand on their edges."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from workbench.trees.ensemble import ZERO, Category, Ensemble, Missing

ONE = np.float64(1)
SMALLEST = [5e-324, 1e-40, np.nextafter(ZERO, 0), ZERO, np.nextafter(ZERO, 1)]
AROUND_ONE = [1.0, np.nextafter(ONE, 2), np.nextafter(ONE, 0), 1 + 1e-8]
LIMITS = np.array([0.0, *SMALLEST, *AROUND_ONE, 0.5, 2.5, 1e30, np.inf])
LIMITS = np.concatenate([LIMITS, -LIMITS])
"""Thresholds that are hard to tell apart, or odd."""
ODD = np.concatenate([LIMITS, [np.nan, np.nan, np.nan, -1.5, -0.7, 0.9, 3.0, 3.9, 4.0, 1e-36, 1e300, -1e300, 2.0**63]])
CATEGORIES = 6


def drawn(
    rng: np.random.Generator,
    *,
    width: int = 6,
    used: int = 4,
    trees: int = 3,
    depth: int = 4,
    chain: bool = False,
    smooth: bool = False,
    categorical: bool = False,
    single: bool = False,
    ragged: bool = False,
    hollow: bool = False,
) -> Ensemble:
    """Trees of at most `depth`; only the first `used` of `width` features are asked for, over and over again.

    `chain`: every split has a leaf, and the features come in turn; `smooth`: thresholds anywhere, else of `LIMITS`; `ragged`: covers
    that do not quite add up; `hollow`: whole sub-trees may lack cover, not leaves only.
    """
    growth = _Growth(rng, used, depth, chain=chain, hollow=hollow)
    roots = [growth.grow(0)[0] for _ in range(trees)]
    nodes, n = growth.nodes, len(growth.nodes)
    column = {name: [node[i] for node in nodes] for i, name in enumerate(("feature", "left", "right", "cover"))}
    cover = np.array(column["cover"], np.float64)
    is_set = rng.random(n) < 0.5 * categorical
    is_set &= np.array(column["feature"], int) % 2 == 0
    category = Category(int(rng.integers(3)))
    sets = tuple(_members(rng, category) for _ in range(3))
    return Ensemble(
        n_features=width,
        base=float(rng.choice([0.0, -1.25])),
        roots=np.array(roots, np.int32),
        feature=np.array(column["feature"], np.int32),
        threshold=rng.normal(size=n) if smooth else rng.choice(LIMITS, n),
        missing=np.where(is_set, Missing.NAN, rng.integers(0, 3, n)).astype(np.uint8),
        missing_left=rng.random(n) < 0.5,
        left=np.array(column["left"], np.int32),
        right=np.array(column["right"], np.int32),
        cover=cover * (1 + 0.01 * rng.random(n)) if ragged else cover,
        values=rng.normal(size=len(growth.leaves)),
        leaf_cover=np.array(growth.leaves, np.float64),
        single=single,
        category_set=np.where(is_set, rng.integers(0, 3, n), -1).astype(np.int32) if categorical else None,
        sets=sets if categorical else (),
        category=category,
    )


class _Growth:
    """Nodes (feature, left, right, cover) and leaves' covers, as they come."""

    def __init__(self, rng: np.random.Generator, used: int, depth: int, *, chain: bool, hollow: bool) -> None:
        self.rng, self.used, self.depth, self.chain, self.hollow = rng, used, depth, chain, hollow
        self.nodes: list[list[float]] = []
        self.leaves: list[float] = []

    def grow(self, level: int) -> tuple[int, float]:
        """A node or ~leaf, and its cover."""
        if level == self.depth or (not self.chain and self.rng.random() < 0.2):
            self.leaves.append(float(self.rng.integers(0, 6)))
            return ~(len(self.leaves) - 1), self.leaves[-1]
        here = len(self.nodes)
        self.nodes.append([level % self.used if self.chain else int(self.rng.integers(self.used)), 0, 0, 0])
        first = self.grow(self.depth if self.chain else level + 1)
        second = self.grow(level + 1)
        cover = first[1] + second[1]
        if cover == 0 and not self.hollow:
            self.leaves[-1] = cover = 1.0
        sides = (first[0], second[0]) if self.rng.random() < 0.5 else (second[0], first[0])
        self.nodes[here][1:] = [*sides, cover]
        return here, cover


def _members(rng: np.random.Generator, category: Category) -> np.ndarray:
    """Some categories, or none."""
    lowest = -2 if category == Category.EXACT else 0
    return np.sort(rng.choice(np.arange(lowest, CATEGORIES), rng.integers(0, CATEGORIES), replace=False))


def rows(ensemble: Ensemble, rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, d): thresholds and their neighbours in both precisions, what is odd, categories, and numbers between."""
    made = rng.normal(size=(n, ensemble.n_features))
    for feature in range(ensemble.n_features):
        at = ensemble.threshold[ensemble.feature == feature]
        with np.errstate(over="ignore"):
            near = [at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), at.astype(np.float32)]
        pool = np.concatenate([*near, ODD, np.arange(-2, CATEGORIES + 1)])
        made[:, feature] = np.where(rng.random(n) < 0.8, rng.choice(pool, n), made[:, feature])
    return made


def lone_leaves(trees: int = 2) -> Ensemble:
    """No split at all."""
    none = drawn(np.random.default_rng(0), trees=trees, depth=0)
    return replace(none, leaf_cover=np.zeros(trees))


def many_thresholds(rng: np.random.Generator) -> Ensemble:
    """One feature with more thresholds than a byte can count, beside others."""
    made = drawn(rng, trees=40, depth=6, used=3, smooth=True)
    assert len(np.unique(made.threshold[made.feature == 0])) > 255
    return made


small = st.builds(
    lambda seed, **how: drawn(np.random.default_rng(seed), **how),
    seed=st.integers(0, 2**32 - 1),
    used=st.integers(1, 5),
    trees=st.integers(1, 4),
    depth=st.integers(0, 6),
    chain=st.booleans(),
    smooth=st.booleans(),
    categorical=st.booleans(),
    single=st.booleans(),
    ragged=st.booleans(),
)
"""Ensembles whose Shapley values can be had by their definition."""
