"""How much one process differs from the next, learnt from all trials together, so that few processes have an interval.

Settings of one model on one machine differ in their level, hardly in how far processes of one setting lie apart. The
spread of the logarithms is therefore pooled over all settings, as in an analysis of variance: with k settings of n
processes it has k (n - 1) degrees of freedom, where one setting alone has n - 1.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from functools import cache

import msgspec
import numpy as np

from bench.stats.dominance import Interval

CONFIDENCE = 0.99
"""Of the intervals by which a trial is given up, and by which settings are told apart."""
FLOOR = 0.005
"""The least spread that is believed: a few processes may agree by chance."""


class Spread(msgspec.Struct, frozen=True):
    """Standard deviation of the logarithm of one figure between processes, and its degrees of freedom."""

    deviation: float
    freedom: int

    def interval(self, values: Sequence[float]) -> Interval:
        """Bounds of the level that `values` of single processes come from: their median, by Student's t.

        A setting whose own processes lie further apart than the others' counts as far apart as they do. Unbounded
        where nothing is known of the spread yet, or a value is not positive.
        """
        middle = statistics.median(values)
        if self.freedom < 1 or min(values) <= 0:
            return -math.inf, math.inf
        own = statistics.stdev([math.log(value) for value in values]) if len(values) > 2 else 0.0
        deviation = max(self.deviation, own, FLOOR)
        half = _factor(self.freedom) * deviation / math.sqrt(len(values))
        return middle * math.exp(-half), middle * math.exp(half)


def pooled(groups: Iterable[Sequence[float]]) -> Spread:
    """The spread within groups of figures of single processes, one group a setting; those of one process tell nothing.

    Groups with a figure that is not positive are left out.
    """
    squares, freedom = 0.0, 0
    for group in groups:
        if len(group) < 2 or min(group) <= 0:
            continue
        logs = np.log(group)
        squares += float(((logs - logs.mean()) ** 2).sum())
        freedom += len(group) - 1
    return Spread(math.sqrt(squares / freedom) if freedom else 0.0, freedom)


@cache
def _factor(freedom: int) -> float:
    """Student's t for an interval of `CONFIDENCE`."""
    from scipy.stats import t

    return float(t.ppf(0.5 + CONFIDENCE / 2, freedom))
