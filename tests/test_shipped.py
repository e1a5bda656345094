"""The shipped bundles, end to end: explained exactly and in time, audited as their expected.toml says."""

import tomllib

import lightgbm
import numpy as np
import pytest
import shap

from workbench.audit import audit, to_dict
from workbench.bundles import load_bundle, shipped_bundles
from workbench.decision import live_model
from workbench.shipped import shipped

TEN = np.linspace(0.3, 1, 10)


@pytest.mark.parametrize("name", ["us_rates_plus_tilt", "l_income_replica"])
def test_ten_decisions_equal_shaps_own_values_and_keep_the_budget(desk, name):
    bundle = load_bundle(name)
    for position in (TEN * (len(bundle.panel.times) - 1)).astype(int):
        answer = desk.explain(bundle, at=bundle.panel.times[position])
        booster = lightgbm.Booster(model_file=live_model(bundle, position).path)
        theirs = shap.TreeExplainer(booster)(bundle.panel.X[position : position + 1])
        spread = booster.predict(bundle.panel.X).std()
        assert answer.within_budget
        assert answer.complete
        assert answer.additivity_gap <= 1e-9
        assert np.abs(answer.values - theirs.values[0]).max() <= 1e-9 * spread
        assert abs(answer.base_values - theirs.base_values.item()) <= 1e-9 * spread


@pytest.mark.parametrize("name", shipped_bundles())
def test_the_audit_finds_what_the_bundle_must_yield(desk, name):
    expected = tomllib.loads((shipped("datasets") / name / "expected.toml").read_text("utf-8"))
    report = to_dict(audit(load_bundle(name), desk))
    assert {f["code"]: f["outcome"] for f in report["findings"]} == expected["findings"], report["findings"]
    assert report["verdict"] == expected["verdict"]
