"""What the lime package 0.2.0.1 drew, weighed and fitted around one row: `python tests/explain/lime_peer.py` writes lime_peer.npz anew.

Kept as numbers, because lime comes without a ready-made build and the tests install nothing else. Needs the packages of the extra `bench`.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".npz")
BACKGROUND = np.random.default_rng(3).normal(size=(400, 6))
BACKGROUND[:, 3] = np.exp(BACKGROUND[:, 3])
ROW = np.array([1.0, -2.0, 0.5, 3.0, 0.1, -0.2])
SAMPLES = 5000


def product(rows):
    """Idle in its last column."""
    return rows[:, 0] * rows[:, 1] + np.tanh(rows[:, 2]) * rows[:, 3] - 2 * rows[:, 4]


def main():
    from lime.lime_tabular import LimeTabularExplainer  # noqa: PLC0415 - only here

    explainer = LimeTabularExplainer(BACKGROUND, mode="regression", feature_selection="none", random_state=0)
    seen, fit = {}, explainer.base.explain_instance_with_data

    def predict(rows):
        seen.update(rows=rows)
        return product(rows)

    def watched(on, y, distances, *args, **kwargs):
        seen.update(on=on.astype(bool), weights=explainer.base.kernel_fn(distances))
        return fit(on, y, distances, *args, **kwargs)

    explainer.base.explain_instance_with_data = watched
    answer = explainer.explain_instance(ROW, predict, num_samples=SAMPLES)
    discretizer = explainer.discretizer
    seen["bins"] = discretizer.discretize(seen["rows"]).astype(np.int8)
    for name in ("mins", "maxs", "means", "stds"):
        seen[name] = np.array([getattr(discretizer, name)[j] for j in range(len(ROW))])
    coefficients = [value for _, value in sorted(answer.local_exp[1])]
    fitted = {"coefficients": coefficients, "intercept": answer.intercept[1], "local_pred": answer.local_pred[0]}
    np.savez_compressed(FILE, score=answer.score, **seen, **fitted)


if __name__ == "__main__":
    main()
