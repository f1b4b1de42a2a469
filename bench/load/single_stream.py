"""One request at a time: the next is sent when the last has come back (MLPerf SingleStream)."""

from __future__ import annotations

import numpy as np

from bench.load.base import CLOCK, Between, Clock, Requests
from bench.record.observation import Plan, Samples
from bench.stats.precision import median_half_width


def measure(requests: Requests, plan: Plan, between: Between | None = None, clock: Clock = CLOCK) -> Samples:
    """Blocks of calls until the plan's precision is reached or its time is over; every sample is kept."""
    starts: list[int] = []
    ends: list[int] = []
    sizes: list[int] = []
    begin = clock()
    while True:
        block_starts, block_ends = requests.block(plan.block_s)
        starts += block_starts
        ends += block_ends
        sizes.append(len(block_starts))
        elapsed = (clock() - begin) / 1e9
        stop = _stop(starts, ends, elapsed, plan)
        if stop:
            return Samples(
                start_ns=np.array(starts, dtype=np.int64),
                latency_ns=np.subtract(ends, starts, dtype=np.int64),
                block=np.repeat(np.arange(len(sizes), dtype=np.int64), sizes),
                stopped_by=stop,
            )
        if between is not None:
            between(len(starts), float(np.median(np.subtract(block_ends, block_starts))) / 1e9)


def _stop(starts: list[int], ends: list[int], elapsed: float, plan: Plan) -> str | None:
    enough = len(starts) >= plan.min_samples and elapsed >= plan.min_s
    if enough and median_half_width(np.subtract(ends, starts), plan.confidence) <= plan.precision:
        return f"precision: the median is within {plan.precision:.2%} at {plan.confidence:.0%} confidence"
    if elapsed >= plan.max_s:
        short = "" if len(starts) >= plan.min_samples else f", {len(starts)} of {plan.min_samples} samples"
        return f"time budget of {plan.max_s:g} s{short}"
    return None
