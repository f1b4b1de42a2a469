"""Warm-up until a steady state is found, with a floor and a ceiling of time."""

from __future__ import annotations

import numpy as np

from bench.load.base import as_int64
from bench.load.crew import Crew
from bench.record.observation import Plan, Warmup
from bench.stats.steady import SteadyDetector

WINDOW_S = 0.02

NONE = Warmup(calls=0, seconds=0.0, steady=True, how="none: the start itself is measured")


def warm_up(crew: Crew, plan: Plan) -> Warmup:
    """Closed loops on all lanes at once until the medians of consecutive windows are steady.

    See `bench.stats.steady`. The lanes warm up together, as they are measured together: a clock that
    drops and a cache that is shared are part of the state that has to settle.
    """
    detector = SteadyDetector()
    now = crew.time.now
    start = now()
    calls = 0
    while True:
        parts = [as_int64(ends) - as_int64(starts) for starts, ends in crew.block(WINDOW_S)]
        window = np.concatenate(parts)
        calls += len(window)
        steady = detector.add(window)
        elapsed = (now() - start) / 1e9
        if steady and elapsed >= plan.warmup_min_s:
            return Warmup(calls=calls, seconds=elapsed, steady=True, how="medians of consecutive windows are steady")
        if elapsed >= plan.warmup_max_s:
            how = f"no steady state within {plan.warmup_max_s:g} s of warm-up"
            return Warmup(calls=calls, seconds=elapsed, steady=False, how=how)
