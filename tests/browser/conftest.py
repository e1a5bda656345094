"""The real app on a free port, and a Chromium that looks at it. A page must not complain and must not call anybody."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_bundle
from playwright.sync_api import sync_playwright
from screen import HOSTILE, settle
from test_adoption import DECISIONS, log

ROOT = Path(__file__).parent.parent.parent
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 240_000


def browser_path() -> str:
    """What run.py finds; without one these tests fail, and run.py leaves them out where that is allowed."""
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    found = run.browser()
    assert found, "no Chromium: install one, or name one in BROWSER_PATH"
    return found


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One browser for all; it finds the workbench's own font, so that Chinese is legible on a machine without any."""
    data = tmp_path_factory.mktemp("data")
    (data / "fonts").symlink_to(ROOT / "workbench" / "fonts")
    with sync_playwright() as playwright:
        environment = os.environ | {"XDG_DATA_HOME": str(data)}
        browser = playwright.chromium.launch(executable_path=browser_path(), args=QUIET, env=environment)
        yield browser
        browser.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def app_home(tmp_path_factory):
    """Where the app keeps its ledger."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def app(app_home, hostile_bundle, broken_bundle, logged_bundle):
    """The address of the app, opened on the shipped bundles and on two that a stranger sent."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        sys.executable,
        "-m",
        "workbench.cli",
        "app",
        str(hostile_bundle),
        str(broken_bundle),
        str(logged_bundle),
    ]
    with (
        (app_home / "app.log").open("w") as log,
        subprocess.Popen(
            [*command, "--port", str(port), "--headless"],
            cwd=ROOT,
            env=os.environ | {"WORKBENCH_HOME": str(app_home), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        told = next((line for line in process.stdout if address in line), None)
        assert told, (app_home / "app.log").read_text()
        yield address
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)  # reads on: Streamlit cannot stop while it cannot say so


@pytest.fixture
def look(chromium, app):
    """look(path, scheme): a page of the app, drawn to its end. At the test's end no page may have complained or gone outside."""
    complaints, contexts = [], []

    def open_page(path: str, scheme: str = "light"):
        context = chromium.new_context(color_scheme=scheme, viewport={"width": 1440, "height": 1000})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}") or dialog.dismiss())
        page.on("request", lambda r: complaints.append(r.url) if is_outside(r.url, app) else None)
        page.goto(app + path)
        settle(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def is_outside(url: str, app: str) -> bool:
    return not url.startswith((app, app.replace("http", "ws", 1), "data:", "blob:"))


@pytest.fixture(scope="session")
def hostile_bundle(tmp_path_factory):
    """A good bundle whose words try to be markup."""
    label = {"en": HOSTILE, "zh": HOSTILE}
    bundle = {"name": "hostile", "title": label, "description": HOSTILE}
    features = {"momentum": {"family": "equity", "unit": HOSTILE, "label": label}}
    return make_bundle(tmp_path_factory.mktemp("sent") / "hostile", bundle=bundle, features=features)


@pytest.fixture(scope="session")
def broken_bundle(tmp_path_factory):
    """A bundle with two faults: a column that is not there, and a model file that is cut."""
    return make_bundle(tmp_path_factory.mktemp("sent") / "broken", model="tree\n", panel={"time": "day"})


@pytest.fixture(scope="session")
def logged_bundle(tmp_path_factory):
    """A bundle with a log of decisions."""
    folder = make_bundle(tmp_path_factory.mktemp("sent") / "logged", decisions=DECISIONS)
    names = {"predicted": "p", "latency_ms": "ms", "adopted": "taken", "outcome": "won"}
    table = log(drop=0.63).rename(columns=names).rename_axis("time").reset_index()
    table.to_csv(folder / "decisions.csv", index=False)
    return folder
