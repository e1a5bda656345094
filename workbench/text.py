"""Every word that a user reads: `text(key, lang, **values)` looks it up in words/*.toml, English and Chinese side by side."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

LANGUAGES = ("en", "zh")
WORDS = Path(__file__).parent / "words"


class Worded(Protocol):
    """Anything that is a sentence to be: a key and the values that go into it."""

    @property
    def key(self) -> str:
        """A dotted key of words/*.toml."""

    @property
    def values(self) -> Mapping[str, object]:
        """What goes into the placeholders."""


@cache
def words() -> dict[str, dict[str, str]]:
    """Read all of words/*.toml: dotted key -> {"en": …, "zh": …}. A file's name is the first part of its keys."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(WORDS.glob("*.toml")):
        _flatten(file.stem, tomllib.loads(file.read_text("utf-8")), found)
    return found


def _flatten(prefix: str, table: Mapping[str, Any], into: dict[str, dict[str, str]]) -> None:
    for name, entry in table.items():
        key = f"{prefix}.{name}"
        if set(entry) == set(LANGUAGES):
            into[key] = entry
        elif set(entry) & set(LANGUAGES):
            raise ValueError(f"words: {key} must be given in each of {', '.join(LANGUAGES)}")
        else:
            _flatten(key, entry, into)


def text(key: str, lang: str = "en", /, **values: object) -> str:
    """The sentence `key` in `lang`, its {placeholders} filled from `values`.

    >>> text("outcome.fail", "zh")
    '未通过'
    """
    return words()[key][lang].format(**values)


def say(worded: Worded, lang: str = "en") -> str:
    """The sentence of a `Message` or a `Fault`; a value that is itself a sentence is said in the same language."""
    values = {
        name: say(v, lang) if hasattr(v, "key") and hasattr(v, "values") else v for name, v in worded.values.items()
    }
    return text(worded.key, lang, **values)
