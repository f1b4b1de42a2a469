"""From readings to energy, with bounds. Pure functions.

The bounds are worst cases under stated assumptions, not probabilities, so their `confidence` is 1:

* A counter shows, at any moment, the true energy at its latest update, and never falls. Then a value
  seen before an edge of the window is at most the true energy there, and a value that is new after
  the edge is at least that.
* Polled power may be stale by up to one update of the device, and changes at most once (or one way)
  between two polls. Then each change seen may have come as early as a poll and an update before.

The error of the meter itself is not in the bounds unless `accuracy` is given: NVIDIA states ±5% for
Fermi and Kepler and nothing for later devices (NVML API, nvmlDeviceGetPowerUsage), and some devices
measure only part of the time (Yang, Adamek, Armour: "Part-time Power Measurements", arXiv 2312.02741).
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from bench.record.measurement import Measurement
from bench.sensors.jetson import whole_rail

if TYPE_CHECKING:
    from bench.record.observation import Telemetry

NVML_COUNTER = "measured:nvml-energy-counter"
NVML_POWER = "measured:nvml-power-integrated"
AMD_COUNTER = "measured:amdsmi-energy-counter"
AMD_POWER = "measured:amdsmi-power-integrated"
INA3221_POWER = "measured:ina3221-power-integrated"
RAPL = "measured:rapl"
TDP = "estimated:tdp"

RAPL_UPDATE_S = 0.001
"""Intel SDM vol. 3B, 16.10.3: the energy counters are renewed about every millisecond."""
AVERAGED_LAG_S = 1.0
"""NVML's averaged power is a mean of the last second (NVML API, nvmlDeviceGetPowerUsage). AMD says of its
own only that it is an average; it is taken to be as late."""
AMD_COUNTER_SLACK = 0.1
"""AMD's energy counter is believed where polled power bears it out to this share. On some devices it is
far off or stands still (github.com/ROCm/amdsmi issues 22 and 38)."""
UNKNOWN_UPDATE_S = 0.1
"""Taken for polled power that changed too seldom to tell: Zeus found updates about every 100 ms on GPUs."""

_NS = 1e9


class Point(msgspec.Struct, frozen=True):
    """A value at a moment (ns)."""

    t_ns: int
    value: float


def series(telemetry: Telemetry, sensor: str, quantity: str) -> dict[str, list[Point]]:
    """Periodic readings and snapshots of one quantity together, in order of time, by device."""
    found: dict[str, list[Point]] = {}
    for reading in itertools.chain(telemetry.readings, *telemetry.snapshots.values()):
        if reading.sensor == sensor and reading.quantity == quantity:
            found.setdefault(reading.device, []).append(Point(reading.t_ns, reading.value))
    return {device: sorted(points, key=lambda point: point.t_ns) for device, points in sorted(found.items())}


def update_period(points: Sequence[Point]) -> float | None:
    """An upper bound on the seconds between updates of the source, None where it never changed twice.

    A change is seen up to one poll late, so two updates that are D apart look at least D − poll apart:
    the smallest distance seen plus the longest poll is no less than D.
    """
    changes = [i for i in range(1, len(points)) if points[i].value != points[i - 1].value]
    if len(changes) < 2:
        return None
    poll = max(points[i].t_ns - points[i - 1].t_ns for i in range(1, len(points)))
    gap = min(points[j].t_ns - points[i].t_ns for i, j in itertools.pairwise(changes))
    return (gap + poll) / _NS


def from_counter(
    points: Sequence[Point], start_ns: int, end_ns: int, *, how: str, update_s: float | None = None, accuracy: float = 0
) -> Measurement:
    """Energy between two moments from readings of an energy counter (J).

    The energy at an edge is bounded by the counter before it and its next new value after it; the
    estimate runs straight between updates. Where no reading lies beyond an edge, the bound is the
    highest power seen times the update period.

    Args:
        points: readings in order of time; those outside the window make the bounds tighter.
        start_ns: begin of the window.
        end_ns: its end.
        how: provenance of the figure.
        update_s: the update period (s), where the source is known; else it is taken from the readings.
        accuracy: error of the meter, as a share of the energy.

    Returns:
        Joules with bounds; `n` counts the updates seen in the window. Unavailable where the counter was
        not read, did not move, fell, or was no longer read some time before the end (its sensor died).
    """
    seconds = (end_ns - start_ns) / _NS
    if seconds <= 0:
        return Measurement.unavailable("J", "the window is empty")
    if len(points) < 2:
        return Measurement.unavailable("J", "the counter was read less than twice", n=len(points))
    if any(b.value < a.value for a, b in itertools.pairwise(points)):
        return Measurement.unavailable("J", "the counter fell (the driver was reloaded or the device reset)")
    corners = [points[0], *(b for a, b in itertools.pairwise(points) if b.value > a.value)]
    updates = sum(start_ns < corner.t_ns <= end_ns for corner in corners[1:])
    if not updates:
        where = " in the window" if len(corners) > 1 else ""
        return Measurement.unavailable("J", f"counter did not move{where}")
    period = update_s if update_s is not None else update_period(points)
    if period is None:
        period = (points[-1].t_ns - points[0].t_ns) / _NS
    lapse = _lapse(points, start_ns, end_ns, least_ns=2 * period * _NS)
    if lapse is not None:
        return Measurement.unavailable("J", f"the counter was read in {lapse}", n=updates)
    steepest = _steepest(corners, period)
    known = update_s is not None
    first = _edge(points, corners, start_ns, period=period, known=known, steepest=steepest)
    last = _edge(points, corners, end_ns, period=period, known=known, steepest=steepest)
    return _bounded(
        last.value - first.value, last.low - first.high, last.high - first.low, n=updates, how=how, accuracy=accuracy
    )


def from_power(
    points: Sequence[Point], start_ns: int, end_ns: int, *, how: str, lag_s: float = 0.0, accuracy: float = 0
) -> Measurement:
    """Energy between two moments from polled power (W), by the trapezoidal rule.

    Between two polls h apart, a change of power by Δ that shows up to u late moves the integral by at
    most |Δ|·(h/2 + u); u is the update period seen in the readings (`UNKNOWN_UPDATE_S` where it cannot be
    seen), or `lag_s` where that is longer.

    Args:
        points: readings in order of time; the window must lie within them, give or take two polls.
        start_ns: begin of the window.
        end_ns: its end.
        how: provenance of the figure.
        lag_s: how late the source is known to be (s), as with an average of the last second.
        accuracy: error of the meter, as a share of the energy.

    Returns:
        Joules with bounds; `n` counts the polls in the window. Unavailable where they do not cover it.
    """
    seconds = (end_ns - start_ns) / _NS
    if seconds <= 0:
        return Measurement.unavailable("J", "the window is empty")
    inside = sum(start_ns <= point.t_ns <= end_ns for point in points)
    if inside < 2:
        return Measurement.unavailable("J", "power was polled less than twice in the window", n=inside)
    lapse = _lapse(points, start_ns, end_ns)
    if lapse is not None:
        return Measurement.unavailable("J", f"power was polled in {lapse}", n=inside)
    late = max(lag_s, update_period(points) or UNKNOWN_UPDATE_S)
    value = doubt = 0.0
    # An unpolled rest at an edge is taken at the nearest power, and may have been anything seen.
    highest = max(point.value for point in points)
    for rest_ns, point in ((points[0].t_ns - start_ns, points[0]), (end_ns - points[-1].t_ns, points[-1])):
        rest = max(0, rest_ns) / _NS
        value += point.value * rest
        doubt += max(point.value, highest - point.value) * rest
    for a, b in itertools.pairwise(points):
        lower, upper = max(a.t_ns, start_ns), min(b.t_ns, end_ns)
        if lower < upper:
            value += (_between(a, b, lower) + _between(a, b, upper)) / 2 * (upper - lower) / _NS
        # A change seen just after the end may have come before it.
        if b.t_ns > start_ns and a.t_ns < end_ns + late * _NS:
            doubt += abs(b.value - a.value) * ((b.t_ns - a.t_ns) / _NS / 2 + late)
    return _bounded(value, value - doubt, value + doubt, n=inside, how=how, accuracy=accuracy)


def total(parts: Iterable[Measurement], *, unit: str = "J") -> Measurement:
    """The sum of figures of several devices; unavailable if one is, for a part is not the whole."""
    given = list(parts)
    if not given:
        return Measurement.unavailable(unit, "there is nothing to add")
    for part in given:
        if part.value is None:
            return Measurement.unavailable(unit, part.reason or "a part is missing")
    hows = sorted({part.how for part in given})
    # A sum is no better than its worst part: one estimate makes it an estimate.
    how = next((h for h in hows if h.startswith("estimated:")), "+".join([hows[0], *map(_source, hows[1:])]))
    bounded = all(part.low is not None and part.high is not None for part in given)
    return Measurement(
        value=math.fsum(part.value or 0.0 for part in given),
        unit=unit,
        n=min(part.n for part in given),
        how=how,
        low=math.fsum(part.low or 0.0 for part in given) if bounded else None,
        high=math.fsum(part.high or 0.0 for part in given) if bounded else None,
        confidence=min((part.confidence or 0.0 for part in given), default=0.0) if bounded else None,
    )


def mean_power(energy: Measurement, seconds: float) -> Measurement:
    """Energy over time, in watts, with the bounds scaled alike."""
    if energy.value is None or seconds <= 0:
        return Measurement.unavailable("W", energy.reason or "the window is empty", n=energy.n)
    return _scaled(energy, 1 / seconds, "W")


def per_item(energy: Measurement, items: int) -> Measurement:
    """Energy of one of `items` inferences, in joules."""
    if energy.value is None or items <= 0:
        return Measurement.unavailable("J", energy.reason or "there was no inference", n=energy.n)
    return _scaled(energy, 1 / items, "J")


def idle_power(before: Measurement, after: Measurement) -> Measurement:
    """Power at rest (W) from the rests before and after a run: their mean, with bounds that hold both.

    Where only one was measured, that one stands.
    """
    known = [m for m in (before, after) if m.value is not None]
    if len(known) < 2:
        return known[0] if known else before
    both = total(known, unit="W")
    lows = [m.low for m in known if m.low is not None]
    highs = [m.high for m in known if m.high is not None]
    bounded = len(lows) == len(highs) == len(known)
    return Measurement(
        value=math.fsum(m.value or 0.0 for m in known) / len(known),
        unit="W",
        n=sum(m.n for m in known),
        how=both.how,
        low=min(lows) if bounded else None,
        high=max(highs) if bounded else None,
        confidence=both.confidence,
    )


def without_idle(energy: Measurement, idle: Measurement, seconds: float) -> Measurement:
    """Energy above rest: gross energy less idle power times the time it took.

    The bounds take both figures at their worst. The result may be negative where the load is lost in
    their doubt; it is shown so and not cut off at zero.
    """
    if energy.value is None:
        return energy
    if idle.value is None:
        return Measurement.unavailable("J", f"no idle power to subtract: {idle.reason}", n=energy.n)
    low = high = confidence = None
    if energy.low is not None and energy.high is not None and idle.low is not None and idle.high is not None:
        low, high = energy.low - idle.high * seconds, energy.high - idle.low * seconds
        confidence = min(energy.confidence or 0.0, idle.confidence or 0.0)
    return Measurement(
        value=energy.value - idle.value * seconds,
        unit="J",
        n=energy.n,
        how=idle.how if idle.is_estimate else energy.how,
        low=low,
        high=high,
        confidence=confidence,
    )


def gpu_energy(telemetry: Telemetry, start_ns: int, end_ns: int) -> dict[str, Measurement]:
    """Joules of each GPU by UUID: from its counter where that works, else from its polled power.

    An AMD counter that polled power contradicts gives way to it. A Jetson's figure is that of its whole
    module, CPU and memory included, under the name of its supply rail (`VDD_IN`); the GPU that NVML shows
    on such a module is a part of it and not counted again.
    """
    module = module_energy(telemetry, start_ns, end_ns)
    counters = gpu_energy_by_counter(telemetry, start_ns, end_ns)
    powers = gpu_energy_by_power(telemetry, start_ns, end_ns)
    known = any(m.value is not None for m in module.values())
    inside = {reading.device for reading in telemetry.readings if known and reading.sensor == "nvml"}
    chosen = dict(module)
    for device in sorted((counters | powers).keys() - inside):
        options = [m for m in (counters.get(device), powers.get(device)) if m is not None]
        if len(options) > 1 and options[0].how == AMD_COUNTER and not _borne_out(*options):
            del options[0]
        chosen[device] = next((m for m in options if m.value is not None), options[0])
    return chosen


def gpu_energy_by_counter(telemetry: Telemetry, start_ns: int, end_ns: int) -> dict[str, Measurement]:
    """Joules of each GPU that has an energy counter, by UUID."""
    return {
        device: from_counter(points, start_ns, end_ns, how=how)
        for sensor, how in (("nvml", NVML_COUNTER), ("amd", AMD_COUNTER))
        for device, points in series(telemetry, sensor, "energy").items()
    }


def gpu_energy_by_power(telemetry: Telemetry, start_ns: int, end_ns: int) -> dict[str, Measurement]:
    """Joules of each GPU from its polled power, the instantaneous where there is one, by UUID."""
    found: dict[str, Measurement] = {}
    for sensor, how in (("nvml", NVML_POWER), ("amd", AMD_POWER)):
        for quantity, lag_s in (("power_instant", 0.0), ("power_average", AVERAGED_LAG_S), ("power", AVERAGED_LAG_S)):
            for device, points in series(telemetry, sensor, quantity).items():
                if device not in found or found[device].value is None:
                    found[device] = from_power(points, start_ns, end_ns, how=how, lag_s=lag_s)
    return found


def module_energy(telemetry: Telemetry, start_ns: int, end_ns: int) -> dict[str, Measurement]:
    """Joules of a whole Jetson module by the name of its supply rail; empty where no such rail was read.

    CPU, GPU and memory hang behind that rail together and cannot be told apart by it.
    """
    rails = series(telemetry, "jetson", "power")
    rail = whole_rail(rails)
    return {} if rail is None else {rail: from_power(rails[rail], start_ns, end_ns, how=INA3221_POWER)}


def cpu_energy(telemetry: Telemetry, start_ns: int, end_ns: int) -> Measurement:
    """Joules of all CPU packages and their memory from RAPL, else the estimate if that was asked for.

    On a Jetson whose module was measured the CPU is in that figure already, and is not told again.
    """
    parts = [
        from_counter(points, start_ns, end_ns, how=RAPL, update_s=RAPL_UPDATE_S)
        for quantity in ("energy", "dram_energy")
        for points in series(telemetry, "rapl", quantity).values()
    ]
    if parts:
        return total(parts)
    for rail, module in module_energy(telemetry, start_ns, end_ns).items():
        if module.value is not None:
            return Measurement.unavailable("J", f"the CPU's energy is within that of the whole module ({rail})")
    for points in series(telemetry, "tdp", "energy").values():
        exact = from_counter(points, start_ns, end_ns, how=TDP)
        # The bounds are the counter's; the doubt of the model is far wider, and not known.
        return exact if exact.value is None else msgspec.structs.replace(exact, low=None, high=None, confidence=None)
    reasons = [s.reason for s in telemetry.sensors if s.sensor == "rapl" and s.reason]
    return Measurement.unavailable("J", reasons[0] if reasons else "no sensor of CPU energy was read")


def agree(a: Measurement, b: Measurement) -> bool | None:
    """Whether the bounds of two figures overlap; None where one of them has none.

    Counter and polled power of one device should agree. Where they do not, trust neither.
    """
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None
    return a.low <= b.high and b.low <= a.high


def _borne_out(counter: Measurement, power: Measurement) -> bool:
    """Whether polled power does not contradict a counter, give or take `AMD_COUNTER_SLACK`."""
    if power.value is None:
        return True
    slack = AMD_COUNTER_SLACK * power.value
    widened = msgspec.structs.replace(power, low=(power.low or 0.0) - slack, high=(power.high or 0.0) + slack)
    return agree(counter, widened) is not False


def _lapse(points: Sequence[Point], start_ns: int, end_ns: int, least_ns: float = 0.0) -> str | None:
    """How little of the window the readings cover, where they begin late or ended early; else None.

    Two polls, or `least_ns` where that is longer, may lack at an edge.
    """
    gaps = sorted(b.t_ns - a.t_ns for a, b in itertools.pairwise(points))
    allowed = max(2 * gaps[len(gaps) // 2], least_ns)
    if points[0].t_ns - start_ns <= allowed and end_ns - points[-1].t_ns <= allowed:
        return None
    covered = max(0, min(end_ns, points[-1].t_ns) - max(start_ns, points[0].t_ns))
    return f"{covered / _NS:.3g} of {(end_ns - start_ns) / _NS:.3g} s only"


class _At(msgspec.Struct, frozen=True):
    value: float
    low: float
    high: float


def _edge(
    points: Sequence[Point], corners: Sequence[Point], t_ns: int, *, period: float, known: bool, steepest: float
) -> _At:
    """True energy at a moment: the estimate and its bounds."""
    times = [point.t_ns for point in points]
    behind = bisect.bisect_right(times, t_ns) - 1
    ahead = bisect.bisect_left(times, t_ns)
    early = max(0, points[0].t_ns - t_ns) / _NS
    low = points[max(behind, 0)].value - steepest * early
    after = points[ahead].value if ahead < len(points) else math.inf
    fresh = next((point.value for point in points[ahead:] if point.value > after), None)
    if fresh is None:
        # Nothing new was seen beyond: at most an update's worth more than what was last read.
        old = (t_ns - points[-1].t_ns) / _NS if ahead == len(points) else 0.0
        fresh = points[-1].value + steepest * (period + old)
    if known and ahead < len(points):
        # A source that is renewed far more often than it is polled: the reading itself is nearly true.
        fresh = min(fresh, after + steepest * period)
    estimate = _through([(c.t_ns, c.value) for c in corners[1:]], t_ns, steepest)
    return _At(min(max(estimate, low), fresh), low, fresh)


def _through(corners: Sequence[tuple[int, float]], t_ns: int, steepest: float) -> float:
    """The line through the updates; beyond them it goes on as steep as on the whole."""
    times = [t for t, _ in corners]
    after = bisect.bisect_left(times, t_ns)
    if 0 < after < len(corners):
        (t0, v0), (t1, v1) = corners[after - 1], corners[after]
        return v0 + (v1 - v0) * (t_ns - t0) / (t1 - t0)
    (first, low), (last, high) = corners[0], corners[-1]
    slope = (high - low) / (last - first) if last > first else steepest / _NS
    near, value = corners[0] if after == 0 else corners[-1]
    return value + slope * (t_ns - near)


def _steepest(corners: Sequence[Point], period: float) -> float:
    """The highest power between updates (W). The first step began at an unknown time, so it is left out."""
    steps = [(b.value - a.value) / ((b.t_ns - a.t_ns) / _NS) for a, b in itertools.pairwise(corners[1:])]
    return max(steps, default=(corners[1].value - corners[0].value) / period)


def _between(a: Point, b: Point, t_ns: int) -> float:
    return a.value + (b.value - a.value) * (t_ns - a.t_ns) / (b.t_ns - a.t_ns)


def _bounded(value: float, low: float, high: float, *, n: int, how: str, accuracy: float) -> Measurement:
    # A device at work does not give energy back.
    low, high = max(0.0, low * (1 - accuracy)), high * (1 + accuracy)
    value = min(max(value, low), high)
    return Measurement(value=value, unit="J", n=n, how=how, low=low, high=high, confidence=1.0)


def _scaled(m: Measurement, factor: float, unit: str) -> Measurement:
    return Measurement(
        value=None if m.value is None else m.value * factor,
        unit=unit,
        n=m.n,
        how=m.how,
        low=None if m.low is None else m.low * factor,
        high=None if m.high is None else m.high * factor,
        confidence=m.confidence,
    )


def _source(how: str) -> str:
    return how.partition(":")[2]
