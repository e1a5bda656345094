"""CONTRIBUTING.md's worked example, run as it stands in a copy of the house."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from builders import make_bundle

BLOCK = re.compile(r"```\w+\n# append to (\S+)\n(.*?)```", re.DOTALL)


def test_the_worked_example_adds_a_check(tmp_path):
    house, root = tmp_path / "house", Path(__file__).parent.parent
    for folder in ("workbench", "audits"):
        shutil.copytree(root / folder, house / folder, ignore=shutil.ignore_patterns("__pycache__", "*.ttf"))
    blocks = BLOCK.findall((root / "CONTRIBUTING.md").read_text("utf-8"))
    assert [Path(file).suffix for file, _ in blocks] == [".py", ".toml"]
    for file, block in blocks:
        with (house / file).open("a", encoding="utf-8") as end:
            end.write(f"\n\n{block}")

    def gappy(table):
        table.loc[table.index % 4 == 0, "slope"] = float("nan")
        return table

    bundle = make_bundle(tmp_path / "bundle", panel_edit=gappy)
    command = [sys.executable, "-P", "-m", "workbench.cli", "audit", str(bundle), "--json", "-", "--fail-on", "not_run"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(house)}
    )
    found = {f["code"]: f for f in json.loads(done.stdout)["findings"]}["T9"]
    assert done.returncode == 1
    assert found["outcome"] == "warn"
    assert found["evidence"]["facts"]["worst_feature"] == "slope"
    assert found["title"] == "Inputs are there when the model decides"
