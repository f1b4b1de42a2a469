"""When enough has been measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.record.observation import Plan
from bench.stats.precision import median_half_width


def closed_loop(
    latency_ns: npt.ArrayLike, block: npt.NDArray[np.int64], count: int, elapsed_s: float, plan: Plan
) -> str | None:
    """Why to stop after `count` samples in order of time, or None: the median is known well enough, or time is over."""
    enough_seen = count >= plan.min_samples and elapsed_s >= plan.min_s
    if enough_seen and median_half_width(latency_ns, plan.confidence, block) <= plan.precision:
        return f"precision: the median is within {plan.precision:.2%} at {plan.confidence:.0%} confidence"
    if elapsed_s >= plan.max_s:
        return budget(count, plan)
    return None


def enough(count: int, elapsed_s: float, plan: Plan) -> bool:
    """Whether time and samples reach the plan's least, or its time is over."""
    return elapsed_s >= plan.max_s or (elapsed_s >= plan.min_s and count >= plan.min_samples)


def reached(count: int, plan: Plan) -> str:
    """How a run that ended by `enough` says so."""
    if count < plan.min_samples:
        return budget(count, plan)
    return f"enough: at least {plan.min_s:g} s and {plan.min_samples:,} samples"


def budget(count: int, plan: Plan) -> str:
    """The plan's longest time was over first."""
    short = "" if count >= plan.min_samples else f", {count} of {plan.min_samples} samples"
    return f"time budget of {plan.max_s:g} s{short}"
