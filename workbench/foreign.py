"""Foreign text (a cell, a column's name, a line of a file) as it may stand in a message."""

import difflib
from collections.abc import Sequence


def shown(foreign: object, most: int = 60) -> str:
    r"""One bounded line without control or direction marks.

    >>> shown("y10\x1b[31m\n"), shown("利率")
    ('y10\\x1b[31m\\n', '利率')
    """
    text = str(foreign)
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:most])
    return line if len(text) <= most else f"{line}…"


def nearest(name: str, known: Sequence[str]) -> str:
    """The known names that look most like `name`; where none does, all of them (at most 20).

    >>> nearest("Y_10", ["y10", "slope"]), nearest("x", ["y10", "slope"])
    ('y10', 'y10, slope')
    """
    by_lower = {k.lower(): k for k in known}
    close = [by_lower[k] for k in difflib.get_close_matches(name.lower(), by_lower, n=3)]
    return ", ".join(shown(k) for k in close or known[:20])
