"""One command on a bare machine: makes the environment in .venv, then runs the workbench in it.

python3 run.py app            opens the app
python3 run.py test [ARG…]    runs the tests; every ARG goes to pytest (--cov, -k NAME, a path)
python3 run.py WORD…          anything else is a `workbench` command: python3 run.py audit us_rates_plus_tilt

The exit status is the command's own; 4 means that the environment could not be made.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = str(PROGRAMS / "python")
SCRATCH = ROOT / ".workbench"  # the lock that keeps two starts apart, and the log of the last installation
LOG = SCRATCH / "setup.log"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Only files that the lock names by hash, and no source that would want a compiler.
PIP = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:"]
UV = ["pip", "install", "-q", "--python", PYTHON, "--require-hashes", "--no-build"]
SETTINGS = {"PIP_USER": "0", "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "DEBIAN_FRONTEND": "noninteractive"}
# What an installer prints, and what that means to the reader; the first that fits is said.
MEANINGS = {
    ("No space left",): "The disk is full.",
    ("HASHES", "Hash mismatch"): "A downloaded file is not the one that the lock names; it was not installed.",
    (
        "UnknownIssuer",
        "CERTIFICATE_VERIFY_FAILED",
    ): "The package registry's certificate is not trusted on this machine; "
    "name your organisation's in PIP_CERT and SSL_CERT_FILE.",
    ("dns error", "NewConnectionError", "Connection refused", "Max retries", "timed out"): "There is no network, or no "
    "package registry within reach. Behind a proxy set HTTPS_PROXY; for a mirror use `pip config set global.index-url`.",
    ("No matching distribution", "no wheels", "no usable wheels", "no compatible"): "A package has no ready-made build "
    "for this machine's Python {0}.{1}; none is ever compiled here. Another Python from 3.11 on most likely has one.",
}


class SetupError(Exception):
    """What could not be done, and what the reader can do about it."""


def say(words: str) -> None:
    """Tell on standard error; standard output belongs to the command."""
    print(f"run.py: {words}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the setup for this process; a second start waits here until the first is through."""
    SCRATCH.mkdir(exist_ok=True)
    with (SCRATCH / "setup.lock").open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - each system has its own

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another start is setting up; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def attempt(command: list[str]) -> bool:
    """Run an installer to its end; what it prints goes into the log."""
    with LOG.open("a", encoding="utf-8") as log:
        print("$", *command, file=log, flush=True)
        try:
            settings = {**os.environ, **SETTINGS}
            return not subprocess.run(command, stdout=log, stderr=log, cwd=ROOT, env=settings, check=False).returncode
        except OSError as error:
            print(error, file=log)
            return False


def works(*arguments: str) -> bool:
    """Whether the environment's Python is there, is of this Python's version, and runs the arguments."""
    same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    runs = [("-c", same), arguments or ("-c", "")]
    return shutil.which(PYTHON) is not None and not any(
        subprocess.run([PYTHON, *r], capture_output=True, check=False).returncode for r in runs
    )


def installers() -> Iterator[list[str]]:
    """Ways to install, the quickest first; each is prepared only when the ones before it failed."""
    if uv := shutil.which("uv"):
        yield [uv, *UV]
    if not works("-m", "pip", "--version") and not attempt([PYTHON, "-m", "ensurepip"]):
        virtualenv = shutil.which("virtualenv")
        if not virtualenv or not attempt([virtualenv, "--python", sys.executable, str(ENVIRONMENT)]):
            say(
                "this Python comes without pip. On Debian or Ubuntu: apt-get install python3-venv; elsewhere install uv"
            )
            return
    if attempt([*PIP, "-r", "requirements-uv.lock"]):
        yield [str(PROGRAMS / "uv"), *UV]
    yield PIP


def install(lock: Path) -> None:
    """Install exactly what the lock names; SetupError says in plain words why it could not be."""
    LOG.write_text("", "utf-8")
    if any(attempt([*installer, "-r", str(lock)]) for installer in installers()):
        return
    told = LOG.read_text("utf-8", "replace").rpartition("\n$ ")[2]  # the last one's words count
    meaning = next((words for signs, words in MEANINGS.items() if any(sign in told for sign in signs)), "")
    raise SetupError(f"{lock.name} could not be installed. {meaning.format(*sys.version_info)} The log: {LOG}")


def prepare(lock: Path) -> None:
    """Make .venv hold what the lock names, once: a stamp, written last, tells the next start that nothing is to be done."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what an older Python meets first
        raise SetupError(
            f"Python 3.11 or newer is needed, and this is {sys.version.split()[0]}. Try: python3.12 run.py …"
        )
    stamps = {  # the tests' lock holds the app's too
        ENVIRONMENT / f"ready-{each.stem}": hashlib.sha256(
            each.read_bytes() + f"{sys.version}{ROOT}".encode()
        ).hexdigest()
        for each in (lock, ROOT / "requirements-test.lock")
    }
    unfinished = ENVIRONMENT / "unfinished"
    with alone():
        if any(s.exists() and s.read_text() == wanted for s, wanted in stamps.items()) and works():
            return
        say(f"installing {lock.name} into {ENVIRONMENT}; this happens once and takes a minute or two")
        if unfinished.exists() or not works():
            venv.create(ENVIRONMENT, clear=True, symlinks=os.name != "nt")
        unfinished.touch()
        for stale in ENVIRONMENT.glob("ready-*"):
            stale.unlink()
        install(lock)
        packages = sysconfig.get_path("purelib", "venv", {"base": str(ENVIRONMENT)})
        Path(packages, "workbench-checkout.pth").write_text(
            f"{ROOT}\n", "utf-8"
        )  # child processes find the package too
        stamp, wanted = next(iter(stamps.items()))
        stamp.write_text(wanted)
        unfinished.unlink()


def build_bundles() -> None:
    """Make the bundles that the package ships, where this checkout lacks one."""
    import tomllib  # noqa: PLC0415 - an older Python shall get as far as its message

    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]

    def missing() -> list[str]:
        shipped = (
            n for n in build["force-include"] if n.startswith("datasets/") and not n.startswith("datasets/data/")
        )
        return [name for name in shipped if not (ROOT / name / "bundle.toml").exists()]

    if missing():
        with alone():
            if names := missing():
                say(f"building {', '.join(names)}")
                if run([PYTHON, str(ROOT / "datasets" / "make.py")]):
                    raise SetupError("datasets/make.py failed; what it said stands above")


def browser() -> str | None:
    """The path of a Chromium: BROWSER_PATH, or the first of the usual names that is installed."""
    return os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)


def find_browser() -> bool:
    """Look for a Chromium; install Debian's where that is ours to do, else say how to get one."""
    if not browser() and shutil.which("apt-get") and getattr(os, "geteuid", lambda: 1)() == 0:
        say("no Chromium here; installing Debian's for the tests of the pages")
        attempt(["apt-get", "update", "-qq"])
        attempt(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"])
    if not browser():
        say(
            "no Chromium found, so the tests of the pages (tests/browser) are left out. Install one (Debian: apt-get install"
        )
        say("chromium; Ubuntu: snap install chromium; macOS: brew install --cask chromium) or name one in BROWSER_PATH")
    return browser() is not None


def run(command: list[str]) -> int:
    """Run a command to its end and give its exit status; Ctrl-C reaches it as well, and it ends in its own way."""
    with subprocess.Popen(command) as child:
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        while True:
            try:
                status = child.wait()
            except KeyboardInterrupt:
                continue
            return status if status >= 0 else 128 - status


def main(words: list[str]) -> int:
    """Prepare what the words need, then run them."""
    if not words or words[0] in {"-h", "--help"}:
        print(__doc__)
        return 0
    testing = words[0] == "test"
    prepare(ROOT / ("requirements-test.lock" if testing else "requirements.lock"))
    build_bundles()
    if not testing:
        return run([PYTHON, "-m", "workbench.cli", *words])
    os.chdir(ROOT)
    # In CI a missing browser is a failure, told by the tests themselves.
    left_out = [] if find_browser() or os.environ.get("CI") else ["--ignore=tests/browser"]
    return run([PYTHON, "-m", "pytest", *left_out, *words[1:]])


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except SetupError as error:
        say(str(error))
        raise SystemExit(4) from None
    except KeyboardInterrupt:
        say("interrupted; the next start takes it up again")
        raise SystemExit(130) from None
