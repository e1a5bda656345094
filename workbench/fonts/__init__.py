"""The one font of every figure and page on paper: a subset of Noto Sans SC under a name of its own.

The name differs from the original's so that a system font of that name is never taken in its place: the same input gives the
same bytes on every machine.
"""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
FAMILY = "Workbench Sans SC"
MISSING = "⊠"


@cache
def characters() -> frozenset[str]:
    """Every character that the font can print, as `make.py` left it in characters.txt."""
    return frozenset((FOLDER / "characters.txt").read_text("utf-8")) - {"\n"}


def printable(sentence: str) -> str:
    """`sentence` with ⊠ for each character that the font lacks; line breaks stay, tabs become blanks.

    >>> printable("固收+ 🚀")
    '固收+ ⊠'
    """
    known = characters()
    return "".join(c if c in known or c == "\n" else " " if c == "\t" else MISSING for c in sentence)
