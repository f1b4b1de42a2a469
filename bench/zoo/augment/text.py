"""Texts with words left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.zoo.augment.options import Augmentation
from bench.zoo.datasets.base import Array


@dataclass(frozen=True)
class TextVary:
    """Texts as one epoch sees them, in their order. `encode` makes of them what the model takes, [n, ...]."""

    texts: Sequence[str]
    encode: Callable[[Sequence[str]], Array]

    def __call__(self, options: Augmentation, rng: np.random.Generator) -> tuple[Array]:
        """The texts encoded, each with a share of its words, up to `word_dropout`, left out."""
        if not options.word_dropout:
            return (self.encode(self.texts),)
        shares = rng.uniform(0, options.word_dropout, len(self.texts))
        return (self.encode([without_words(text, share, rng) for text, share in zip(self.texts, shares, strict=True)]),)


def without_words(text: str, share: float, rng: np.random.Generator) -> str:
    """The text with each word left out by the chance `share`; the words that stay are one space apart.

    A text without words is given back as it is, and of any other at least one word stays.
    """
    words = text.split()
    if not words:
        return text
    draws = rng.random(len(words))
    kept = [word for word, draw in zip(words, draws, strict=True) if draw >= share]
    return " ".join(kept or [words[int(draws.argmax())]])
