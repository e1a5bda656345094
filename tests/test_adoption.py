"""The break is found where it was planted, is not found where there is none, and a small log gets no verdict."""

import json

import numpy as np
import pandas as pd
import pytest
from builders import make_bundle

from workbench import adoption
from workbench.adoption import Finding, bins, days, examine, of_advice, rate
from workbench.schema import BadInputError
from workbench.text import LANGUAGES, say
from workbench.threshold import candidates, fit, spline, threshold

DECISIONS = {
    "file": "decisions.csv",
    "time": "time",
    "predicted": "p",
    "latency_ms": "ms",
    "adopted": "taken",
    "outcome": "won",
}


def log(n=2000, *, drop=0.0, at=800.0, slope=0.0, seed=0):
    rng = np.random.default_rng(seed)
    latency = 600 * np.exp(rng.normal(0, 0.6, n))
    predicted = rng.beta(6, 4, n)
    day = np.arange(n) // 20
    eta = 0.4 + 3 * (predicted - 0.6) + rng.normal(0, 0.3, n // 20 + 1)[day] - slope * np.log(latency / 600)
    p = 1 / (1 + np.exp(-eta)) * np.where(latency > at, 1 - drop, 1)
    columns = {"predicted": predicted, "latency_ms": latency, "adopted": (rng.random(n) < p).astype(float)}
    columns["outcome"] = (rng.random(n) < predicted).astype(float)
    return pd.DataFrame(columns, pd.bdate_range("2024-01-02", periods=n // 20 + 1)[day])


@pytest.mark.parametrize(("at", "drop"), [(800.0, 0.63), (500.0, 0.8), (1000.0, 0.63)])
def test_a_planted_break_is_found(at, drop):
    found = examine(log(drop=drop, at=at))
    assert found.finding is Finding.BREAK
    assert abs(found.threshold.at - at) <= 50
    assert found.threshold.at_interval[0] <= at <= found.threshold.at_interval[1]
    assert found.threshold.drop_interval[0] <= drop <= found.threshold.drop_interval[1]
    assert 0 < found.threshold.drop_interval[0] < found.threshold.drop < found.threshold.drop_interval[1] < 1


def test_a_flat_log_and_a_smooth_decline_show_no_break():
    assert examine(log(5000)).finding is Finding.NONE
    assert examine(log(5000, slope=1.0)).finding is Finding.DECLINE
    assert examine(log(5000, slope=-1.0)).finding is Finding.RISE


def test_a_rise_is_not_called_a_drop():
    table = log(drop=0.7)
    table["adopted"] = 1 - table["adopted"]
    found = examine(table)
    assert found.finding is Finding.BREAK
    assert found.threshold.drop < 0
    assert "more often" in say(found.sentence)


def test_a_short_log_says_what_it_could_have_shown():
    found = examine(log(500, drop=0.3))
    assert found.finding is Finding.INSUFFICIENT
    assert found.threshold.smallest > 0.45
    assert f"{found.threshold.smallest:.0%}" in say(found.sentence)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("decisions", lambda t: t.iloc[:100]),
        ("decisions", lambda t: t.iloc[:1]),
        ("yes", lambda t: t.assign(adopted=0.0)),
        ("no", lambda t: t.assign(adopted=1.0)),
        ("places", lambda t: t.assign(latency_ms=300.0)),
        ("places", lambda t: t.assign(latency_ms=t["latency_ms"].round(-3))),
        ("places", lambda t: t.assign(latency_ms=np.where(np.arange(len(t)) < 20, 5000.0 + np.arange(len(t)), 100.0))),
    ],
)
def test_what_is_too_little_gets_no_verdict(key, change):
    found = examine(change(log()))
    assert found.finding is Finding.INSUFFICIENT
    assert found.threshold is None
    assert found.sentence.key == f"adoption.few.{key}"
    assert json.loads(json.dumps(found.to_dict()))["break"] is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.assign(adopted=t["adopted"] * (t["latency_ms"] <= 800)),
        lambda t: t.assign(predicted=0.5),
        lambda t: t.drop(columns="outcome"),
        lambda t: t.assign(latency_ms=t["latency_ms"].round(-2)),
        lambda t: t.assign(latency_ms=t["latency_ms"] - t["latency_ms"].min()),
        lambda t: t.set_axis(pd.DatetimeIndex(["2024-01-02"] * len(t))),
    ],
)
def test_odd_logs_give_finite_numbers(change):
    found = examine(change(log(drop=0.63)))
    document = json.dumps(found.to_dict(), allow_nan=False)
    assert "break" in json.loads(document)
    assert found.finding is Finding.BREAK
    low, high = found.threshold.drop_interval
    assert low < high <= 1


def test_nobody_adopts_above_the_break():
    table = log(drop=0.63)
    table["adopted"] *= table["latency_ms"] <= 800
    found = examine(table).threshold
    assert found.drop > 0.99
    assert 0.97 < found.drop_interval[0] < 0.995  # not one of some hundred is not never


def test_the_same_seed_gives_the_same_numbers():
    table = log(800, drop=0.5)
    assert examine(table, seed=3) == examine(table, seed=3)
    assert examine(table, seed=3).threshold.at == examine(table, seed=4).threshold.at


def test_the_regression_is_maximum_likelihood():
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(4000), rng.normal(size=4000)])
    step = (rng.random((1, 4000)) < 0.4).astype(float)
    y = (rng.random(4000) < 1 / (1 + np.exp(-(0.3 + 0.5 * X[:, 1] - step[0])))).astype(float)
    beta = fit(X, y, step)[0]
    np.testing.assert_allclose(beta, [0.3, 0.5, -1.0], atol=0.15)
    residual = y - 1 / (1 + np.exp(-(X @ beta[:2] + beta[2] * step[0])))
    np.testing.assert_allclose([*(X.T @ residual), step[0] @ residual], 0.01 * beta, atol=1e-3)  # the pull's share
    np.testing.assert_allclose(fit(np.column_stack([X, step[0]]), y)[0], beta, atol=1e-6)


def test_the_step_is_tested_at_every_place_with_enough_on_either_side():
    x = np.repeat(np.arange(20.0), 5)
    sides = candidates(x, 30)
    assert sides.at.min() == 5.5
    assert sides.at.max() == 13.5
    counted = [(x > at).sum() for at in sides.at]
    assert sides.sums(np.zeros(100, np.intp), np.ones(100))[0].tolist() == counted


def test_the_spline_is_a_line_outside_its_knots():
    x = np.expm1(np.linspace(1, 9, 801))
    bend = np.diff(spline(x), 2, axis=0)
    np.testing.assert_allclose(bend[:30], 0, atol=1e-9)
    np.testing.assert_allclose(bend[-30:], 0, atol=1e-9)
    assert np.abs(bend[300]).max() > 1e-6


def test_dependent_decisions_widen_the_interval():
    rng = np.random.default_rng(0)
    blocks = np.repeat(np.arange(40), 50)
    alike = np.repeat(rng.random(40) < 0.5, 50).astype(float)
    everyone = np.ones(2000, bool)
    wide, narrow = rate(alike, everyone, blocks), rate(rng.permutation(alike), everyone, blocks)
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)
    assert narrow.low < narrow.value < narrow.high


def test_rates_at_the_edges():
    none = rate(np.zeros(50), np.ones(50, bool), np.arange(50))
    assert none.low == 0.0
    assert none.high == pytest.approx(3.8415 / (50 + 3.8415), abs=1e-4)  # Wilson at 0 of n: z² / (n + z²)
    assert rate(np.zeros(5), np.zeros(5, bool), np.arange(5)).count == 0


def test_bins_hold_every_decision_once():
    table = log(700)
    for by in (table["latency_ms"], table["predicted"].round(1), table["predicted"] * 0):
        counts = [
            each.adopted.count
            for each in bins(by.to_numpy(), *table[["adopted", "outcome"]].to_numpy().T, days(table.index))
        ]
        assert sum(counts) == 700


def test_a_log_of_few_days_is_cut_into_runs():
    runs = days(pd.DatetimeIndex(["2024-01-02"] * 400))
    assert runs.max() == 39
    assert np.bincount(runs).tolist() == [10] * 40


def test_the_students_are_called_students():
    found = of_advice()
    assert found.units == 118
    assert found.source == "advice"
    assert "tudents" in say(found.sentence) or "no break" in say(found.sentence)
    assert "explanation" not in say(found.sentence)


def with_log(folder, table):
    make_bundle(folder, decisions=DECISIONS)
    named = table.rename(columns={"predicted": "p", "latency_ms": "ms", "adopted": "taken", "outcome": "won"})
    named.rename_axis("time").reset_index().to_csv(folder / "decisions.csv", index=False)
    return folder


def test_the_command_prints_table_and_finding(run, tmp_path):
    folder = with_log(tmp_path / "b", log(drop=0.63))
    status, out, err = run("adoption", folder, "--json", "-")
    answer = json.loads(out)
    assert (status, err, answer["finding"]) == (0, "", "break")
    assert abs(answer["break"]["at_ms"] - 800) <= 50
    assert sum(each["count"] for each in answer["by_latency"]) == answer["decisions"] == 2000
    for lang in LANGUAGES:
        assert answer["sentence"][lang] in run("adoption", folder, "--lang", lang)[1]


def test_a_bundle_without_a_log_is_told_what_it_lacks(run, tmp_path):
    status, out, err = run("adoption", make_bundle(tmp_path / "b"))
    assert (status, out) == (2, "")
    assert "[decisions]" in err
    assert "latency_ms = " in err
    assert run("adoption", tmp_path / "b", "--example")[0] == 0


@pytest.mark.parametrize(
    ("column", "value", "key"),
    [
        ("p", 1.2, "outside"),
        ("p", np.nan, "missing_number"),
        ("ms", -1.0, "outside"),
        ("taken", 0.5, "not_binary"),
        ("taken", np.nan, "missing_number"),
        ("won", 2.0, "not_binary"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, column, value, key):
    table = log(40).rename(columns={"predicted": "p", "latency_ms": "ms", "adopted": "taken", "outcome": "won"})
    table.iloc[4, table.columns.get_loc(column)] = value
    folder = make_bundle(tmp_path / "b", decisions=DECISIONS)
    table.rename_axis("time").reset_index().to_csv(folder / "decisions.csv", index=False)
    with pytest.raises(BadInputError) as bad:
        adoption.of_bundle(adoption_bundle(folder))
    (fault,) = bad.value.faults
    assert (fault.key, fault.file, fault.place, fault.row) == (f"fault.column.{key}", "decisions.csv", column, 6)


def adoption_bundle(folder):
    from workbench.bundles import load_bundle  # noqa: PLC0415

    return load_bundle(folder)


def test_the_threshold_alone():
    table = log(1000, drop=0.8)
    found = threshold(
        *(table[name].to_numpy() for name in ("latency_ms", "predicted", "adopted")),
        np.arange(1000),
        1,
        least=50,
        reference=800.0,
    )
    assert found.p_value <= 0.01
    assert abs(found.at - 800) <= 50
