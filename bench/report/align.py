"""Cells of a column brought to one width: decimal points under each other, long text cut where it says least."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len

# What stands before the decimal point of a figure, such as `≈1,500` or `±<0`, and the rest of it.
_FIGURE = re.compile(r"([^\w\s]*\d[\d,]*)(\S*)")
_NUMBER = re.compile(r"[-+±≈~]?\d[\d.,]*(?:[eE][-+]?\d+)?%?")


def aligned(cells: Sequence[str]) -> tuple[str, ...]:
    """Figures of a column in one width: the decimal points of the first words stand under each other, and so on.

    Cells that do not begin with a figure are moved to the right; an absent one (`–`) to the digit before the point.
    """
    split = [_words(cell) for cell in cells]
    places = [
        tuple(max(cell_len(words[at][side]) for words in split if at < len(words)) for side in (0, 1))
        for at in range(max(map(len, split), default=0))
    ]
    figures = sum(map(sum, places)) + len(places) - 1 if places else 0
    width = max([figures, *map(cell_len, cells)])

    def placed(cell: str, words: list[tuple[str, str]]) -> str:
        if words:
            parts = [
                _right(head, before) + _filled(tail, after)
                for (head, tail), (before, after) in zip(words, places, strict=False)
            ]
            return _filled(" ".join(parts), figures)
        return _filled(_right(cell, places[0][0]), figures) if places and cell_len(cell) <= places[0][0] else cell

    return tuple(_right(placed(cell, words), width) for cell, words in zip(cells, split, strict=True))


def shortened(text: str, width: int, mark: str = "…") -> str:
    """`text` in `width` cells, its middle left out; a number in it is shown whole or not at all.

    At least the mark is given, whatever the width.
    """
    if cell_len(text) <= width:
        return text
    room = max(0, width - cell_len(mark))
    head, tail = _start(text, (room + 1) // 2), _start(text[::-1], room // 2)[::-1]
    begin, end = len(head), len(text) - len(tail)
    for number in _NUMBER.finditer(text):
        # A part of a number would be another number.
        if number.start() < begin < number.end():
            begin = number.start()
        if number.start() < end < number.end():
            end = number.end()
    return text[:begin] + mark + text[end:]


def is_figures(cells: Sequence[str]) -> bool:
    """Whether each of the cells is a number, so that none may be cut."""
    return all(_NUMBER.fullmatch(cell) for cell in cells)


def _words(cell: str) -> list[tuple[str, str]]:
    """The words of a cell that begins with a figure, each parted at its decimal point; else none."""
    words = cell.split()
    if not words or not _FIGURE.fullmatch(words[0]):
        return []
    return [found.groups() if (found := _FIGURE.fullmatch(word)) else ("", word) for word in words]  # type: ignore[misc]


def _right(text: str, width: int) -> str:
    return " " * (width - cell_len(text)) + text


def _filled(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _start(text: str, width: int) -> str:
    """As many characters from the start as have room."""
    at = used = 0
    while at < len(text) and used + cell_len(text[at]) <= width:
        used += cell_len(text[at])
        at += 1
    return text[:at]
