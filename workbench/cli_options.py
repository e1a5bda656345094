"""The options and exit statuses that commands share, and the words of --help."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from workbench.text import LANGUAGES, text

DONE, FOUND, BAD_INPUT, MODEL_FAILED, INTERRUPTED = 0, 1, 2, 3, 130


# --help is built before options are read, so its language comes from the environment alone.
_LANG = os.environ.get("WORKBENCH_LANG", "en") if os.environ.get("WORKBENCH_LANG") in LANGUAGES else "en"


def helped(option: str) -> str:
    """What --help says of an option or argument."""
    return text(f"cli.help.{option}", _LANG)


def described(command: str) -> str:
    """What --help says of a command."""
    return text(f"cli.command.{command}", _LANG)


class Lang(StrEnum):
    """Languages of sentences."""

    en = "en"
    zh = "zh"


class FailOn(StrEnum):
    """The mildest outcome that makes the exit status 1."""

    fail = "fail"
    warn = "warn"
    not_run = "not_run"


Bundle = Annotated[str, typer.Argument(help=helped("bundle"))]
Language = Annotated[Lang, typer.Option("--lang", envvar="WORKBENCH_LANG", help=helped("lang"))]
Json = Annotated[str | None, typer.Option("--json", metavar="FILE", help=helped("json"))]
Seed = Annotated[int, typer.Option(help=helped("seed"))]
Trust = Annotated[bool, typer.Option("--trust-code", help=helped("trust"))]
At = Annotated[str | None, typer.Option(help=helped("at"))]
Entity = Annotated[str | None, typer.Option(help=helped("entity"))]
Feature = Annotated[str | None, typer.Option(help=helped("feature"))]
