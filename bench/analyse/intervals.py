"""What a figure is known to lie between, and what it would take to know it better."""

from __future__ import annotations

import math

from bench.analyse.kinds import ARTIFACT, QUALITY
from bench.record.front import More
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.stats.dominance import Interval

ONCE_A_PROCESS = ("cold_start", "process_start", "import_time", "load_time", "first_inference", "cpu_utilisation")
UNKNOWN = (-math.inf, math.inf)
NO_WIDTH = "an interval is missing"
EQUAL = "the values are equal"
ROUNDING = 1e-9
"""10 ms is 0.01 s only as far as a float can tell."""
_PROCESS = "process invocations"
_SAMPLES = {name: _PROCESS for name in METRICS if "rss" in name or "pss" in name or name in ONCE_A_PROCESS} | {
    "capacity": "trials of a rate"
}


def interval(metric: str, figure: Measurement) -> Interval | None:
    """What the figure lies between; None where there is no value.

    A fact of the file and a stated figure are exact. A measured figure without an interval may lie anywhere, as its
    error is not known.
    """
    if figure.value is None:
        return None
    if figure.low is not None and figure.high is not None:
        return min(figure.low, figure.value), max(figure.high, figure.value)
    exact = metric in ARTIFACT or figure.how.startswith("stated:")
    return (figure.value, figure.value) if exact else UNKNOWN


def within(bound: float, limit: float) -> bool:
    """Whether a bound is no looser than the limit, but for the rounding of numbers."""
    return bound <= limit * (1 + ROUNDING)


def samples_of(metric: str) -> str:
    """What a sample of the metric is."""
    if metric in QUALITY:
        return "evaluation examples"
    return _SAMPLES.get(metric, "samples")


def more(metric: str, times: float, *figures: Measurement, gap: str = "") -> More:
    """`times` as many samples as these figures have; with an infinite count, why none is enough.

    `gap` says what else leaves an interval open: a part of it that is not known.
    """
    if math.isinf(times):
        no_width = any(interval(metric, figure) == UNKNOWN for figure in figures)
        return More(metric=metric, of=samples_of(metric), why=gap or (NO_WIDTH if no_width else EQUAL))
    most = max(figure.n for figure in figures)
    # Counts are of what is random; a computed figure has none of its own.
    extra = math.ceil(most * max(times - 1, 0)) if most else None
    return More(metric=metric, times=max(times, 1.0), samples=extra, of=samples_of(metric))
