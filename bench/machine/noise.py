"""How quiet is this machine? Short measurements of clock and scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import numpy as np
import psutil

_GAP_NS = 5_000
"""A loop of two clock reads takes far less than 5 µs; a longer step is time that was taken away."""


_READINGS = 10_000


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in `seconds` of spinning.

    `timer_resolution_ns` is the smallest step of the clock, `timer_overhead_ns` the median cost of reading it.
    `interruptions_per_s` and `stolen_share` count steps over 5 µs and the share of time in them, `longest_gap_ns` is
    the longest. `work_ns` is the median time of a fixed piece of arithmetic, `speed_spread` its spread (p95 - p5,
    over the median). `stolen_by_hypervisor` is the share of time that the kernel counted as steal, None where it
    does not count.
    """

    seconds: float
    timer_resolution_ns: int
    timer_overhead_ns: float
    interruptions_per_s: float
    stolen_share: float
    longest_gap_ns: int
    speed_spread: float
    work_ns: float
    stolen_by_hypervisor: float | None = None


def measure_noise(seconds: float = 1.0, clock: Callable[[], int] = time.perf_counter_ns) -> Noise:
    """Spin for `seconds` on one core and watch the clock."""
    steal = _steal_s()
    began = clock()
    gaps, span = _gaps(seconds / 2, clock)
    steps = np.diff([clock() for _ in range(_READINGS)])
    work = _work(seconds / 2, clock)
    low, middle, high = np.percentile(work, (5, 50, 95))
    return Noise(
        seconds=seconds,
        timer_resolution_ns=int(steps[steps > 0].min()),
        timer_overhead_ns=float(np.median(steps)),
        interruptions_per_s=len(gaps) / span,
        stolen_share=sum(gaps) * 1e-9 / span,
        longest_gap_ns=max(gaps, default=0),
        speed_spread=float((high - low) / middle),
        work_ns=float(middle),
        stolen_by_hypervisor=None if steal is None else ((_steal_s() or steal) - steal) / ((clock() - began) * 1e-9),
    )


def _steal_s() -> float | None:
    """Seconds that a hypervisor has taken from this machine's cores since it started (Linux)."""
    return getattr(psutil.cpu_times(), "steal", None)


def _gaps(seconds: float, clock: Callable[[], int]) -> tuple[list[int], float]:
    """Steps (ns) of the clock that took too long, and the seconds spent looking.

    Only those are kept: a list that grows all the time would fault pages in, which looks like a gap.
    """
    gaps: list[int] = []
    start = before = clock()
    deadline = start + int(seconds * 1e9)
    while before < deadline:
        now = clock()
        if now - before > _GAP_NS:
            gaps.append(now - before)
        before = now
    return gaps, (before - start) * 1e-9


def _work(seconds: float, clock: Callable[[], int]) -> list[int]:
    """Times (ns) of the same arithmetic, again and again."""
    times = []
    deadline = clock() + int(seconds * 1e9)
    while True:
        before = clock()
        sum(range(2000))
        after = clock()
        times.append(after - before)
        if after > deadline:
            return times
