"""Warm-up until a steady state is found, with a floor and a ceiling of time."""

from __future__ import annotations

import numpy as np

from bench.load.base import CLOCK, Clock, Requests
from bench.record.observation import Plan, Warmup
from bench.stats.steady import SteadyDetector

WINDOW_S = 0.02


def warm_up(requests: Requests, plan: Plan, clock: Clock = CLOCK) -> Warmup:
    """Call until the medians of consecutive windows are steady; see `bench.stats.steady`."""
    detector = SteadyDetector()
    start = clock()
    calls = 0
    while True:
        starts, ends = requests.block(WINDOW_S)
        calls += len(starts)
        steady = detector.add(np.subtract(ends, starts))
        elapsed = (clock() - start) / 1e9
        if steady and elapsed >= plan.warmup_min_s:
            return Warmup(calls=calls, seconds=elapsed, steady=True, how="medians of consecutive windows are steady")
        if elapsed >= plan.warmup_max_s:
            how = f"no steady state within {plan.warmup_max_s:g} s of warm-up"
            return Warmup(calls=calls, seconds=elapsed, steady=False, how=how)
