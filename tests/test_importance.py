"""Global importance: formulas by hand, errors that know of persistence, all rows by the model of their day, and unhappy paths."""

import json
from dataclasses import replace

import numpy as np
import pytest
from builders import FEATURES, ROWS, make_bundle, model_text
from desk_bundles import python_bundle
from importance_specimens import ar, days, first_rows

from workbench.bundles import load_bundle
from workbench.importance import blocks, measures, shapes
from workbench.importance.form import to_dict
from workbench.importance.whole import explain_panel, with_interactions
from workbench.schema import BadInputError, CannotMeasureError, Message, ModelFailedError
from workbench.text import LANGUAGES, say

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def whole(folder, desk):
    return explain_panel(load_bundle(folder), desk)


def blocks_for(values, n=None, **settings):
    return blocks.blocks_of(days(n or len(values)), np.abs(values), **settings)


# Blocks


def test_a_draw_is_whole_blocks_of_consecutive_times_around_the_end():
    drawn = blocks.Blocks(np.arange(10), 10, 4, np.array([[8, 0, 5]]))  # 8 9 0 1, 0 1 2 3, 5 6
    x = 10.0 ** np.arange(10)[:, None]
    assert drawn.sums(x)[0, 0] == sum(10.0**i for i in (8, 9, 0, 1, 0, 1, 2, 3, 5, 6))


def test_every_draw_is_as_long_as_the_panel():
    drawn = blocks_for(ar(RNG, 307, 2), least=20)
    assert (drawn.sums(np.ones((307, 1))) == 307).all()


def test_the_block_is_no_shorter_than_the_horizon_and_no_longer_than_a_quarter():
    noise = RNG.normal(size=(1000, 3))
    assert blocks.block_length(noise) < 20
    assert blocks.block_length(noise, 60) == 60
    assert blocks.block_length(ar(RNG, 1000, 3)) > 80
    assert blocks.block_length(noise, 10_000) == 250
    assert blocks.block_length(np.ones((1000, 2)), 7) == 7
    assert blocks.block_length(np.ones((1, 2)), 7) == 1


def test_rows_of_one_date_are_one_observation():
    values = ar(RNG, 400, 3)
    once = measures.importance(values, blocks_for(values, least=20))
    times = days(400).repeat(30)
    often = measures.importance(
        values.repeat(30, axis=0), blocks.blocks_of(times, np.abs(values.repeat(30, axis=0)), 20)
    )
    np.testing.assert_allclose(often.mean.low, once.mean.low)
    np.testing.assert_allclose(often.mean.high, once.mean.high)


def test_the_error_of_independent_rows_is_the_usual_one():
    values = RNG.normal(size=(4000, 1))
    found = measures.importance(values, blocks_for(values)).mean
    assert found.std_error[0] == pytest.approx(np.abs(values).std() / np.sqrt(4000), rel=0.15)


def test_persistent_rows_are_covered_where_drawing_rows_is_far_off():
    """tests/bench/importance.md has the full study; 1,000 dates of AR(1) with ρ = 0.98, a hundred panels of two features."""
    truth, ours, usual = np.sqrt(2 / np.pi), [], []
    for seed in range(100):
        values = ar(np.random.default_rng(seed), 1000, 2)
        found = measures.importance(values, blocks_for(values, least=20, draws=299, seed=seed)).mean
        half = 1.96 * np.abs(values).std(axis=0) / np.sqrt(len(values))
        ours += ((found.low <= truth) & (truth <= found.high)).tolist()
        usual += (np.abs(found.value - truth) <= half).tolist()
    assert 0.86 <= np.mean(ours) <= 0.98
    assert np.mean(usual) < 0.5


def test_too_few_times_have_no_error_bar():
    values = RNG.normal(size=(8, 2))
    found = measures.importance(values, blocks_for(values, least=20))
    assert np.isnan([found.mean.low, found.mean.high, found.mean.std_error]).all()
    assert np.isfinite(found.mean.value).all()
    assert (found.rank_low.tolist(), found.rank_high.tolist()) == ([1, 1], [2, 2])


def test_the_same_seed_draws_the_same():
    values = RNG.normal(size=(300, 3))
    one, same, other = (measures.importance(values, blocks_for(values, seed=seed)).mean.low for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


# Measures


def test_importance_is_mean_absolute_value_with_share_and_rank():
    values = RNG.normal(size=(500, 3)) * [1.0, 3.0, 0.0]
    found = measures.importance(values, blocks_for(values))
    np.testing.assert_allclose(found.mean.value, np.abs(values).mean(axis=0))
    assert found.share.value.sum() == pytest.approx(1)
    assert found.rank.tolist() == [2, 1, 3]
    assert found.order.tolist() == [1, 0, 2]
    assert (found.rank_low == found.rank_high).all()
    assert (found.mean.low[2], found.mean.high[2]) == (0, 0)


def test_features_alike_share_their_ranks():
    values = RNG.normal(size=(500, 2))
    found = measures.importance(values, blocks_for(values))
    assert (found.rank_low.tolist(), found.rank_high.tolist()) == ([1, 1], [2, 2])


def test_a_model_of_nothing_has_no_shares():
    found = measures.importance(np.zeros((100, 3)), blocks_for(np.zeros((100, 3))))
    assert (found.share.value == 0).all()
    assert (found.share.high == 0).all()


def test_features_that_cancel_have_no_net_effect_as_a_group():
    x = RNG.normal(size=500)
    found = measures.groups(
        np.column_stack([x, -x, 0.1 * x]), ["rates", "rates", "credit"], b := blocks_for(x[:, None])
    )
    assert b.times == 500
    assert found.names == ("rates", "credit")
    assert found.sizes == (2, 1)
    assert found.share.value[0] == pytest.approx(2 / 2.1)
    assert found.net.value[0] == pytest.approx(0, abs=1e-12)
    assert found.net.value[1] == pytest.approx(0.1 * np.abs(x).mean())


@pytest.mark.parametrize(
    ("x", "expected"),
    [([3, 1, 2], [2, 0, 1]), ([7.0] * 4, [1] * 4), ([np.nan] * 2, [3] * 2), ([1, 1, 1, 1, 1, 9], [1, 1, 1, 1, 1, 2])],
)
def test_thirds_are_of_ranks_and_equals_stay_together(x, expected):
    assert measures.thirds(np.array(x, float)).tolist() == expected


def test_a_feature_used_in_high_volatility_only_is_seen_there():
    state = ar(RNG, 2000, 1, rho=0.9)[:, 0]
    values = RNG.normal(size=(2000, 2))
    values[measures.thirds(state) != measures.HIGH, 1] = 0
    found = measures.regimes(values, state, "vix", blocks_for(values, least=20))
    assert found.rows == pytest.approx((667, 667, 667), abs=1)
    assert found.share[0].value[1] == 0
    assert found.difference.low[1] > 0.3
    assert found.edges[0] < found.edges[1]


def test_a_state_that_does_not_vary_makes_no_regimes():
    values = RNG.normal(size=(100, 2))
    assert measures.regimes(values, np.ones(100), "flat", blocks_for(values)) is None
    assert measures.regimes(values, np.full(100, np.nan), "none", blocks_for(values)) is None


def test_pairs_are_batch_means():
    means = np.zeros((4, 3, 3))
    means[:, 0, 2] = means[:, 2, 0] = [1.0, 2.0, 3.0, 4.0]
    found = measures.pairs(means, np.full(4, 50.0))
    assert found.pairs[0] == (0, 2)
    assert found.mean.value[0] == pytest.approx(5.0)  # both halves
    assert found.mean.std_error[0] == pytest.approx(np.std([2, 4, 6, 8], ddof=1) / 2)
    assert found.mean.high[0] - 5 == pytest.approx(3.182446 * found.mean.std_error[0])
    assert np.isnan(measures.pairs(means[:1], np.ones(1)).mean.std_error).all()
    assert measures.pairs(np.ones((4, 1, 1)), np.ones(4)).pairs == ()


# Shapes


def test_a_swarm_counts_every_row_with_missing_values_apart():
    values, X = RNG.normal(size=(1000, 2)), RNG.normal(size=(1000, 2))
    X[:100, 1] = np.nan
    first, second = shapes.swarms(values, X)
    assert first.counts.sum() == second.counts.sum() == 1000
    assert second.counts.sum(axis=0).tolist() == [300, 300, 300, 100]
    assert shapes.swarms(np.zeros((9, 1)), X[:9, :1])[0].counts.sum() == 9


def test_dependence_finds_the_planted_partner():
    X = RNG.normal(size=(3000, 4))
    values = np.column_stack([0.5 * X[:, 0] * X[:, 2], X[:, 1], 0.5 * X[:, 0] * X[:, 2], 0 * X[:, 3]])
    found = shapes.dependence(values, X, 0)
    assert found.partner == 2
    assert sum(rows for *_, rows in found.curves) == sum(rows for *_, rows in found.cells) == 3000
    slope = {
        third: np.polyfit(
            [c[1] for c in found.curves if c[0] == third], [c[2] for c in found.curves if c[0] == third], 1
        )[0]
        for third in (0, 2)
    }
    assert slope[0] < -0.3 < 0.3 < slope[2]
    assert shapes.dependence(values, X, 0, partner=3).partner == 3


def test_dependence_without_values_or_partner():
    X = np.column_stack([np.full(200, np.nan), RNG.normal(size=200)])
    values = RNG.normal(size=(200, 2))
    found = shapes.dependence(values, X, 0)
    assert (found.partner, found.cells, found.curves, found.missing) == (None, (), (), 200)
    assert shapes.dependence(values[:, 1:], X[:, 1:], 0).partner is None
    assert len(shapes.dependence(values[:1], np.ones((1, 2)), 1).curves) == 1


@pytest.mark.parametrize(("n", "unit"), [(500, "M"), (3000, "Q"), (25000, "Y")])
def test_time_is_cut_into_calendar_periods(n, unit):
    values = RNG.normal(size=(n, 2))
    found = shapes.through_time(values, days(n))
    assert found.unit == unit
    assert found.rows.sum() == n
    np.testing.assert_allclose(found.rows @ found.mean / n, values.mean(axis=0), atol=1e-12)


# The whole panel


def test_every_row_is_explained_by_the_model_of_its_day(tmp_path, desk):
    later = {"file": "model.txt", "from": "2019-03-01", "train_end": "2018-12-31"}
    first = {"file": "old.txt", "from": "2018-06-01", "train_end": "2018-05-01"}
    folder = make_bundle(tmp_path, model={"refits": [first, later]})
    (folder / "old.txt").write_text(model_text(seed=3))
    bundle, steps = load_bundle(folder), []
    whole = explain_panel(bundle, desk, progress=lambda done, of: steps.append((done, of)))
    served = bundle.served_by()
    for i, model in enumerate(bundle.models):
        alone = desk.attributions(bundle, bundle.panel.X[served == i], model)
        np.testing.assert_array_equal(whole.values[served == i], alone.values)
    assert len(set(served)) == 2
    assert (
        whole.trained
        == ((bundle.panel.times <= "2018-05-01") | ((served == 1) & (bundle.panel.times <= "2018-12-31"))).sum()
    )
    assert steps[-1] == (ROWS, ROWS)


def test_long_panels_come_in_pieces(folder, desk, whole, monkeypatch):
    monkeypatch.setattr("workbench.importance.whole.CHUNK", 250)
    steps = []
    pieces = explain_panel(load_bundle(folder), desk, progress=lambda done, _: steps.append(done))
    assert steps == [200, 400, 600]
    np.testing.assert_array_equal(pieces.values, whole.values)


def test_the_machines_form_says_how_many_rows_and_how(whole):
    told = json.loads(json.dumps(to_dict(whole, "spread"), allow_nan=False))
    assert (told["rows"], told["of"]) == (ROWS, ROWS)
    assert told["bootstrap"].keys() == {"block_length", "blocks", "draws", "level", "seed"}
    assert told["bootstrap"]["block_length"] >= 20
    assert [f["rank"] for f in told["features"]] == list(range(1, len(FEATURES) + 1))
    assert sum(f["share"]["value"] for f in told["features"]) == pytest.approx(1)
    assert {(g["name"], g["features"]) for g in told["lags"]} == {(None, 5), ("5", 1)}
    assert {g["name"] for g in told["families"]} == {"rates", "credit", "equity", "volatility"}
    assert told["regimes"]["by"] == "volatility"
    assert told["dependence"]["feature"] == "spread"
    assert sum(told["through_time"]["rows"]) == ROWS
    assert told["additivity_gap"] < 1e-6


def test_a_classifiers_values_are_of_its_raw_score(tmp_path, desk):
    folder = make_bundle(tmp_path, model={"task": "classification"})
    (folder / "model.txt").write_text(model_text(objective="binary"))
    assert explain_panel(load_bundle(folder), desk).output == "raw"


def test_a_single_row_is_explained_without_error_bars(folder, desk):
    bundle = first_rows(load_bundle(folder), 1)
    whole = explain_panel(bundle, desk)
    told = json.loads(json.dumps(to_dict(whole), allow_nan=False))
    assert told["rows"] == 1
    assert told["features"][0]["mean_abs"]["low"] is None
    assert told["regimes"] is None
    assert any(sentence.key == "importance.no_regimes" for sentence in whole.sentences)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_to_know_is_said(whole, lang):
    said = " ".join(say(sentence, lang) for sentence in whole.sentences)
    assert "600" in said
    assert str(whole.blocks.length) in said


def test_a_format_without_exact_values_says_so(tmp_path, desk):
    with pytest.raises(CannotMeasureError) as raised:
        explain_panel(python_bundle(tmp_path, "product"), desk)
    assert "python" in say(raised.value.message, "en")
    assert "[model] file" in say(raised.value.message, "zh")


class Multiplied:
    """A desk whose model's interactions are the products of the features' sizes; `asked` counts its rows."""

    def __init__(self):
        self.asked = 0

    def interactions(self, _bundle, rows, _model):
        self.asked += len(rows)
        size = np.abs(rows)
        return (size[:, :, None] * size[:, None]).mean(axis=0)


class Without:
    def interactions(self, *_):
        raise ModelFailedError(Message("fault.model.no_kernel"))


def test_interactions_are_of_all_rows(whole):
    desk, steps = Multiplied(), []
    known = replace(whole, bundle=filled(whole.bundle))
    paired = with_interactions(known, desk, lambda done, _: steps.append(done))
    assert desk.asked == steps[-1] == ROWS
    size = np.abs(known.X)
    (i, j), value = paired.interactions.pairs[0], paired.interactions.mean.value[0]
    assert value == pytest.approx(2 * (size[:, i] * size[:, j]).mean())
    assert paired.interactions.mean.low[0] < value < paired.interactions.mean.high[0]
    assert to_dict(paired)["interactions"][0]["features"] == [FEATURES[i], FEATURES[j]]
    assert paired.dependence(i).partner == j


def test_without_interactions_the_reason_is_kept(whole):
    bare = with_interactions(whole, Without())
    assert bare.interactions is None
    assert "tree kernel" in say(bare.without, "en")


def filled(bundle):
    return replace(bundle, panel=replace(bundle.panel, table=bundle.panel.table.fillna(0.0)))


def test_no_such_feature(whole):
    with pytest.raises(BadInputError) as raised:
        whole.feature("y30")
    assert "y10_lag5" in say(raised.value.faults[0], "en")


# The command


def test_the_command_prints_the_table(folder, run):
    status, out, _ = run("importance", folder, "--feature", "spread")
    assert status == 0
    assert "600 of 600 rows explained" in out
    for name in FEATURES:
        assert name in out


def test_the_command_gives_the_machines_form(folder, run, whole):
    status, out, _ = run("importance", folder, "--json", "-")
    assert status == 0
    assert json.loads(out) == json.loads(json.dumps(to_dict(whole)))


def test_the_command_refuses_what_it_cannot_do(folder, tmp_path, run):
    status, _, err = run("importance", folder, "--feature", "y30")
    assert (status, "y10_lag5" in err) == (2, True)
    (tmp_path / "author.py").write_text("def f(frame):\n    return frame['y10'].to_numpy()\n")
    code = make_bundle(
        tmp_path, panel={"features": list(FEATURES)}, model={"file": None, "format": "python", "entry": "author:f"}
    )
    status, _, err = run("importance", code, "--trust-code")
    assert (status, "no exact Shapley values" in err) == (2, True)


def test_a_snapshot_shows_a_figure_of_the_panel(folder, tmp_path, run):
    status, _, _ = run("snapshot", folder, "dependence", "--feature", "spread", "--out", tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert status == 0
    assert "600 of 600" in drawn
    assert "spread" in drawn
