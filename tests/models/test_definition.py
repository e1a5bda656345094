"""The library's contributions against the definition: shap asks LightGBM itself, so their agreement proves nothing."""

from itertools import combinations
from math import factorial

import lightgbm
import numpy as np
import pytest
from builders import FEATURES, model_text, panel_table

from workbench.models import lightgbm as ours


def expectation(node, row, known):
    """Path-dependent E[f(x) | x_known] of one tree: where the split's feature is not known, both sides by their covers."""
    if "leaf_value" in node:
        return node["leaf_value"]
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        x = row[node["split_feature"]]
        goes_left = node["default_left"] if np.isnan(x) else x <= node["threshold"]
        return expectation(left if goes_left else right, row, known)
    covers = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    sides = [expectation(child, row, known) for child in (left, right)]
    return np.average(sides, weights=covers)


def shapley(trees, row):
    """Values and base value by summing over all coalitions (Shapley 1953)."""
    d = len(row)
    everyone = range(d)
    worth = {
        coalition: sum(expectation(tree["tree_structure"], row, set(coalition)) for tree in trees)
        for size in range(d + 1)
        for coalition in combinations(everyone, size)
    }
    values = np.zeros(d)
    for j in everyone:
        for coalition in (c for c in worth if j not in c):
            weight = factorial(len(coalition)) * factorial(d - len(coalition) - 1) / factorial(d)
            values[j] += weight * (worth[tuple(sorted((*coalition, j)))] - worth[coalition])
    return values, worth[()]


@pytest.mark.parametrize("position", [0, 3, 200, 599])
def test_contributions_are_the_shapley_values_of_the_trees(tmp_path, position):
    """Row 0 lacks the lagged feature: missing values go the way that the model learnt."""
    (tmp_path / "model.txt").write_text(model_text())
    trees = lightgbm.Booster(model_str=model_text()).dump_model()["tree_info"]
    row = panel_table()[list(FEATURES)].to_numpy(float)[position]
    values, base = ours.load(tmp_path / "model.txt").contributions(row[None])
    expected, expected_base = shapley(trees, row)
    spread = np.abs(expected).max()
    assert np.abs(values[0] - expected).max() <= 1e-9 * spread
    assert abs(base[0] - expected_base) <= 1e-9 * spread
