"""What cannot be shown: characters that neither a terminal, XML nor a browser has a picture for."""

from __future__ import annotations

import re

# Controls, marks that turn the direction of what follows, halves of surrogate pairs, non-characters.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def shown(line: str) -> str:
    """A line with U+FFFD for each character that cannot be shown."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", line)
