"""What may not leave the house: paths of this machine, the name of who runs it, and the people named in a bundle where asked."""

import getpass
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.schema import StrategyBundle

HIDDEN = "▇▇▇"
SHORTEST = 3
_PIECE = r"""[^\s/\\"'<>|:;,()，。；：、（）]"""
_PATH = re.compile(
    "|".join(
        [
            rf"file://(?:{_PIECE}|[/:])*",
            rf"(?<![\w.:/\\])~?/(?:{_PIECE}+/)+{_PIECE}*",  # /home/someone/book.csv
            rf"(?<=[⺀-鿿，。；：、（])~?/[A-Za-z0-9._-]+/(?:{_PIECE}|/)*",  # the same behind a Chinese word
            rf"(?<![A-Za-z0-9_])[A-Za-z]:[\\/](?:{_PIECE}|[\\/])*",  # C:\Users\someone\book.csv
            rf"\\\\{_PIECE}+\\(?:{_PIECE}|\\)+",  # \\server\share
        ]
    )
)


def redact(value: Any, denied: Iterable[str] = ()) -> Any:
    """Hide local paths, this machine's user and every word of `denied` in a text, or in each text of a mapping or a list.

    Words are found whatever their case, longest first; Latin ones only whole, so that "Li" leaves "Liquidity" alone.

    >>> redact("kept in /home/lihua/models/m.txt, approved by Li Hua", ["li hua"])
    'kept in ▇▇▇, approved by ▇▇▇'
    """
    return _through(value, _pattern([*denied, *user_names()]))


def user_names() -> tuple[str, ...]:
    """Names that this machine knows its user by; common ones that tell nothing are left out."""
    telling_nothing = {"root", "user", "admin", "runner", "app", "home"}
    try:
        names = {getpass.getuser(), Path.home().name}
    except (KeyError, OSError, RuntimeError):
        return ()
    return tuple(sorted(n for n in names if len(n) >= SHORTEST and n.lower() not in telling_nothing))


def people(bundle: StrategyBundle) -> tuple[str, ...]:
    """Names of persons in the bundle's [governance], to be given to `redact` where they shall not be published."""
    section = bundle.manifest.governance
    named = (section.author, section.validator, section.approver) if section else ()
    return tuple(name for name in named if name)


def _pattern(denied: Iterable[str]) -> re.Pattern[str]:
    words = sorted({word.strip() for word in denied if word.strip()}, key=lambda word: (-len(word), word))
    parts = [_whole(word) for word in words]
    return re.compile("|".join(parts), re.IGNORECASE) if parts else re.compile(r"(?!)")


def _whole(word: str) -> str:
    """A word's pattern: no Latin letter or digit may touch its Latin ends; Chinese names have no such borders."""
    before = r"(?<![A-Za-z0-9])" if word[0].isascii() and word[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if word[-1].isascii() and word[-1].isalnum() else ""
    return before + re.escape(word) + after


def _through(value: Any, names: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return names.sub(HIDDEN, _PATH.sub(HIDDEN, value))
    if isinstance(value, Mapping):
        return {_through(key, names): _through(entry, names) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_through(entry, names) for entry in value)
    return value
