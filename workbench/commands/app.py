"""`workbench app`: open the app on the shipped bundles and on the folders given."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench import console
from workbench.cli_options import Lang, Language, helped
from workbench.text import text

DEFAULT_PORT = 8501


def command(
    folders: Annotated[list[str] | None, typer.Argument(help=helped("folders"))] = None,
    port: Annotated[int | None, typer.Option(help=helped("port"))] = None,
    headless: Annotated[bool, typer.Option("--headless", help=helped("headless"))] = False,
    lang: Language = Lang.en,
) -> None:
    """Open the app on the shipped bundles and on the folders given."""
    from workbench.shipped import shipped

    chosen = port or next(p for p in range(DEFAULT_PORT, DEFAULT_PORT + 100) if _free(p))
    if port is None and chosen != DEFAULT_PORT:
        console.err.print(text("cli.port_taken", lang, port=DEFAULT_PORT, other=chosen))
    bundles = json.dumps([str(Path(folder).resolve()) for folder in folders or []])
    page = shipped("pages") / "app.py"
    command = [sys.executable, "-m", "streamlit", "run", str(page), "--server.port", str(chosen)]
    if headless or not sys.stdout.isatty():
        command += ["--server.headless", "true"]
    console.err.print(text("cli.serving", lang, url=f"http://127.0.0.1:{chosen}"))
    path = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"WORKBENCH_BUNDLES": bundles, "WORKBENCH_LANG": lang.value}
    os.chdir(page.parent.parent)
    # Streamlit takes this process over: signals reach it, and nothing is left behind when it ends.
    os.execve(sys.executable, command, environment | {"PYTHONPATH": os.pathsep.join(path)})  # noqa: S606 - no shell is meant


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
