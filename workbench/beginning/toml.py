"""bundle.toml as text: sections and keys in the contract's order, a reason behind each guess, an open question as a comment."""

import re
from collections.abc import Sequence

from workbench.beginning.draft import SECTIONS, Draft
from workbench.text import say, text

_ESCAPES = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", '"': r"\"", "\\": r"\\"}


def quoted(text: str) -> str:
    r"""A TOML basic string; what does not print is escaped.

    >>> quoted('a "b"\n'), quoted("利率")
    ('"a \\"b\\"\\n"', '"利率"')
    """
    return f'"{"".join(map(_character, text))}"'


def _character(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    return c if c.isprintable() else f"\\u{ord(c):04X}" if ord(c) < 1 << 16 else f"\\U{ord(c):08X}"


def dotted(place: Sequence[str]) -> str:
    """A key's place: bare where TOML allows it.

    >>> dotted(("features", "y 10", "lag"))
    'features."y 10".lag'
    """
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else quoted(part) for part in place)


def value_text(value: object) -> str:
    """Text, a whole or other number, or a list of them, in TOML."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def manifest_text(draft: Draft, lang: str, **sources: str) -> str:
    """The whole file; `sources` name what it was made from."""
    places = [guess.place for guess in draft.guesses] + [question.place for question in draft.questions]
    sections = dict.fromkeys(place[:-1] for place in places)
    lines = [f"# {text('init.toml.head', lang, **sources)}"]
    for section in sorted(sections, key=lambda section: SECTIONS.index(section[0])):
        guesses = [guess for guess in draft.guesses if guess.place[:-1] == section]
        lines += ["", f"[{dotted(section)}]"] if guesses else [""]
        lines += [f"{dotted(g.place[-1:])} = {value_text(g.value)}  # {say(g.why, lang)}" for g in guesses]
        asked = [question for question in draft.questions if question.place[:-1] == section]
        lines += [f"# {dotted(question.place)}: {say(question.why, lang)}" for question in asked]
    return "\n".join(lines) + "\n"
