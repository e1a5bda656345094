"""Sampled interventional Shapley values for any model: antithetic permutations, each pair on one background row.

A pair walks a random order of the features forwards and backwards, switching them from a background row to the explained
row one at a time (Castro et al. 2009; antithetic pairs: Mitchell et al. 2022). Taking one background row a pair, without
replacement until all are used, averages over orders and over the background with the same calls of `predict`.
"""

from collections.abc import Iterator

import numpy as np

from workbench.budget import Deadline
from workbench.model import Estimate, Model
from workbench.schema import Floats

EXACT = False
BACKGROUND_ROWS = 100
SHARE_OF_REST = 0.25
MOST_ROWS = 50_000
# Settled: every standard error is below this share of the largest contribution.
PRECISION = 0.005
ENOUGH_PAIRS = 30


def applies(model: Model) -> bool:
    """Any model that predicts."""
    del model
    return True


def explain(
    model: Model, row: Floats, background: Floats, deadline: Deadline, rng: np.random.Generator
) -> Iterator[Estimate]:
    """Yield growing averages with standard errors; each batch is sized by what the last one cost."""
    prediction = float(model.predict(row[None])[0])
    count, total, squares = 0, np.zeros(len(row)), np.zeros(len(row))
    pairs, queue = 2, np.empty(0, np.intp)
    while True:
        before = deadline.elapsed_ms()
        while len(queue) < pairs:
            queue = np.concatenate([queue, rng.permutation(len(background))])
        sample = _walk(model, row, background[queue[:pairs]], rng)
        queue = queue[pairs:]
        count += pairs
        total += sample.sum(axis=0)
        squares += (sample**2).sum(axis=0)
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0) * count / (count - 1)
        error = np.sqrt(variance / count)
        settled = count >= ENOUGH_PAIRS and bool(error.max() <= PRECISION * np.abs(mean).max())
        base = prediction - float(mean.sum())
        yield Estimate(mean, base, error, exact=False, settled=settled, samples=count)
        cost = (deadline.elapsed_ms() - before) / pairs
        pairs = min(int(SHARE_OF_REST * deadline.left_ms() / max(cost, 1e-3)), MOST_ROWS // (2 * len(row)) + 1)
        if settled or pairs < 1:
            return


def _walk(model: Model, row: Floats, origins: Floats, rng: np.random.Generator) -> Floats:
    """Marginal contributions (pairs, d), each the mean of one order and of its reverse, from `origins` (pairs, d) to row."""
    pairs, d = origins.shape
    rank = np.argsort(rng.random((pairs, d)), axis=1)  # feature j is switched as number rank[j]
    steps = np.arange(1, d)
    forward = rank[:, None, :] < steps[:, None]  # (pairs, d - 1, d): switched after `steps` steps
    rows = np.where(np.concatenate([forward, ~forward], axis=1), row, origins[:, None, :])
    inner = model.predict(rows.reshape(-1, d)).reshape(pairs, 2, d - 1)
    ends = np.broadcast_to(model.predict(row[None]), (pairs, 1))
    starts = model.predict(origins)[:, None]
    up = np.diff(np.concatenate([starts, inner[:, 0], ends], axis=1), axis=1)  # gain of the k-th step
    # ~forward after k steps has the features of rank >= k switched: read backwards it is the reversed order
    down = -np.diff(np.concatenate([ends, inner[:, 1], starts], axis=1), axis=1)
    gains = (up + down) / 2
    return np.take_along_axis(gains, rank, axis=1)
