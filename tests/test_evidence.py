import json
from inspect import Parameter, Signature

import numpy as np
import pytest
from builders import FEATURES, make_bundle

from workbench.audit import audit, find_measure, to_dict, without_times
from workbench.bundles import load_bundle
from workbench.checklist import checklist_folder, load_checklist
from workbench.evidence import WARM_CALLS, Evidence, evenly
from workbench.schema import (
    BadInputError,
    CannotMeasureError,
    Floats,
    Measurement,
    Message,
    ModelFailedError,
    Outcome,
    Panel,
)

KNOWN_AT_ONCE = {name: {"published_lag_days": 0} for name in FEATURES}
CHECKS = load_checklist()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = make_bundle(tmp_path_factory.mktemp("clean"), features=KNOWN_AT_ONCE)
    return load_bundle(folder)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A model and a panel, and nothing else."""
    sections = ("split", "returns", "mandate", "features")
    panel = {"label": None, "horizon": None}
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bare"), panel=panel, **dict.fromkeys(sections)))


@pytest.fixture(scope="module")
def report(bundle, desk):
    return audit(bundle, desk)


def measured(value: float = 0.0) -> Measurement:
    return Measurement(value)


def asking(**hints):
    """A measure with parameters of these names and annotations."""

    def wants(**_):
        return measured()

    wants.__annotations__ = hints
    wants.__signature__ = Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in hints])
    return wants


def test_a_measure_is_given_what_it_names(bundle):
    def wants(
        *, panel: Panel, equity_max: float, strength: float, rng: np.random.Generator, folds: int = 3
    ) -> Measurement:
        return measured(strength + folds + len(panel.features) * equity_max + 0 * rng.random())

    evidence = Evidence(bundle, None)
    given = evidence.collect(wants, {"strength": 2.0})
    assert given["panel"] is bundle.panel
    assert (given["equity_max"], given["strength"]) == (0.2, 2.0)
    assert "folds" not in given
    assert wants(**given).value == pytest.approx(5 + len(FEATURES) * 0.2)
    assert evidence.collect(wants, {"strength": 2.0, "folds": 4})["folds"] == 4


def test_each_check_has_a_generator_of_its_own(bundle):
    def one(rng: np.random.Generator) -> Measurement:
        return measured(rng.random())

    def other(rng: np.random.Generator) -> Measurement:
        return measured(rng.random())

    drawn = [m(**Evidence(bundle, None, seed).collect(m)).value for m in (one, other) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("strategy", "[returns] file"),
        ("factors", "[returns] file"),
        ("equity_max", "[mandate] equity_max"),
        ("max_drawdown", "[mandate] max_drawdown"),
        ("attribution_max", "[mandate] attribution_max"),
        ("split", "[split]"),
        ("training", "[split] train_end"),
        ("live", "[split] train_end"),
        ("horizon", "[panel] label"),
        ("claims", "[claims]"),
        ("holdings", "[holdings] file"),
        ("trial_returns", "[split] trial_returns"),
    ],
)
def test_what_is_missing_is_named_by_its_key(bare, name, key):
    wants = asking(**{name: object})
    with pytest.raises(CannotMeasureError) as raised:
        Evidence(bare, None).collect(wants)
    assert raised.value.message == Message("audit.missing", {"what": key})


def test_an_optional_input_may_be_missing(bare):
    wants = asking(holdings=Floats | None, equity_max=float | None)
    assert Evidence(bare, None).collect(wants) == {"holdings": None, "equity_max": None}


def test_each_thing_is_computed_once_and_a_dead_model_is_not_asked_again(bundle):
    class Dying:
        asked = 0

        def attributions(self, *_):
            self.asked += 1
            raise ModelFailedError(Message("outcome.error"))

    wants = asking(attributions=object)
    desk = Dying()
    evidence = Evidence(bundle, desk)
    for _ in range(2):
        with pytest.raises(ModelFailedError):
            evidence.collect(wants)
    assert desk.asked == 1


def test_a_format_without_exact_values_is_a_missing_input(bundle):
    class Sampled:
        def attributions(self, *_):
            raise ModelFailedError(Message("desk.raised", {"kind": "AttributeError", "file": "m", "text": ""}))

    wants = asking(attributions=object | None)
    assert Evidence(bundle, Sampled()).collect(wants) == {"attributions": None}


def test_live_is_what_the_model_had_not_seen(bundle):
    evidence = Evidence(bundle, None)
    times = bundle.panel.times
    assert times[evidence.live].min() > times[evidence.training[0]].max()
    assert (evidence.live | evidence.training[0]).all()
    assert times[evidence.service.test[0]].min() >= times[evidence.training[0].sum() + 20]


def test_rows_are_evenly_spaced_and_never_too_many():
    assert evenly(np.arange(5), 10).tolist() == [0, 1, 2, 3, 4]
    picked = evenly(np.arange(10_000), 100)
    assert (len(picked), picked[0], picked[-1]) == (100, 0, 9999)


def test_the_audit_asks_every_check_exactly_once(bundle, desk, report):
    seen = []
    again = audit(bundle, desk, progress=lambda i, n, check: seen.append((i, n, check.code)))
    assert [f.code for f in report.findings] == [c.code for c in CHECKS] == [code for _, _, code in seen]
    assert seen[0][:2] == (0, len(CHECKS))
    first, second = (json.dumps(without_times(to_dict(r)), allow_nan=False) for r in (report, again))
    assert first == second


def test_a_clean_bundle_has_nothing_to_hide(report):
    outcomes = {f.code: f.outcome for f in report.findings}
    assert {outcomes[code] for code in ("T1", "T3", "R1", "V2", "X2")} == {Outcome.PASS}
    assert Outcome.ERROR not in outcomes.values()


def test_every_fact_series_axis_and_line_has_its_words(report, desk, tmp_path):
    """Also where a fault adds evidence: a lag that the data contradict, folds that are scored."""
    wrong = {"y10_lag5": {"lag_of": "y10", "lag": 2, "published_lag_days": 1}}
    planted = make_bundle(tmp_path / "planted", features=wrong, split={"validation": "shuffled"})
    reports = (report, audit(load_bundle(planted), desk, only=["T1", "T3"]))
    for finding in (f for r in reports for f in r.findings if f.measurement):
        check = next(c for c in CHECKS if c.code == finding.code)
        keys = {*finding.measurement.facts, *finding.measurement.tables}
        for table in finding.measurement.tables.values():
            keys |= {*table.columns, *table.lines}
        assert keys - set(check.words) == set(), check.code
    assert {f.code: f.outcome for f in reports[1].findings} == {"T1": "fail", "T3": "fail"}


def test_a_bare_bundle_is_audited_as_far_as_it_goes(bare, desk):
    found = {f.code: f for f in audit(bare, desk).findings}
    assert {code for code, f in found.items() if f.outcome is not Outcome.NOT_RUN} == {"X1", "X2"}
    assert all(f.reason for f in found.values() if f.outcome is Outcome.NOT_RUN)


def test_some_checks_can_be_asked_for(bundle, desk):
    assert [f.code for f in audit(bundle, desk, only=["X2", "T1"]).findings] == ["T1", "X2"]
    with pytest.raises(BadInputError, match="no_such_check"):
        audit(bundle, desk, only=["Z9"])


def test_warm_calls_are_many_and_at_different_decisions(bundle, desk):
    found = Evidence(bundle, desk).latencies
    assert len(found.warm) == WARM_CALLS >= 100
    assert len({call.time for call in found.warm}) == WARM_CALLS


def test_a_stricter_checklist_of_ones_own(bundle, desk, tmp_path, report):
    source = (checklist_folder() / "explanation_integrity.toml").read_text("utf-8")
    strict = source.replace("fail_above = 1e-3", "fail_above = 1e-30").replace(
        "warn_above = 1e-6", "warn_above = 1e-30"
    )
    (tmp_path / "explanation_integrity.toml").write_text(strict, "utf-8")
    found = audit(bundle, desk, tmp_path, only=["X2"])
    assert found.findings[0].outcome is Outcome.FAIL
    assert to_dict(found)["findings"][0]["fail"] == 1e-30
    assert {f.code: f.outcome for f in report.findings}["X2"] is Outcome.PASS


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.code)
def test_settings_name_parameters_of_the_measure(check):
    assert set(check.settings) <= set(find_measure(check).__code__.co_varnames)
