"""The bench: specimens that are valid models, timings that hold together, one quick run of the command."""

import json
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import lightgbm
import numpy as np
import pytest

from workbench import cli, explain
from workbench.bench import measure as measuring
from workbench.bench.measure import Scope, Timing, machine, measure
from workbench.bench.specimens import FULL, Specimen, forest_text, write_bundle
from workbench.bundles import load_bundle
from workbench.ledger import Ledger
from workbench.models.lightgbm import checked
from workbench.schema import Message

SMALL = (Specimen(5, trees=3, leaves=7), Specimen(4, layers=(4, 3, 1)))
TINY = Scope(SMALL, budget_ms=60, seconds=0.5)


@pytest.mark.parametrize("specimen", [FULL[0], Specimen(2, trees=1, leaves=2), Specimen(3, trees=2, leaves=300)])
def test_made_trees_pass_the_strict_check_and_run_as_written(tmp_path, specimen):
    text = forest_text(specimen, np.random.default_rng(0))
    (tmp_path / "m.txt").write_text(text)
    model = checked(tmp_path / "m.txt")
    assert (len(model.trees), len(model.features)) == (specimen.trees, specimen.features)
    booster = lightgbm.Booster(model_str=model.text)
    rows = np.random.default_rng(1).normal(size=(50, specimen.features))
    predicted = booster.predict(rows)
    contributions = booster.predict(rows, pred_contrib=True)
    assert predicted.std() > 0
    assert contributions.sum(axis=1) == pytest.approx(predicted, abs=1e-9)
    leaves = booster.predict(rows, pred_leaf=True)
    if specimen.features > 7:  # enough for thresholds of one path not to shut each other out
        assert len(np.unique(leaves)) == specimen.leaves


def test_cover_adds_up_in_every_tree(tmp_path):
    (tmp_path / "m.txt").write_text(forest_text(SMALL[0], np.random.default_rng(0)))
    for tree in checked(tmp_path / "m.txt").trees:
        leaves = [int(count) for count in tree["leaf_count"].split()]
        assert sum(leaves) == int(tree["internal_count"].split()[0])
        assert min(leaves) >= 1


@pytest.mark.parametrize("specimen", SMALL)
def test_the_same_seed_gives_the_same_bundle(tmp_path, specimen):
    one, same, other = (
        load_bundle(write_bundle(specimen, tmp_path / name, seed), trust_code=True)
        for name, seed in (("one", 3), ("same", 3), ("other", 4))
    )
    assert one.bundle_sha256 == same.bundle_sha256
    assert one.panel_sha256 != other.panel_sha256


def test_timings_hold_together(desk):
    said = []
    timings = measure(TINY, desk, lambda *step: said.append(step))
    methods = {(t.model, t.method) for t in timings}
    assert {("trees", "tree_shap"), ("trees", "shap"), ("network", "shap"), ("network", "lime")} <= methods
    assert ("network", "tree_shap") not in methods
    for t in timings:
        assert t.calls >= 5
        assert 0 < t.p50_ms <= t.p95_ms <= t.p99_ms <= t.max_ms
        assert 0 <= t.within_budget <= 1
        assert t.error == 0 if t.exact else t.error is None or t.error > 0
    assert [t.exact for t in timings if t.method == "tree_shap"] == [True]
    assert len(said) == len(SMALL) + len(timings)
    assert all(done < total for _, done, total in said)


class Stub:
    """A desk whose answers are known: `values` at the asked budget, the same and 1 more for each at a longer one."""

    def __init__(self, values, exact=False, load=0.0, silent_at=0):
        self.values, self.exact, self.load = np.array(values, float), exact, load
        self.asked, self.silent_at = 0, silent_at

    def explain(self, *_, method, budget_ms, record, **__):
        assert record is False
        self.asked += 1
        if method != "shap":
            return SimpleNamespace(reason=Message("desk.not_applicable"), stages_ms={})
        if self.asked == self.silent_at:
            return SimpleNamespace(
                values=np.empty(0), exact=False, samples=None, reason=Message("desk.deadline"), stages_ms={}
            )
        values = self.values if budget_ms == TINY.budget_ms else self.values + np.arange(len(self.values))
        facts = {"samples": None if self.exact else 7, "reason": None, "stages_ms": {"load": self.load}}
        return SimpleNamespace(values=values, exact=self.exact, **facts)


def test_the_error_is_the_distance_from_a_longer_run():
    (timing,) = measure(Scope(SMALL[:1], 60, 0), Stub([0, 0, 0, 0]))
    assert timing.error == pytest.approx(1.5 / np.std([0, 1, 2, 3]))
    assert (timing.samples, timing.exact, timing.calls) == (7, False, 5)


def test_exact_values_have_no_error():
    (timing,) = measure(Scope(SMALL[:1], 60, 0), Stub([1, 2], exact=True))
    assert (timing.error, timing.within_budget, timing.samples) == (0.0, 1.0, None)


def test_an_exact_method_that_is_late_once_is_exact_and_late():
    (timing,) = measure(Scope(SMALL[:1], 60, 0), Stub([1, 2], exact=True, silent_at=len(explain.methods()) + 1))
    assert (timing.exact, timing.error, timing.within_budget) == (True, 0.0, 0.8)


def test_what_gives_nothing_is_never_within_budget():
    (timing,) = measure(Scope(SMALL[:1], 60, 0), Stub([]))
    assert (timing.error, timing.within_budget) == (None, 0.0)


def test_loading_is_not_counted():
    (timing,) = measure(Scope(SMALL[:1], 60, 0), Stub([1, 2], load=1000.0))
    assert timing.max_ms < 0
    assert timing.load_ms == 1000.0


def test_the_machine_is_named():
    facts = machine()
    assert facts["cpu"]
    assert facts["cores"] >= 1
    assert {"python", "workbench", "lightgbm", "numpy"} <= set(facts)


def test_the_command(capsys, monkeypatch, desk):
    monkeypatch.setattr(measuring, "QUICK", SMALL)
    monkeypatch.setattr("workbench.desk.Desk", lambda **_: nullcontext(desk))
    run = partial(cli.app, args=["bench", "--quick", "--budget-ms", "60", "--seed", "1"])
    assert cli._guard(run, debug=False, lang="en") == 0
    shown = capsys.readouterr()
    assert [word for word in ("in budget", "tree_shap", "3 × 7", "4–3–1", "exact") if word not in shown.out] == []
    assert shown.err == ""
    assert Ledger().records() == []


def test_the_other_forms(capsys, monkeypatch, tmp_path):
    timing = Timing("network", "4–3–1", 4, "shap", False, 5, *[1.0] * 5, 0.8, 100, None)
    monkeypatch.setattr(measuring, "measure", lambda *_: [timing])
    words = ["bench", "--lang", "zh"]
    assert cli._guard(partial(cli.app, args=words), debug=False, lang="zh") == 0
    shown = capsys.readouterr().out
    assert [word for word in ("预算内", "神经网络", "80%") if word not in shown] == []
    assert cli._guard(partial(cli.app, args=[*words, "--json", str(tmp_path / "b.json")]), debug=False, lang="zh") == 0
    form = json.loads((tmp_path / "b.json").read_text("utf-8"))
    assert set(form) == {"machine", "budget_ms", "seed", "quick", "elapsed_s", "timings"}
    assert (form["budget_ms"], form["timings"][0]["error"]) == (200, None)
