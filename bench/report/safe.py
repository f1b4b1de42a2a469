"""Text of models, suites and machines as a terminal can show it, whatever it holds."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from bench.report.changes import plain
from bench.shown import shown

_SPELLED = {"µ": "u", "±": "+-", "≈": "~", "–": "-", "…": "~", "•": "-", "·": "|", "×": "x", "°": " deg "}
_LACKING = "counterpoise.spelled"
"""Name by which streams know what to do with characters that their encoding lacks."""


class Screen(Console):
    """Standard output or standard error of a command: what its encoding lacks is spelled, whoever prints there.

    Of control characters only line breaks reach it, whoever forgot to take them out of a name; the console's own
    commands to the terminal are not text.

    A reader who has seen enough, as in `bench show | head`, ends the output and not the command.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        stream = sys.stderr if stderr else sys.stdout
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_LACKING)
        super().__init__(stderr=stderr, highlight=False, width=width)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """The segments to print."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment("\n".join(map(shown, segment.text.split("\n"))), segment.style)

    def on_broken_pipe(self) -> None:
        """Write nothing more; the exit code stays the command's own."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)
        self.quiet = True


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


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SPELLED.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


codecs.register_error(_LACKING, _spell)


def _spelled(letter: str, encoding: str) -> str:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return _SPELLED.get(letter, "?")
    return letter
