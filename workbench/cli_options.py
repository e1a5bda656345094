"""The options that commands share, and the words of --help."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from workbench.text import LANGUAGES, text


def helped(word: str) -> str:
    """--help is built before options are read, so its language comes from the environment alone."""
    lang = os.environ.get("WORKBENCH_LANG", "en")
    return text(f"cli.help.{word}", lang if lang in LANGUAGES else "en")


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
