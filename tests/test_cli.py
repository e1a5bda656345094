"""The command line as scripts and people meet it: what is printed where, and the exit status."""

import json
import os
import subprocess
import sys

import pytest
from builders import FEATURES, MANIFEST, make_bundle, merged, toml
from desk_bundles import CODE

from workbench import cli


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def python_folder(folder, function):
    make_bundle(folder)
    model = {"file": None, "format": "python", "entry": f"author:{function}"}
    changed = merged(MANIFEST, {"model": model, "panel": {"features": list(FEATURES)}})
    (folder / "bundle.toml").write_text(toml(changed), "utf-8")
    (folder / "author.py").write_text(CODE.replace('f["a"] * f["b"] + f["c"]', 'f["slope"] * f["spread"]'))
    return folder


def test_explain_gives_the_contracts_json(run, bundle):
    status, out, err = run("explain", bundle, "--json", "-")
    answer = json.loads(out)
    assert (status, err) == (0, "")
    keys = (
        "bundle row method asked prediction base_value output features exact complete additivity_gap samples budget_ms"
    )
    keys += " elapsed_ms stages_ms within_budget reason warnings seed model_sha256 panel_sha256 versions"
    assert set(keys.split()) <= set(answer)
    assert set(answer["features"][0]) == {"name", "value", "contribution", "std_error", "family"}
    total = answer["base_value"] + sum(f["contribution"] for f in answer["features"])
    assert total == pytest.approx(answer["prediction"], abs=1e-12)
    assert answer["versions"].keys() == {"workbench", "lightgbm"}
    assert answer["row"]["entity"] is None


def test_explain_speaks_both_languages(run, bundle):
    status, out, _ = run("explain", bundle)
    assert status == 0
    assert "within budget" in out
    assert "prediction" in out
    _, out, _ = run("explain", bundle, "--lang", "zh")
    assert "在预算内" in out


def test_json_goes_to_a_file_as_a_whole(run, bundle, tmp_path):
    assert run("explain", bundle, "--json", tmp_path / "answer.json")[0] == 0
    assert json.loads((tmp_path / "answer.json").read_text("utf-8"))["bundle"] == "small"


def test_a_model_that_sleeps_gives_an_answer_in_time_and_status_3(run, tmp_path):
    folder = python_folder(tmp_path / "slow", "sleeps")
    status, out, _ = run("explain", folder, "--trust-code", "--budget-ms", 300, "--json", "-")
    answer = json.loads(out)
    assert status == 3
    assert answer["features"] == []
    assert answer["elapsed_ms"] <= 350
    assert "deadline of 300 ms" in answer["reason"]


def test_a_model_that_crashes_is_status_3_and_says_so(run, tmp_path):
    folder = python_folder(tmp_path / "crash", "crashes")
    status, _, err = run("explain", folder, "--trust-code")
    assert status == 3
    assert "crashed its worker; the program goes on" in err


def test_a_bundle_may_be_named_by_a_relative_path(run, bundle, monkeypatch):
    monkeypatch.chdir(bundle.parent)
    assert run("explain", bundle.name)[0] == 0


def test_code_needs_trust(run, tmp_path):
    folder = python_folder(tmp_path / "code", "product")
    status, _, err = run("explain", folder)
    assert status == 2
    assert "--trust-code" in err
    assert run("explain", folder, "--trust-code", "--budget-ms", 200)[0] == 0


def test_validate_names_every_fault_at_once(run, tmp_path):
    folder = make_bundle(tmp_path, panel={"horizont": 20}, mandate={"equity_max": 2.0})
    status, out, err = run("validate", folder)
    assert status == 2
    assert "horizon" in err
    assert "equity_max" in err
    assert "Traceback" not in err + out
    status, out, _ = run("validate", folder, "--json", "-")
    assert status == 2
    assert {fault["file"] for fault in json.loads(out)["faults"]} == {"bundle.toml"}


def test_validate_says_what_it_read(run, bundle):
    status, out, _ = run("validate", bundle)
    assert status == 0
    assert "600 decisions from 2018-01-01" in out
    assert json.loads(run("validate", bundle, "--json", "-")[1])["valid"] is True


def test_a_date_without_a_decision_names_the_nearest(run, bundle):
    status, _, err = run("explain", bundle, "--at", "2018-01-06")
    assert status == 2
    assert "2018-01-05, 2018-01-08" in err


def test_a_bundle_that_is_not_there_is_bad_input(run):
    status, _, err = run("validate", "nowhere")
    assert status == 2
    assert "us_rates_plus_tilt" in err


def test_audit_exits_by_its_findings(run, bundle, tmp_path):
    status, out, _ = run("audit", bundle, "--json", tmp_path / "report.json", "--fail-on", "not_run")
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    outcomes = {finding["outcome"] for finding in report["findings"]}
    assert status == (1 if outcomes & {"fail", "error", "warn", "not_run", "insufficient"} else 0)
    assert out == ""
    status, out, _ = run("audit", bundle)
    assert status == (1 if outcomes & {"fail", "error"} else 0)
    assert "verdict: " in out


def test_records_show_what_was_done_and_the_chain_holds(run, bundle):
    assert "is empty" in run("records")[2]
    run("explain", bundle)
    status, out, _ = run("records", "--json", "-")
    assert status == 0
    (line,) = json.loads(out)
    assert (line["kind"], line["bundle"], line["within_budget"]) == ("explanation", "small", True)
    assert "within budget" in run("records")[1]
    assert "1 records holds" in run("records", "--verify")[1]


@pytest.mark.parametrize("chart", ["waterfall", "budget", "curve"])
def test_snapshot_writes_a_figure(run, bundle, tmp_path, chart):
    assert run("snapshot", bundle, chart, "--out", tmp_path / "figure.svg")[0] == 0
    assert (tmp_path / "figure.svg").read_text("utf-8").startswith("<svg")


def test_an_unknown_chart_is_bad_input(run, bundle, tmp_path):
    status, _, err = run("snapshot", bundle, "pie", "--out", tmp_path / "figure.svg")
    assert status == 2
    assert "waterfall" in err


def test_no_traceback_reaches_a_user():
    status = cli._guard(lambda: 1 / 0, debug=False, lang="en")
    assert status == 2
    with pytest.raises(ZeroDivisionError):
        cli._guard(lambda: 1 / 0, debug=True, lang="en")


def test_ctrl_c_is_status_130(capsys):
    def interrupt():
        raise KeyboardInterrupt

    assert cli._guard(interrupt, debug=False, lang="zh") == 130
    assert "已中断" in capsys.readouterr().err


def test_ctrl_c_inside_a_command_leaves_nothing_half_written(run, bundle, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.audit.run", interrupt)
    status, _, err = run("audit", bundle, "--json", tmp_path / "report.json", "--pdf", tmp_path / "report.pdf")
    assert status == 130
    assert "nothing half-written" in err
    assert list(tmp_path.iterdir()) == []


def test_as_a_program():
    environment = os.environ | {"PYTHONPATH": "."}
    command = [sys.executable, "-m", "workbench.cli"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith("workbench ")
    bad = subprocess.run([*command, "explain", "nowhere"], capture_output=True, text=True, env=environment, check=False)
    assert bad.returncode == 2
    assert "Traceback" not in bad.stderr
    usage = subprocess.run(
        [*command, "explain", "--colour"], capture_output=True, text=True, env=environment, check=False
    )
    assert usage.returncode == 2
