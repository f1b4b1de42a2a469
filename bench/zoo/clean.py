"""Cleaning of data sets before they are split: what is found, what becomes of it, and the report of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.record.artifact import Cleaned
from bench.zoo.datasets.base import Array, Ints

Bools = npt.NDArray[np.bool_]
Keys = Sequence[str] | Sequence[bytes] | Array
"""What makes examples the same: texts, bytes, or the rows of an array."""


class Sieve:
    """Which of `count` examples stay, and the report of what was done to the others."""

    def __init__(self, count: int) -> None:
        self._stays = np.ones(count, dtype=bool)
        self._report: list[Cleaned] = []

    @property
    def kept(self) -> Ints:
        """The positions of the examples that stay, in their order."""
        return np.flatnonzero(self._stays).astype(np.int64)

    @property
    def report(self) -> tuple[Cleaned, ...]:
        """What was found, a line each; what was looked for and not found is not in it."""
        return tuple(self._report)

    def drop(self, found: Bools, what: str, why: str) -> None:
        """Drop the examples that are `found` (one value for each there ever was); those gone already do not count."""
        self.note(f"{what}: dropped", int((found & self._stays).sum()), why)
        self._stays &= ~found

    def note(self, what: str, count: int, why: str) -> None:
        """Report what was mended, or only counted, in `count` examples."""
        if count:
            self._report.append(Cleaned(what=what, count=count, why=why))

    def without_copies(self, keys: Keys, labels: Array | None = None) -> None:
        """Drop all copies whose labels differ, and all but the first of the others."""
        if labels is not None:
            self.drop(contradicting(keys, labels), "copies with different labels", "nobody knows which label is right")
        self.drop(repeated(keys), "copies", "one in training and one held out would flatter the model")


def repeated(keys: Keys) -> Bools:
    """True where the same key stands further up already."""
    seen: set[object] = set()
    found = np.zeros(len(keys), dtype=bool)
    for at, key in enumerate(_hashable(keys)):
        found[at] = key in seen
        seen.add(key)
    return found


def contradicting(keys: Keys, labels: Array) -> Bools:
    """True wherever the same key has more than one label."""
    told: dict[object, set[object]] = {}
    given = _hashable(keys)
    for key, label in zip(given, labels.tolist(), strict=True):
        told.setdefault(key, set()).add(label)
    return np.array([len(told[key]) > 1 for key in given], dtype=bool)


def standing_in(keys: Keys, others: Keys) -> Bools:
    """True where a key is also one of `others`."""
    known = set(_hashable(others))
    return np.array([key in known for key in _hashable(keys)], dtype=bool)


def incomplete(values: Array) -> Bools:
    """True for the rows of `values` [n, ...] with a value that is missing: NaN or infinite."""
    return np.asarray(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))


def beyond(values: Array, low: float, high: float) -> Bools:
    """True for the rows of `values` [n, ...] with a value that is not within `low`..`high`."""
    rows = values.reshape(len(values), -1)
    return np.asarray(((rows < low) | (rows > high)).any(axis=1))


def outlying(values: Array, factor: float = 3.0) -> Bools:
    """True for what lies more than `factor` interquartile ranges outside the quartiles of `values` [n].

    Tukey's fences, with 3 for what he calls far out (Exploratory Data Analysis, 1977).
    """
    first, third = np.percentile(values, (25, 75))
    return beyond(values, first - factor * (third - first), third + factor * (third - first))


@dataclass(frozen=True)
class Clip:
    """Limits of columns, learnt from one part of the data and applied to all of it."""

    low: Array
    high: Array

    @classmethod
    def learnt(cls, values: Array, low: float, high: float) -> Clip:
        """The percentiles `low` and `high` (0..100) of each column of `values` [n, d]."""
        return cls(*np.percentile(values, (low, high), axis=0))

    def __call__(self, values: Array) -> Array:
        """`values` [n, d] within the limits."""
        return np.clip(values, self.low, self.high)

    def hits(self, values: Array) -> Bools:
        """True for the rows of `values` that the limits change."""
        return np.asarray(((values < self.low) | (values > self.high)).any(axis=1))


def rows_of(*arrays: Array) -> list[bytes]:
    """The bytes of each example, over all of its arrays."""
    return [b"".join(parts) for parts in zip(*(_bytes(array) for array in arrays), strict=True)]


def _bytes(array: Array) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(array)]


def _hashable(keys: Keys) -> Sequence[object]:
    return _bytes(keys) if isinstance(keys, np.ndarray) else keys
