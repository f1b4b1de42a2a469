"""A cost that opens to its parts."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bench.record.measurement import Measurement


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One cost, or a sum of costs: `figure` is of all `parts` that are known, where there are parts.

    `formula` says how the figure follows, in words and with the numbers that went in. A part that is not known has no
    value and says why; a sum with such a part is a lower bound, never a total.
    """

    name: str
    figure: Measurement
    formula: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def unknown(self) -> tuple[Part, ...]:
        """The leaves without a value."""
        return tuple(part for part in self.leaves() if part.figure.value is None)

    @property
    def complete(self) -> bool:
        """Whether every leaf has a value."""
        return not self.unknown

    def leaves(self) -> Iterator[Part]:
        """The parts that have no parts."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    def part(self, name: str) -> Part | None:
        """The first part of that name, at any depth."""
        if self.name == name:
            return self
        found = (each.part(name) for each in self.parts)
        return next((each for each in found if each is not None), None)
