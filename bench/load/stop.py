"""When enough has been measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.record.observation import Plan
from bench.stats.precision import median_half_width


class ClosedLoop:
    """When the median of a closed loop is known well enough.

    To look takes longer the more samples there are, and is harness time: each look waits until a seventh more
    time than at the last one has passed, so that looking stays a small share however long it goes on.
    """

    _WAIT = 8 / 7

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._next_s = plan.min_s

    def due(self, count: int, elapsed_s: float) -> bool:
        """Whether `verdict` has anything to say."""
        if elapsed_s >= self._plan.max_s:
            return True
        return count >= self._plan.min_samples and elapsed_s >= self._next_s

    def verdict(self, latency_ns: npt.ArrayLike, block: npt.NDArray[np.int64], elapsed_s: float) -> str | None:
        """Why to stop with these samples, in order of time, or None to go on."""
        plan = self._plan
        self._next_s = elapsed_s * self._WAIT
        count = block.size
        if count >= plan.min_samples and median_half_width(latency_ns, plan.confidence, block) <= plan.precision:
            return f"precision: the median is within {plan.precision:.2%} at {plan.confidence:.0%} confidence"
        return budget(count, plan) if elapsed_s >= plan.max_s else None


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
