"""What a runtime costs apart from the work: of a call, and of one more operator."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from functools import partial

import msgspec

from bench.record.artifact import Format
from bench.record.measurement import Measurement
from bench.runner.peaks.chains import Chain
from bench.runner.peaks.gauge import Gauge, GaugeError
from bench.runner.peaks.rates import FAILED
from bench.runtimes.table import RUNTIMES, unavailable
from bench.stats.estimate import Estimate

_DISTURBED, _MOST = 0.03, 3
_LAYERS = (1, 16, 64)
_WIDTH = 8
"""So narrow that a product takes a few nanoseconds, far below what it costs to come to it."""


class Overheads(msgspec.Struct, frozen=True, kw_only=True):
    """`call`: of an inference without an operator, `node`: of one more operator in it, both s."""

    call: Measurement
    node: Measurement


def overheads(gauge: Gauge, target: str, threads: int) -> Overheads:
    """By the line through the times of chains of 1, 16 and 64 tiny products, which no runtime fuses or folds.

    The slope is the median of the slopes between any two (Theil 1950), and so is the intercept. Their bounds
    take the shortest and the longest chain at the opposite ends of their intervals.
    """
    reason = unavailable(target)
    if reason:
        return _neither(reason)
    kept: Format = "onnx" if "onnx" in RUNTIMES[target.partition("-")[0]].formats else "tflite"
    chains = [Chain(kind="fp32", format=kept, layers=layers, width=_WIDTH) for layers in _LAYERS]
    try:
        times = [_steady(partial(gauge.seconds, chain, target, threads)) for chain in chains]
    except GaugeError as error:
        return _neither(f"{FAILED}: {error}")
    how = (
        f"{target}, chains of {', '.join(map(str, _LAYERS))} tiny products, each the best of {_MOST} processes at most"
    )
    return line(times, f"measured:{how}", gauge.disturbed)


def _steady(measure: Callable[[], Estimate]) -> Estimate:
    """The shortest time of up to three processes: a second one only where the first was disturbed.

    Its interval is that of the one that was best, so it does not say how far processes differ.
    """
    found = [measure()]
    while found[-1].relative_half_width > _DISTURBED and len(found) < _MOST:
        found.append(measure())
    return min(found, key=lambda each: each.value)


def line(times: list[Estimate], how: str, note: str = "") -> Overheads:
    """From the times (s) of the chains; a slope that is lost in their doubt is not told. `note` ends each `how`."""
    points = list(zip(_LAYERS, times, strict=True))
    slope = statistics.median((b.value - a.value) / (n - m) for (m, a), (n, b) in itertools.combinations(points, 2))
    start = statistics.median(time.value - layers * slope for layers, time in points)
    (fewest, short), (most, long) = points[0], points[-1]
    low, high = (long.low - short.high) / (most - fewest), (long.high - short.low) / (most - fewest)
    # Both ends are taken at their worst: the chances of each to lie outside add up.
    confidence = round(1 - 2 * (1 - short.confidence), 6)
    n = min(time.n for time in times)
    if slope <= 0 or start <= 0:
        # No line: then a call is what the shortest chain takes, its one operator included.
        call = short.measurement("s", f"{how}: that of one, as more of them took no longer{note}")
        return Overheads(call=call, node=Measurement.unavailable("s", "more operators took no longer than fewer"))
    return Overheads(
        call=Measurement(
            value=start,
            unit="s",
            n=n,
            how=f"{how}: the intercept of the line{note}",
            low=min(start, max(0.0, short.low - fewest * high)),
            high=max(start, short.high - fewest * max(0.0, low)),
            confidence=confidence,
        ),
        node=Measurement(
            value=slope,
            unit="s",
            n=n,
            how=f"{how}: the slope of the line{note}",
            low=min(slope, max(0.0, low)),
            high=max(slope, high),
            confidence=confidence,
        ),
    )


def _neither(reason: str) -> Overheads:
    return Overheads(call=Measurement.unavailable("s", reason), node=Measurement.unavailable("s", reason))
