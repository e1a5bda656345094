"""The command line's frame: the words of --help, errors as sentences, exit statuses. The commands stand in commands/."""

import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Annotated

import typer

from workbench import __version__, console
from workbench.cli_options import BAD_INPUT, DONE, INTERRUPTED, MODEL_FAILED, described, helped
from workbench.commands import commands
from workbench.text import LANGUAGES, say, text

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=helped("workbench"),
)
for name, command in commands():
    app.command(name, help=described(name))(command)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help=helped("version"))] = False,
    debug: Annotated[bool, typer.Option("--debug", help=helped("debug"))] = False,
) -> None:
    del debug  # read by main(), which also has to know it when parsing fails
    if version:
        console.out.print(f"workbench {__version__}")
        raise typer.Exit


def _guard(run: Callable[[], object], debug: bool, lang: str) -> int:
    """Run a command and turn whatever it raises into sentences and an exit status; no traceback reaches a user."""
    from workbench.schema import BadInputError, ModelFailedError

    try:
        run()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer makes this of Ctrl-C inside a command, and says nothing
            console.err.print(text("cli.interrupted", lang))
        return end.code if isinstance(end.code, int) else DONE
    except KeyboardInterrupt:
        console.err.print(text("cli.interrupted", lang))
        return INTERRUPTED
    except BadInputError as bad:
        for fault in bad.faults:
            console.err.print(fault.spoken(lang))
        console.err.print(text("cli.faults", lang, count=len(bad.faults)))
        return BAD_INPUT
    except ModelFailedError as failed:
        console.err.print(say(failed.message, lang))
        return MODEL_FAILED
    except Exception as error:
        if debug:
            raise
        console.err.print(text("cli.unexpected", lang, kind=type(error).__name__, text=error))
        return BAD_INPUT
    return DONE


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    asked = next((b for a, b in pairwise(words) if a == "--lang"), os.environ.get("WORKBENCH_LANG", "en"))
    lang = asked if asked in LANGUAGES else "en"
    sys.exit(
        _guard(partial(app, prog_name="workbench", args=[w for w in words if w != "--debug"]), "--debug" in words, lang)
    )


if __name__ == "__main__":
    main()
