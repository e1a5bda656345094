"""Time to a given error of sampled Shapley values, ours beside shap, shapiq and lightshap: `python tests/bench/shapley.py`.

Writes tests/bench/shapley.md. One network of scikit-learn (50 features, 64 x 64), and the same as ONNX; background 100; the peers as their
documentation has them, at growing budgets; all in one process, interleaved, one thread, CPU time, medians over seeds. The error is the mean
absolute error of the values as a share of their range (largest less smallest), against a reference of 3,000 draws a background row.
Needs the packages of the extra `bench`.
"""

import logging
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import lightshap
import numpy as np
import shap
import shapiq
import skops.io
from skl2onnx import to_onnx
from sklearn.neural_network import MLPRegressor

sys.path[:0] = [str(Path(__file__).parents[2])]

from workbench import models
from workbench.budget import Deadline
from workbench.explain import shap as ours

FEATURES, BACKGROUND, SEEDS, TARGETS = 50, 100, 5, (0.05, 0.02, 0.01)
REFERENCE_ROUNDS = 3000
Timed = list[tuple[float, float]]


def network(folder: Path):
    """The fitted network, its files, a row and a background of correlated features."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 8)) @ rng.normal(size=(8, FEATURES)) * 0.7 + rng.normal(size=(4000, FEATURES))
    weights = rng.normal(size=FEATURES) * (rng.random(FEATURES) < 0.5)
    y = np.tanh(X @ weights / 4) + 0.5 * X[:, 0] * X[:, 1] - 0.3 * np.maximum(X[:, 2], 0) * X[:, 3]
    y += np.sin(X[:, 4]) * X[:, 5] + 0.2 * rng.normal(size=4000)
    fitted = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=60, random_state=0).fit(X[:3000], y[:3000])
    skops.io.dump(fitted, folder / "model.skops")
    (folder / "model.onnx").write_bytes(to_onnx(fitted, X[:1].astype(np.float32)).SerializeToString())
    return X[3500], X[3000:3100]


def reference(predict, row, background) -> np.ndarray:
    rng, total = np.random.default_rng(99), np.zeros(len(row))
    prediction = float(predict(row[None])[0])
    for _ in range(REFERENCE_ROUNDS):
        total += ours.draw(predict, row, background, prediction, rng).mean(axis=0)
    return total / REFERENCE_ROUNDS


class Race:
    """One model under all contenders."""

    def __init__(self, name: str, model, row: np.ndarray, background: np.ndarray) -> None:
        self.name, self.model, self.row, self.background = name, model, row, background
        self.truth = reference(model.predict, row, background)
        self.range = float(np.ptp(self.truth))

    def error(self, values) -> float:
        return float(np.abs(np.asarray(values, float).ravel() - self.truth).mean() / self.range)

    def ours(self, seed: int) -> Timed:
        """Every estimate of one run, by the time at which it came."""
        start, clock = time.process_time(), Deadline(3000, clock=time.process_time)
        estimates = ours.explain(self.model, self.row, self.background, clock, np.random.default_rng(seed))
        return [((time.process_time() - start) * 1000, self.error(estimate.values)) for estimate in estimates]

    def timed(self, call: Callable[[], np.ndarray]) -> tuple[float, float]:
        start = time.process_time()
        values = call()
        return (time.process_time() - start) * 1000, self.error(values)

    def peers(self) -> dict[str, tuple[tuple[int, ...], Callable[[int, int], np.ndarray]]]:
        predict, row, background, d = self.model.predict, self.row, self.background, FEATURES
        masker = shap.maskers.Independent(background, max_samples=BACKGROUND)
        kernel = shap.KernelExplainer(predict, background)
        imputer = shapiq.MarginalImputer(predict, background, x=row, sample_size=BACKGROUND, normalize=True)

        def permutation(budget: int, seed: int) -> np.ndarray:
            explainer = shap.explainers.Permutation(predict, masker, seed=seed)
            return explainer(row[None], max_evals=budget, silent=True).values

        def kernel_shap(budget: int, seed: int) -> np.ndarray:
            np.random.seed(seed)  # noqa: NPY002 - KernelExplainer draws from there
            return kernel.shap_values(row, nsamples=budget, l1_reg=False, silent=True)

        def shapiq_with(approximator, **how: object) -> Callable[[int, int], np.ndarray]:
            def call(budget: int, seed: int) -> np.ndarray:
                found = approximator(n=d, random_state=seed, **how).approximate(budget, imputer)
                return np.array([found[(j,)] for j in range(d)])

            return call

        def light(method: str) -> Callable[[int, int], np.ndarray]:
            def call(budget: int, seed: int) -> np.ndarray:
                how = {"method": method, "how": "sampling", "max_iter": budget, "tol": 1e-9}
                found = lightshap.explain_any(
                    predict, row[None], bg_X=background, verbose=False, random_state=seed, **how
                )
                return found.shap_values

            return call

        approximators, rounds = shapiq.approximator, (1, 2, 5, 10, 20, 40)
        samples = (128, 256, 512, 1024, 2048, 4096, 6144)
        return {
            "shap Permutation": (tuple(101 * n for n in (1, 2, 4, 8, 16, 32, 48)), permutation),
            "shap Kernel (l1_reg=False)": (samples, kernel_shap),
            "shapiq KernelSHAP, paired": (samples, shapiq_with(approximators.KernelSHAP, pairing_trick=True)),
            "shapiq PermutationSamplingSV": (samples, shapiq_with(approximators.PermutationSamplingSV)),
            "lightshap permutation": (rounds, light("permutation")),
            "lightshap kernel": (rounds, light("kernel")),
        }

    def run(self) -> dict[str, list[Timed]]:
        """Contender -> a list a seed of (CPU ms, error) at growing budgets; seeds and contenders interleaved."""
        peers = self.peers()
        for budgets, call in peers.values():
            call(budgets[0], 0)  # compiled and imported
        runs: dict[str, list[Timed]] = {name: [] for name in ("workbench shap", *peers)}
        for seed in range(SEEDS):
            runs["workbench shap"].append(self.ours(seed))
            for name, (budgets, call) in peers.items():
                runs[name].append([self.timed(lambda b=b, c=call, s=seed: c(b, s)) for b in budgets])
            print(self.name, "seed", seed, flush=True)
        return runs


def time_to(run: Timed, target: float) -> float:
    """CPU ms until the error is at most `target` and stays there, between two budgets on the straight line of logarithms."""
    times, errors = (np.log(np.array(column)) for column in zip(*run, strict=True))
    below = np.flatnonzero(errors > np.log(target))
    if not len(below):
        return float(np.exp(times[0]))
    last = int(below[-1])
    if last + 1 == len(run):
        return np.inf
    share = (errors[last] - np.log(target)) / (errors[last] - errors[last + 1])
    return float(np.exp(times[last] + share * (times[last + 1] - times[last])))


def table(name: str, runs: dict[str, list[Timed]]) -> list[str]:
    medians = {
        who: [float(np.median([time_to(run, t) for run in each])) for t in TARGETS] for who, each in runs.items()
    }
    best = [min(m[i] for who, m in medians.items() if who != "workbench shap") for i in range(len(TARGETS))]
    lines = [f"## {name}", "", "| contender | " + " | ".join(f"{t:.0%} (ms)" for t in TARGETS) + " |", "|---" * 4 + "|"]
    for who, found in medians.items():
        lines.append(f"| {who} | " + " | ".join("not reached" if np.isinf(m) else f"{m:,.1f}" for m in found) + " |")
    ratios = [f"**{b / m:.1f}×**" for b, m in zip(best, medians["workbench shap"], strict=True)]
    return [*lines, "| best peer ÷ workbench | " + " | ".join(ratios) + " |", ""]


def main() -> None:
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    began, load = time.time(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        row, background = network(folder)
        sections = []
        for name, file, title in (("sklearn", "model.skops", "scikit-learn"), ("onnx", "model.onnx", "ONNX")):
            features = tuple(f"x{i}" for i in range(FEATURES))
            model = models.find(name).load(folder / file, None, features)
            sections += table(f"The network in {title}", Race(title, model, row, background).run())
    packages = ", ".join(f"{p} {version(p)}" for p in ("shap", "shapiq", "lightshap", "scikit-learn", "onnxruntime"))
    head = [
        "# Time to a given error of Shapley values",
        "",
        "`python tests/bench/shapley.py`: MLP of 50 features, 64 × 64, background of 100 rows, all contenders on the same `predict`, one thread,",
        f"CPU milliseconds, median of {SEEDS} seeds, interleaved in one run. Error: mean absolute error as a share of the values' range, against",
        f"{REFERENCE_ROUNDS:,} draws a background row. Our run is one call, whose estimates are read as they come; the peers run anew for each budget.",
        "",
        *sections,
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start; Python {platform.python_version()}; {packages}.",
        f"{time.strftime('%Y-%m-%d')}, {time.time() - began:.0f} s in all.",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(head) + "\n", "utf-8")
    print("\n".join(head))


if __name__ == "__main__":
    main()
