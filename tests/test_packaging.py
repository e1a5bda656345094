"""The wheel carries all that an installed workbench needs, and finds it there."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
ASK = """
import json
from workbench import fonts, shipped, text
from workbench.bundles import load_bundle, shipped_bundles
from workbench.checklist import load_checklist
print(json.dumps({
    "bundles": shipped_bundles(),
    "rows": len(load_bundle("us_rates_plus_tilt").panel.times),
    "checks": len(load_checklist()),
    "words": len(text.words()),
    "places": [str(shipped.shipped("pages") / "app.py"), str(fonts.FOLDER)],
}))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_shipped_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"workbench/{path.relative_to(ROOT / 'workbench').as_posix()}" for path in files(ROOT / "workbench")}
    for source, target in WHEEL["force-include"].items():
        wanted |= {(Path(target) / path.relative_to(ROOT / source)).as_posix() for path in files(ROOT / source)}
    assert wanted - names == set()
    assert "workbench/_shipped/pages/.streamlit/config.toml" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "datasets/"))]


def files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_an_unpacked_wheel_finds_its_things_in_itself(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{ASK}"
    told = json.loads(
        subprocess.run([sys.executable, "-c", script], cwd=outside, check=True, capture_output=True).stdout
    )
    shipped = {Path(name).name for name in WHEEL["force-include"] if (ROOT / name / "bundle.toml").exists()}
    assert set(told["bundles"]) == shipped
    assert min(told["rows"], told["checks"], told["words"]) > 0
    assert all(Path(place).exists() and Path(place).is_relative_to(tmp_path) for place in told["places"])
