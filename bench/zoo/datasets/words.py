"""Texts as numbers of words."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

from bench.zoo.datasets.base import Array

VOCABULARY = 8192
PADDING, UNKNOWN, _FIRST = 0, 1, 2

_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")
_DIGIT = re.compile(r"\d")
_OFTEN = 2


def plain(text: str) -> str:
    """What a model sees of the text: small letters, no punctuation, every digit a 0, words one space apart.

    Numbers are then known by their length: a price or a telephone number, of which each is seen but once.
    """
    return " ".join(_DIGIT.sub("0", _PUNCTUATION.sub("", text.lower())).split())


class WordIds:
    """The first `length` words of texts as numbers below `VOCABULARY`: 0 is padding, 1 an unknown word.

    The vocabulary is that of the `texts` given here, which have to be training texts: the more frequent a word,
    the lower its number. A word that stands in them only once counts as unknown, so that a model learns from
    its training texts what to make of unknown words; Keras' TextVectorization would leave them hardly any.
    """

    def __init__(self, texts: Sequence[str], length: int) -> None:
        self._length = length
        counts = Counter(word for text in texts for word in plain(text).split())
        often = sorted((-count, word) for word, count in counts.items() if count >= _OFTEN)
        self._numbers = {word: at for at, (_, word) in enumerate(often[: VOCABULARY - _FIRST], _FIRST)}

    def __call__(self, texts: Sequence[str]) -> Array:
        """Word numbers [n, length], int32."""
        ids = np.full((len(texts), self._length), PADDING, dtype=np.int32)
        for row, text in zip(ids, texts, strict=True):
            words = plain(text).split()[: self._length]
            row[: len(words)] = [self._numbers.get(word, UNKNOWN) for word in words]
        return ids
