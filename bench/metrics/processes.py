"""A figure that each invocation of the process gives once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.optional import NO_INTERVAL, installed
from bench.record.measurement import Measurement
from bench.stats.interval import over_invocations

CONFIDENCE = 0.95


def over_processes(values: Sequence[float], unit: str, how: str, n: int | None = None) -> Measurement:
    """The median of one value an invocation, with its interval where there are two or more.

    `n` is the number of samples behind them, where each value rests on more than one.
    """
    known = installed("scipy")
    low, high = (over_invocations(values, confidence=CONFIDENCE) if known else None) or (None, None)
    return Measurement(
        value=float(np.median(values)),
        unit=unit,
        n=len(values) if n is None else n,
        how=how if known or len(values) == 1 else f"{how}; no interval: {NO_INTERVAL}",
        low=low,
        high=high,
        confidence=None if low is None else CONFIDENCE,
    )
