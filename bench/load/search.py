"""The highest rate that holds a bound, by bisection, with what is sure below and above it.

It knows only a trial: a rate goes in, and out comes how many of how many queries were late.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from bench.record.observation import Capacity, Probe

LOWEST_SHARE = 1 / 512
"""Below this share of the ceiling no rate is tried: there the queue is as good as empty."""
MOST_PROBES = 28
"""About what the three bisections take at a tolerance of 2 %; there are never more."""


def capacity(trial: Callable[[float], Probe], ceiling: float, *, bound_s: float, tolerance: float) -> Capacity:
    """The highest rate whose p99 was within the bound, and the rates between which it surely lies.

    Three bisections on a logarithmic scale share their trials: for the highest rate with p99 within the
    bound (`rate`), for the highest at which that is sure (`low`) and for the lowest at which the contrary
    is sure (`high`), each until two rates are within `tolerance` (a share) of each other. They take for
    granted that a slower rate has no more late queries, which holds for trials on the same stream of luck.

    Args:
        trial: tries a rate.
        ceiling: the highest rate to try.
        bound_s: what the trials are held against, s.
        tolerance: how close is close enough.

    Raises:
        ValueError: `ceiling` or `tolerance` is not above 0.
    """
    if not ceiling > 0 or not tolerance > 0:
        raise ValueError(f"ceiling and tolerance must be above 0: {ceiling}, {tolerance}")
    probes: list[Probe] = []

    def passes(rate: float, good: Callable[[Probe], bool]) -> bool:
        probes.append(trial(rate))
        return good(probes[-1])

    def highest(good: Callable[[Probe], bool]) -> tuple[float | None, float | None]:
        """The highest rate that is good and the lowest that is not, from the trials made and as many more as needed."""
        low = max((probe.rate for probe in probes if good(probe)), default=None)
        bad = [probe.rate for probe in probes if not good(probe) and (low is None or probe.rate > low)]
        high = min(bad, default=None)
        if high is None:
            if low == ceiling or passes(ceiling, good):
                return ceiling, None
            high = ceiling
        while low is None and high > ceiling * LOWEST_SHARE and len(probes) < MOST_PROBES:
            if passes(high / 2, good):
                low = high / 2
            else:
                high /= 2
        while low is not None and high / low > 1 + tolerance and len(probes) < MOST_PROBES:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if passes(middle, good) else (low, middle)
        return low, high

    rate, _ = highest(lambda probe: probe.within)
    low, _ = highest(lambda probe: probe.verdict == "held")
    _, high = highest(lambda probe: probe.verdict != "failed")
    return Capacity(bound_s=bound_s, rate=rate, low=low, high=high, probes=tuple(probes))
