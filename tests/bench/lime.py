"""LIME beside the lime package: `python tests/bench/lime.py` writes tests/bench/lime.md.

50 features, a neural network (scikit-learn, 64 x 64) and a LightGBM model (200 trees of 31 leaves), one thread, CPU time.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import platform
import sys
import warnings
from datetime import date
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from time import process_time

# This file bears the peer's name: its folder must not come first.
sys.path[:] = [
    str(Path(__file__).parents[2]),
    *(p for p in sys.path if Path(p or ".").resolve() != Path(__file__).parent),
]

import lightgbm
import numpy as np
from sklearn.neural_network import MLPRegressor

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from lime.lime_tabular import LimeTabularExplainer

from workbench.budget import Deadline
from workbench.explain import lime
from workbench.local_fit import LIME_DRAWS, LocalFit
from workbench.neighbourhood import Neighbourhood

FEATURES, ROWS, ROUNDS, SEEDS, RUNS = 50, 1000, 15, 20, 200
EXPLAINED, ENDLESS = (5, 17, 300), 1_000_000
STAGES = (150, 300, 600, 1200, 2400, 4800)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, FEATURES))
Y = X[:, 0] * X[:, 1] + np.tanh(2 * X[:, 2]) + X[:, 3:13] @ np.linspace(0.2, 1, 10) + 0.3 * RNG.normal(size=ROWS)


class Network:
    name = "network"

    def __init__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 40 rounds are enough for a model to explain
            self.predict = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=40, random_state=0).fit(X, Y).predict


class Trees:
    name = "LightGBM"

    def __init__(self):
        params = {"objective": "regression", "num_leaves": 31, "learning_rate": 0.05, "verbose": -1, "num_threads": 1}
        self.booster = lightgbm.train(params, lightgbm.Dataset(X, Y), 200)

    def predict(self, rows):
        return self.booster.predict(rows, num_threads=1)


def spent(call):
    before = process_time()
    call()
    return (process_time() - before) * 1000


def top(values):
    return frozenset(np.argsort(-np.abs(values))[:5].tolist())


def overlap(sets):
    return float(np.mean([len(a & b) / 5 for a, b in combinations(sets, 2)]))


def peer(model, row, seed, selection="none"):
    """The lime package's coefficients at 5,000 samples; its default chooses ten features first."""
    explainer = LimeTabularExplainer(X, mode="regression", feature_selection=selection, random_state=seed)

    def explain():
        answer = explainer.explain_instance(row, model.predict, num_features=10, num_samples=LIME_DRAWS + 1)
        values = np.zeros(FEATURES)
        for feature, value in answer.local_exp[1]:
            values[feature] = value
        return values

    return explain


def one_batch(model, row, seed):
    """Ours with the same number of draws, everything included; and the milliseconds of each part."""
    rng, weight, parts, clock = np.random.default_rng(seed), lime.kernel(FEATURES), {}, process_time()

    def lap(part):
        nonlocal clock
        parts[part], clock = (process_time() - clock) * 1000, process_time()

    near = Neighbourhood(row, X)
    lap("tables")
    rows, on, deviations = near.draw(LIME_DRAWS, rng)
    weights = weight[(~on).sum(axis=1)]
    lap("drawing")
    y = model.predict(rows) - model.predict(row[None])[0]
    lap("predict")
    fit = LocalFit(len(near.varying))
    fit.add(on, weights, y, deviations)
    lime.stability(fit.coefficients, fit.std_error, rng)
    lap("fit, errors, stability")
    return parts


def speed(models):
    yield "## The same 5,000 samples\n"
    yield "CPU milliseconds, medians of one interleaved run. lime's own set-up (building its explainer) is not counted; ours is.\n"
    yield "| model | lime | ours | ratio | tables | drawing | fit, errors, stability | the model's predict |"
    yield "|---|---|---|---|---|---|---|---|"
    for model in models:
        theirs, ours = [], []
        for seed in range(ROUNDS):
            row = X[EXPLAINED[seed % len(EXPLAINED)]]
            theirs.append(spent(peer(model, row, seed)))
            ours.append(one_batch(model, row, seed))
        part = {name: float(np.median([o[name] for o in ours])) for name in ours[0]}
        total = float(np.median([sum(o.values()) for o in ours]))
        ratio = np.median(theirs) / total
        drawing, fitting = part["drawing"], part["fit, errors, stability"]
        yield (
            f"| {model.name} | {np.median(theirs):.0f} | {total:.1f} | {ratio:.0f}× | {part['tables']:.1f} | {drawing:.1f} "
            f"| {fitting:.1f} | {part['predict']:.1f} |"
        )


def agreement(models):
    yield f"\n## Do {SEEDS} seeds name the same five features?\n"
    yield "Mean share of the five that two seeds have in common; ours gets lime's CPU time for 5,000 samples as its deadline.\n"
    yield "| model | row | lime, default | lime, all features | CPU ms | ours in that time | our draws |"
    yield "|---|---|---|---|---|---|---|"
    for model in models:
        for at in EXPLAINED:
            default = overlap([top(peer(model, X[at], seed, "auto")()) for seed in range(SEEDS)])
            theirs, times = [], []
            for seed in range(SEEDS):
                call, before = peer(model, X[at], seed), process_time()
                theirs.append(top(call()))
                times.append((process_time() - before) * 1000)
            budget = float(np.median(times))
            ours = []
            for seed in range(SEEDS):
                rng, deadline = np.random.default_rng(seed), Deadline(budget, clock=process_time)
                *_, last = lime.explain(model, X[at], X, deadline, rng)
                ours.append(last)
            agreed, draws = overlap([top(o.values) for o in ours]), np.median([o.samples for o in ours])
            yield f"| {model.name} | {at} | {default:.2f} | {overlap(theirs):.2f} | {budget:.0f} | {agreed:.2f} | {draws:,.0f} |"


def endless(model, row):
    near, fit, rng = Neighbourhood(row, X), LocalFit(FEATURES), np.random.default_rng(10**6)
    for _ in range(ENDLESS // 5000):
        rows, on, deviations = near.draw(5000, rng)
        fit.add(
            on, lime.kernel(FEATURES)[(~on).sum(axis=1)], model.predict(rows) - model.predict(row[None])[0], deviations
        )
    return fit


def staged(model, row, seed):
    """The first estimate with at least so many draws, for each of STAGES."""
    found = []
    for estimate in lime.explain(model, row, X, Deadline(1e9), np.random.default_rng(seed)):
        found += [estimate] * (len(found) < len(STAGES) and estimate.samples >= STAGES[len(found)])
        if len(found) == len(STAGES):
            break
    return found


def honesty(models):
    yield "\n## Do error bars, R² and stability hold?\n"
    yield (
        f"{RUNS} seeds, row {EXPLAINED[0]}, estimates as a run yields them. Covered: share of 95 % intervals (± 1.96 errors) that "
        f"hold the value of {ENDLESS:,} draws, over all {FEATURES} features and over the five largest. Agreement: what `stability` "
        "foretells (mean, 5 % and 95 % of the seeds) and what pairs of seeds then had in common.\n"
    )
    yield "| model | draws | covered | the five largest | R² (of endless draws) | foretold | observed |"
    yield "|---|---|---|---|---|---|---|"
    for model in models:
        row = X[EXPLAINED[0]]
        truth = endless(model, row)
        largest = np.argsort(-np.abs(truth.coefficients))[:5]
        for stage in zip(*(staged(model, row, seed) for seed in range(RUNS)), strict=True):
            covered = np.array([np.abs(e.values - truth.coefficients) <= 1.96 * e.std_error for e in stage])
            foretold = [e.stability for e in stage]
            low, high = np.quantile(foretold, [0.05, 0.95])
            yield (
                f"| {model.name} | {stage[0].samples:,} | {covered.mean():.1%} | {covered[:, largest].mean():.1%} "
                f"| {np.mean([e.fit_r2 for e in stage]):.2f} ({truth.r2:.2f}) | {np.mean(foretold):.2f} ({low:.2f}, {high:.2f}) "
                f"| {overlap([top(e.values) for e in stage]):.2f} |"
            )


def main():
    models = [Network(), Trees()]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {date.today()}"  # noqa: DTZ011
    libraries = ", ".join(f"{name} {version(name)}" for name in ("lime", "lightgbm", "numpy", "scikit-learn"))
    lines = [
        "# LIME, measured beside the lime package",
        "",
        f"`python tests/bench/lime.py`, {machine}; {libraries}; one thread, load average {os.getloadavg()[1]:.1f}.",
        "",
    ]
    for part in (speed, agreement, honesty):
        for line in part(models):
            print(line, flush=True)
            lines.append(line)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
