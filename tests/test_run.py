"""run.py, started as a user starts it: a bare environment, a Python, nothing else. No test here needs a network."""

import ast
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CLI = "import sys; print('cli', *sys.argv[1:]); sys.exit(7)"
GOOD_UV = 'echo "$@" >> "$HOME/installs"'


class House:
    """A tiny checkout with run.py, and a PATH that holds only what a test puts there."""

    def __init__(self, root: Path) -> None:
        self.root = root / "check out"  # a space in the path is nothing special
        self.bin = root / "bin"
        for folder in (self.root / "workbench", self.bin):
            folder.mkdir(parents=True)
        shutil.copy(ROOT / "run.py", self.root)
        for lock in ("requirements", "requirements-test", "requirements-uv"):
            self.write(f"{lock}.lock", "")
        self.write("pyproject.toml", "[tool.hatch.build.targets.wheel.force-include]\n")
        self.write("workbench/__init__.py", "")
        self.write("workbench/cli.py", CLI)
        self.env = {"PATH": str(self.bin), "HOME": str(root), "PIP_NO_INDEX": "1"}

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, "utf-8")

    def program(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        (self.bin / name).chmod(0o755)

    def start(self, *words: str, **more) -> subprocess.Popen:
        command = [sys.executable, str(self.root / "run.py"), *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=self.env, cwd=self.bin, **pipes, **more)

    def run(self, *words: str) -> tuple[int, str, str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
            return process.returncode, out, err

    def installs(self) -> int:
        return len((self.bin.parent / "installs").read_text().splitlines())

    def stamps(self) -> list[str]:
        return sorted(p.name for p in (self.root / ".venv").glob("ready-*"))

    def load(self):
        spec = importlib.util.spec_from_file_location("run_under_test", self.root / "run.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.SCRATCH.mkdir(exist_ok=True)
        return module


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    made.program("uv", GOOD_UV)
    return made


def test_words_and_exit_status_pass_through(house):
    status, out, err = house.run("audit", "a bundle", "--json", "-")
    assert (status, out) == (7, "cli audit a bundle --json -\n")
    assert "this happens once" in err


def test_the_second_start_installs_nothing(house):
    house.run("app")
    _, _, err = house.run("app")
    assert (house.installs(), err, house.stamps()) == (1, "", ["ready-requirements"])


def test_another_lock_installs_again(house):
    house.run("app")
    house.write("requirements.lock", "# changed\n")
    house.run("app")
    assert house.installs() == 2


def test_the_environment_of_the_tests_serves_the_app(house):
    house.run("test")
    house.run("app")
    assert (house.installs(), house.stamps()) == (1, ["ready-requirements-test"])


def test_two_starts_at_once_install_once(house):
    both = [house.start("app"), house.start("app")]
    assert [p.communicate(timeout=120)[0] for p in both] == ["cli app\n"] * 2
    assert house.installs() == 1


def test_an_interrupted_installation_is_begun_anew(house):
    house.program("uv", 'touch "$HOME/check out/.venv/half"; kill -INT $PPID; exec tail -f /dev/null')
    status, out, err = house.run("app")
    assert (status, out, house.stamps()) == (130, "", [])
    assert "interrupted" in err
    assert "Traceback" not in err
    house.program("uv", GOOD_UV)
    assert house.run("app")[0] == 7
    assert not (house.root / ".venv/half").exists()


def test_an_environment_that_is_already_there_is_kept(house):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(house.root / ".venv")], check=True)
    (house.root / ".venv/mine").touch()
    assert house.run("app")[0] == 7
    assert (house.root / ".venv/mine").exists()


def tiny_wheel(folder: Path) -> str:
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "answer = 42\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_pip_installs_where_uv_cannot_and_only_what_the_lock_names(house):
    house.program("uv", "echo dns error; exit 2")
    house.env["PIP_FIND_LINKS"] = str(house.bin)
    right = tiny_wheel(house.bin)
    house.write("workbench/cli.py", "import tiny; print(tiny.answer)")
    house.write("requirements.lock", f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    status, _, err = house.run("app")
    assert (status, house.stamps()) == (4, [])
    assert "not the one that the lock names" in err
    house.write("requirements.lock", f"tiny==1.0 --hash=sha256:{right}\n")
    assert house.run("app")[:2] == (0, "42\n")


def test_a_python_without_pip_is_told_what_to_install(house):
    (house.bin / "uv").unlink()
    house.write("without/ensurepip.py", "raise SystemExit(1)")
    house.env["PYTHONPATH"] = str(house.root / "without")
    status, _, err = house.run("app")
    assert status == 4
    assert "apt-get install python3-venv" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("invalid peer certificate: UnknownIssuer", "certificate is not trusted"),
        ("error: client error (Connect)\n dns error", "There is no network"),
        ("ERROR: No matching distribution found for arch", "no ready-made build"),
        ("something else", "The log: "),
    ],
)
def test_what_an_installer_says_is_put_plainly(house, told, meant):
    run = house.load()
    run.installers = lambda: iter([[sys.executable, "-c", f"print({told!r}); raise SystemExit(1)"]])
    with pytest.raises(run.SetupError, match=meant):
        run.install(run.ROOT / "requirements.lock")


def test_an_older_python_gets_a_sentence(house, monkeypatch):
    ast.parse((ROOT / "run.py").read_text("utf-8"), feature_version=(3, 8))
    run = house.load()
    monkeypatch.setattr(run.sys, "version_info", (3, 9, 1))
    with pytest.raises(run.SetupError, match=r"Python 3\.11 or newer"):
        run.prepare(run.ROOT / "requirements.lock")


def test_control_c_ends_the_command_in_its_own_way(house):
    house.write(
        "workbench/cli.py",
        "import sys\ntry:\n    print('up', flush=True)\n    sys.stdin.read()\nexcept KeyboardInterrupt:\n    sys.exit(130)",
    )
    with house.start("app", start_new_session=True, stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == "up\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
        assert "Traceback" not in process.stderr.read()


def test_a_killed_command_ends_as_a_shell_would_say(house):
    house.write("workbench/cli.py", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert house.run("app")[0] == 128 + signal.SIGKILL


def test_missing_bundles_are_built_and_a_failure_is_told(house):
    house.write("pyproject.toml", '[tool.hatch.build.targets.wheel.force-include]\npages = "p"\n"datasets/one" = "o"\n')
    house.write("datasets/make.py", "raise SystemExit(1)")
    status, _, err = house.run("app")
    assert status == 4
    assert "make.py failed" in err
    house.write(
        "datasets/make.py",
        "from pathlib import Path\none = Path(__file__).with_name('one')\none.mkdir()\n(one / 'bundle.toml').touch()",
    )
    assert "building datasets/one" in house.run("app")[2]
    assert house.run("app")[2] == ""


def test_a_browser_is_looked_for_installed_or_asked_for(house, monkeypatch, capsys):
    run = house.load()
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    monkeypatch.setenv("PATH", str(house.bin))
    monkeypatch.setattr(run.os, "geteuid", lambda: 1000)
    house.program("apt-get", f"printf '#!/bin/sh\\n' > '{house.bin}/chromium'; chmod +x '{house.bin}/chromium'")
    assert not run.find_browser()
    assert "apt-get install" in capsys.readouterr().err
    monkeypatch.setattr(run.os, "geteuid", lambda: 0)
    assert run.find_browser()
    assert run.browser() == f"{house.bin}/chromium"
    monkeypatch.setenv("BROWSER_PATH", "/a/browser")
    assert run.browser() == "/a/browser"


@pytest.mark.parametrize(("ci", "left_out"), [("true", []), (None, ["--ignore=tests/browser"])])
def test_without_a_browser_its_tests_are_left_out_but_never_in_ci(house, monkeypatch, ci, left_out):
    run = house.load()
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(run, "find_browser", lambda: False)
    monkeypatch.setattr(run, "prepare", lambda _: None)
    started = []
    monkeypatch.setattr(run, "run", lambda command: started.append(command) or 0)
    assert run.main(["test", "-k", "x"]) == 0
    assert started == [[run.PYTHON, "-m", "pytest", *left_out, "-k", "x"]]
