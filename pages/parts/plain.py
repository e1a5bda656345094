"""Foreign words on a page: a bundle's own names say nothing to Markdown."""

import re

_SIGNS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@/])")


def plain(words: object) -> str:
    r"""`words` with every sign that Markdown reads escaped; line breaks become spaces.

    >>> plain("a_b :red[c]")
    'a\\_b \\:red\\[c\\]'
    """
    return _SIGNS.sub(r"\\\1", " ".join(str(words).split()))
