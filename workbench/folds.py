"""Training and test rows under labels that look ahead: how an author validated, and the same folds purged.

The label of step t is a return over (t, t + horizon]. Two labels share returns if their steps are less than `horizon` apart.
López de Prado (2018), Advances in Financial Machine Learning, chapter 7: purge what overlaps, embargo what follows.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Ints = NDArray[np.intp]
Validation = Literal["walk_forward", "purged", "blocked", "shuffled", "none"]


@dataclass(frozen=True)
class Folds:
    """Train and test rows, bool (k, n); `steps` (n,) numbers the decision times, so that a date's instruments go together."""

    train: Mask
    test: Mask
    steps: Ints

    def overlap(self, horizon: int) -> float:
        """Share of training rows whose label shares returns with a test row's, over all folds."""
        meets = [tr & _near(self.steps, te, horizon, horizon) for tr, te in zip(self.train, self.test, strict=True)]
        return float(np.sum(meets) / max(1, self.train.sum()))

    def purged(self, horizon: int, embargo: int) -> "Folds":
        """Leave out training rows that overlap with a test row, and those up to `embargo` steps further after one."""
        near = np.array([_near(self.steps, test, horizon, horizon + embargo) for test in self.test], bool)
        return Folds(self.train & ~near.reshape(self.train.shape), self.test, self.steps)


def _near(steps: Ints, test: Mask, before: int, after: int) -> Mask:
    """(n,) rows less than `before` steps ahead of a test row, or less than `after` steps behind one."""
    tested = np.unique(steps[test])
    if not len(tested):
        return np.zeros(len(steps), bool)
    following = np.searchsorted(tested, steps, side="left")
    ahead = tested[np.minimum(following, len(tested) - 1)] - steps
    behind = steps - tested[np.maximum(np.searchsorted(tested, steps, side="right") - 1, 0)]
    return np.asarray(((ahead >= 0) & (ahead < before)) | ((behind >= 0) & (behind < after)))


def contiguous(steps: Ints, rows: Mask, k: int, embargo: int = 0) -> Folds:
    """Split `rows` into k blocks of time; train on all others, but for `embargo` steps on either side."""
    test = _blocks(steps, rows, k)
    near = np.array([_near(steps, block, embargo + 1, embargo + 1) for block in test])
    return Folds(rows & ~near, test, steps)


def walk_forward(steps: Ints, rows: Mask, k: int, embargo: int = 0) -> Folds:
    """Split `rows` into k + 1 blocks of time; test on each but the first, train on all before it but for `embargo` steps."""
    test = _blocks(steps, rows, k + 1)[1:]
    train = np.array([rows & (steps < steps[block].min(initial=steps.max() + 1) - embargo) for block in test])
    return Folds(train, test, steps)


def shuffled(steps: Ints, rows: Mask, k: int, rng: np.random.Generator) -> Folds:
    """Split `rows` at random into k parts, as ordinary cross-validation does."""
    part = np.full(len(steps), -1)
    part[rows] = rng.permutation(np.arange(rows.sum()) % k)
    test = np.array([part == i for i in range(k)])
    return Folds(rows & ~test, test, steps)


def as_declared(
    validation: Validation, steps: Ints, rows: Mask, *, k: int, horizon: int, embargo: int, rng: np.random.Generator
) -> Folds | None:
    """Rebuild the author's validation inside `rows` from the manifest's word for it; None where there was none."""
    match validation:
        case "shuffled":
            return shuffled(steps, rows, k, rng)
        case "blocked":
            return contiguous(steps, rows, k, embargo)
        case "walk_forward":
            return walk_forward(steps, rows, k, embargo)
        case "purged":
            return contiguous(steps, rows, k).purged(horizon, embargo)
        case "none":
            return None


def _blocks(steps: Ints, rows: Mask, k: int) -> Mask:
    """(k, n) blocks of about as many steps each."""
    parts = np.array_split(np.unique(steps[rows]), k)
    return np.array([rows & np.isin(steps, part) for part in parts])
