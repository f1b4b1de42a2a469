"""Texts with typing mistakes, and with words missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.zoo.augment.text import without_words
from bench.zoo.corrupt.severity import Levels, strength
from bench.zoo.datasets.base import Array, Ints

LEVELS: Levels = {
    # The chance of a word to have one typing mistake.
    "typos": (0.1, 0.2, 0.35, 0.5, 0.75),
    # The chance of a word to be missing.
    "dropped-words": (0.1, 0.2, 0.3, 0.4, 0.5),
}


@dataclass(frozen=True)
class TextCorruptor:
    """Texts made worse. `encode` makes of them what the model takes, [n, ...]."""

    texts: Sequence[str]
    encode: Callable[[Sequence[str]], Array]
    names: ClassVar[tuple[str, ...]] = tuple(LEVELS)

    def __call__(self, name: str, severity: int, chosen: Ints, rng: np.random.Generator) -> tuple[Array]:
        """The texts at the positions `chosen`, encoded, with the corruption `name` at `severity`."""
        return (self.encode(self.worse(name, severity, chosen, rng)),)

    def worse(self, name: str, severity: int, chosen: Ints, rng: np.random.Generator) -> list[str]:
        """The texts themselves, in the order of `chosen`."""
        level = strength(LEVELS, name, severity)
        make = _with_typos if name == "typos" else without_words
        return [make(self.texts[at], level, rng) for at in chosen]


def _with_typos(text: str, share: float, rng: np.random.Generator) -> str:
    return re.sub(r"\S+", lambda word: _mistyped(word[0], rng) if rng.random() < share else word[0], text)


def _mistyped(word: str, rng: np.random.Generator) -> str:
    """The word with one of its letters mistyped; as it is where it has none."""
    letters = [at for at, letter in enumerate(word) if letter.isalpha()]
    if not letters:
        return word
    at = int(rng.choice(letters))
    before, letter, after = word[:at], word[at], word[at + 1 :]
    mistakes = [before + letter + letter + after]
    if len(word) > 1:
        mistakes.append(before + after)
    if after[:1].isalpha() and after[0] != letter:
        mistakes.append(before + after[0] + letter + after[1:])
    if near := _NEIGHBOURS.get(letter.lower()):
        wrong = str(rng.choice(near))
        mistakes.append(before + (wrong.upper() if letter.isupper() else wrong) + after)
    return mistakes[int(rng.integers(len(mistakes)))]


def _keyboard(rows: Sequence[tuple[str, float]]) -> dict[str, list[str]]:
    places = {letter: (at + offset, row) for row, (keys, offset) in enumerate(rows) for at, letter in enumerate(keys)}
    return {
        one: [two for two, (x, y) in places.items() if two != one and abs(x - at) <= 1 and abs(y - row) <= 1]
        for one, (at, row) in places.items()
    }


_NEIGHBOURS = _keyboard((("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75)))
"""The letters next to each on an English keyboard, whose rows are offset by a quarter and by a half of a key."""
