"""Foreign words on a page: a bundle's own names say nothing to Markdown."""

import re

_SIGNS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@/])")
# Markdown makes links of bare addresses however they are escaped; a sign without width inside them keeps them words.
_ADDRESS = re.compile(r"(?i)(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)")
JOINER = "\u2060"


def plain(words: object) -> str:
    r"""`words` with every sign that Markdown reads escaped; line breaks become spaces.

    >>> plain("a_b :red[c]")
    'a\\_b \\:red\\[c\\]'
    """
    return _SIGNS.sub(r"\\\1", _ADDRESS.sub(JOINER, " ".join(str(words).split())))
