"""Looking at paired rounds more than once without being misled more often: when to look, and how sure to be each time.

Each look spends a part of the error that is allowed in all (alpha spending, Lan & DeMets 1983, Biometrika 70, with
their function of Pocock's type, which spends early: a clear difference should end the measuring soon). The parts are
used as levels of their own, so that by Bonferroni's inequality all intervals of all looks hold together with the
overall confidence, whatever rule decides on stopping (repeated confidence intervals, Jennison & Turnbull 1989). That
gives away a little power, and is exact for Student's t at a few rounds, where the usual normal boundaries are not.
"""

from __future__ import annotations

import math
from bisect import bisect_left

import msgspec

from bench.stats.checks import check_share

_GROWTH = 1.6
"""Each look sees this much more than the one before: looks that see hardly more cost error and tell nothing new."""


class Schedule(msgspec.Struct, frozen=True):
    """Rounds after which to look, rising, and the confidence that all looks together have."""

    looks: tuple[int, ...]
    confidence: float = 0.95

    def at(self, rounds: int) -> float:
        """The confidence of an interval at the look after `rounds` rounds, so that all looks together keep theirs.

        Raises:
            ValueError: there is no look after so many rounds.
        """
        if rounds not in self.looks:
            raise ValueError(f"no look after {rounds} rounds: {self.looks}")
        return 1 - (self._spent(rounds) - self._spent(self._before(rounds)))

    def last(self, rounds: int) -> float:
        """The confidence of the interval where measuring ends undecided after `rounds` rounds: all that is left.

        It holds where the end does not hang on what was measured: the time or the rounds were over.
        """
        return 1 - ((1 - self.confidence) - self._spent(self._before(rounds)))

    def _spent(self, rounds: int) -> float:
        """Error spent up to a look: alpha ln(1 + (e - 1) t) at the share t of all rounds."""
        return (1 - self.confidence) * math.log1p((math.e - 1) * rounds / self.looks[-1])

    def _before(self, rounds: int) -> int:
        """The last look before `rounds`; 0 where there is none."""
        at = bisect_left(self.looks, rounds)
        return self.looks[at - 1] if at else 0


def schedule(first: int, last: int, confidence: float = 0.95) -> Schedule:
    """Looks from `first` to `last` rounds, each after about 1.6 times the rounds of the one before.

    All but the last are even, so that as many rounds began with a as with b.

    Raises:
        ValueError: `first` is below 2, `last` below `first`, or `confidence` not between 0 and 1.
    """
    check_share("confidence", confidence)
    if not 2 <= first <= last:
        raise ValueError(f"looks from {first} to {last} rounds: 2 at least, and not before the first")
    looks = []
    rounds = float(first)
    while (even := 2 * math.ceil(rounds / 2)) < last:
        looks.append(even)
        rounds = even * _GROWTH
    return Schedule((*looks, last), confidence)
