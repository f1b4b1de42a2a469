"""Text of models, suites and machines as a terminal can show it, whatever it holds."""

from __future__ import annotations

from rich.console import Console

from bench.report.changes import plain

_SPELLED = {"µ": "u", "±": "+-", "≈": "~", "–": "-", "…": "~", "•": "-", "·": "|", "×": "x", "°": " deg "}


def spelled(value: str, console: Console) -> str:
    """Text on one line, without control characters, in characters that the console's encoding has."""
    return encodable(plain(value), console.encoding)


def encodable(value: str, encoding: str) -> str:
    """`value` with what `encoding` lacks spelled in ASCII, or as `?`."""
    try:
        value.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_spelled(letter, encoding) for letter in value)
    except LookupError:
        return value.encode("ascii", "replace").decode()
    return value


def _spelled(letter: str, encoding: str) -> str:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return _SPELLED.get(letter, "?")
    return letter
