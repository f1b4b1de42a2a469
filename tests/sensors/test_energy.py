"""Energy from readings: simulated power of known integral is found within the stated bounds."""

from __future__ import annotations

import bisect
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.record.measurement import Measurement
from bench.record.observation import Reading, SensorState, Telemetry
from bench.sensors import energy
from bench.sensors.energy import NVML_COUNTER, NVML_POWER, Point, from_counter, from_power, update_period

MS = 1_000_000


class Trace:
    """Power in steps: `dwell` and watts of each, its running integral, and how a meter shows it."""

    def __init__(self, steps: list[tuple[int, float]]) -> None:
        self.ends = list(itertools.accumulate(ms for ms, _ in steps))
        self.watts = [watts for _, watts in steps]

    def power(self, ms: float) -> float:
        return self.watts[min(bisect.bisect_right(self.ends, ms), len(self.watts) - 1)]

    def joules(self, ms: float) -> float:
        total, begin = 0.0, 0.0
        for end, watts in zip(self.ends, self.watts, strict=True):
            total += watts * max(0.0, min(ms, end) - begin) / 1e3
            begin = end
        return total + self.watts[-1] * max(0.0, ms - begin) / 1e3


def updated(ms: float, update: int, phase: int) -> float:
    return max(0.0, (ms - phase) // update * update + phase)


updates = st.integers(5, 100)
polls = st.integers(3, 80)
phases = st.integers(0, 120)
watts = st.floats(0, 700)


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 400), st.floats(1, 700)), min_size=1, max_size=20),
    update=updates,
    poll=polls,
    phase=phases,
    window=st.tuples(st.integers(200, 900), st.integers(300, 3000)),
)
def test_counter_bounds_hold_the_truth(
    steps: list[tuple[int, float]], update: int, poll: int, phase: int, window: tuple[int, int]
) -> None:
    trace, start, end = Trace(steps), window[0], sum(window)
    times = sorted({start, end, *range(phase % poll, end + 3 * (update + poll), poll)})
    points = [Point(t * MS, trace.joules(updated(t, update, phase % update))) for t in times]
    found = from_counter(points, start * MS, end * MS, how=NVML_COUNTER)
    truth = trace.joules(end) - trace.joules(start)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low - 1e-6 <= truth <= found.high + 1e-6
    assert found.low <= found.value <= found.high
    # The doubt is what may pass within an update and a poll at each edge, not more.
    assert found.high - found.low <= 700 * 4 * (update + poll) / 1e3


@settings(max_examples=300, deadline=None)
@given(data=st.data(), update=updates, poll=polls, phase=phases, start=st.integers(300, 900))
def test_polled_power_bounds_hold_the_truth(
    data: st.DataObject, update: int, poll: int, phase: int, start: int
) -> None:
    dwell = st.integers(update + poll + 1, 600)
    trace = Trace(data.draw(st.lists(st.tuples(dwell, watts), min_size=1, max_size=15)))
    end = start + data.draw(st.integers(3 * poll + 1, 3000))
    times = range(phase % poll, end + 2 * (update + poll), poll)
    points = [Point(t * MS, trace.power(updated(t, update, phase % update))) for t in times]
    # The update period is not told: it has to be seen, or taken for the longest there is.
    found = from_power(points, start * MS, end * MS, how=NVML_POWER)
    truth = trace.joules(end) - trace.joules(start)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low - 1e-6 <= truth <= found.high + 1e-6


@given(power=st.floats(0.1, 700), update=updates, poll=polls)
def test_steady_power_is_found_exactly(power: float, update: int, poll: int) -> None:
    points = [Point(t * MS, power) for t in range(0, 2000, poll)]
    found = from_power(points, 200 * MS, 1200 * MS, how=NVML_POWER)
    assert found.value == pytest.approx(power)
    assert found.low == pytest.approx(power)
    assert found.high == pytest.approx(power)


@given(update=updates, poll=polls, phase=phases)
def test_update_period_is_never_underestimated(update: int, poll: int, phase: int) -> None:
    points = [Point(t * MS, updated(t, update, phase % update)) for t in range(200, 2000, poll)]
    period = update_period(points)
    assert period is not None
    assert update / 1e3 <= period <= (update + 3 * poll) / 1e3


def line(*values: float, every: int = 10) -> list[Point]:
    return [Point(i * every * MS, value) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "less than twice"),
        (line(5, 5, 5, 5), "counter did not move"),
        (line(1, 2, 3, 3, 3, 3), "did not move in the window"),
        (line(5, 6, 1, 2), "counter fell"),
    ],
)
def test_counters_that_tell_nothing(points: list[Point], reason: str) -> None:
    found = from_counter(points, 25 * MS, 45 * MS, how=NVML_COUNTER)
    assert found.value is None
    assert reason in found.how


def test_a_counter_that_moved_once_is_taken_to_move_no_more_often_than_it_was_watched() -> None:
    # Of its update period only that is known, so the doubt at each edge may be all that it moved by.
    found = from_counter(line(5, 5, 5, 9, 9, 9), 5 * MS, 45 * MS, how=NVML_COUNTER)
    assert (found.value is not None, found.n) == (True, 1)
    assert (found.low, found.high) == (0, 8)


def test_counter_without_a_reading_beyond_is_bounded_by_the_highest_power() -> None:
    points = line(*range(0, 60, 1))  # 1 J every 10 ms
    inner = from_counter(points, 100 * MS, 400 * MS, how=NVML_COUNTER)
    outer = from_counter(points[10:41], 100 * MS, 400 * MS, how=NVML_COUNTER)
    assert inner.value == pytest.approx(30, abs=1)
    assert outer.value == pytest.approx(30, abs=1)
    assert (outer.high or 0) >= (inner.high or 0)


def test_power_that_does_not_cover_the_window() -> None:
    assert "less than twice" in from_power([], 0, MS, how=NVML_POWER).how
    assert "s only" in from_power(line(*[5.0] * 20), 0, 1000 * MS, how=NVML_POWER).how
    assert "empty" in from_power(line(1, 2), 5, 5, how=NVML_POWER).how
    assert "empty" in from_counter(line(1, 2), 5, 5, how=NVML_COUNTER).how


def test_accuracy_and_longer_lag_widen_the_bounds() -> None:
    points = line(*[50.0, 70.0] * 30)
    plain, coarse, late = (
        from_power(points, 0, 500 * MS, how=NVML_POWER, **more)
        for more in ({}, {"accuracy": 0.05}, {"lag_s": energy.AVERAGED_LAG_S})
    )
    width = [(m.high or 0) - (m.low or 0) for m in (plain, coarse, late)]
    assert width[0] < width[1]
    assert width[0] < width[2]


def joules(value: float, spread: float = 1, how: str = NVML_COUNTER, unit: str = "J") -> Measurement:
    return Measurement(value=value, unit=unit, n=10, how=how, low=value - spread, high=value + spread, confidence=1.0)


def test_total_is_unavailable_where_a_part_is() -> None:
    assert energy.total([joules(1), joules(2)]).value == 3
    assert energy.total([joules(1), Measurement.unavailable("J", "no")]).how == "unavailable:no"
    assert energy.total([]).value is None
    assert energy.total([joules(1), joules(1, how="estimated:tdp")]).is_estimate


def test_idle_is_taken_off_with_both_doubts() -> None:
    idle = energy.idle_power(joules(10, 1, unit="W"), joules(14, 1, unit="W"))
    assert (idle.value, idle.low, idle.high) == (12, 9, 15)
    net = energy.without_idle(joules(100, 5), idle, 2.0)
    assert (net.value, net.low, net.high) == (76, 65, 87)
    lost = energy.without_idle(joules(20, 5), idle, 2.0)
    assert lost.value == -4
    missing = Measurement.unavailable("W", "not measured")
    assert "no idle power" in energy.without_idle(joules(1), missing, 1).how
    assert energy.idle_power(joules(3, unit="W"), missing).value == 3
    assert energy.without_idle(joules(9), joules(1, how="estimated:tdp", unit="W"), 1).is_estimate


def test_scaling() -> None:
    power = energy.mean_power(joules(100, 10), 2.0)
    assert (power.value, power.low, power.high, power.unit) == (50, 45, 55, "W")
    assert energy.per_item(joules(100, 10), 50).value == 2
    assert energy.per_item(joules(1), 0).value is None


def test_cpu_energy_prefers_measuring_and_says_what_is_missing() -> None:
    def told(sensor: str, quantity: str, device: str, rate: float) -> tuple[Reading, ...]:
        return tuple(Reading(i * 10 * MS, sensor, device, quantity, i * rate) for i in range(100))

    rapl = told("rapl", "energy", "package-0", 1) + told("rapl", "energy", "package-1", 2)
    estimate = told("tdp", "energy", "cpu", 5)
    window = 100 * MS, 600 * MS
    measured = energy.cpu_energy(Telemetry(readings=rapl + estimate), *window)
    assert measured.how == "measured:rapl"
    assert measured.value == pytest.approx(150, rel=0.05)
    guess = energy.cpu_energy(Telemetry(readings=estimate), *window)
    assert guess.how == "estimated:tdp"
    assert guess.low is None
    state = SensorState(sensor="rapl", source="", period_s=1, available=False, reason="no RAPL here")
    assert energy.cpu_energy(Telemetry(sensors=(state,)), *window).how == "unavailable:no RAPL here"


def test_snapshots_count_as_readings() -> None:
    at = Reading(5 * MS, "nvml", "GPU-0", "energy", 1.0)
    later = Reading(9 * MS, "nvml", "GPU-0", "energy", 2.0)
    telemetry = Telemetry(readings=(later,), snapshots={"a": (at,)})
    assert [p.value for p in energy.series(telemetry, "nvml", "energy")["GPU-0"]] == [1.0, 2.0]


def test_agree() -> None:
    assert energy.agree(joules(10), joules(11))
    assert energy.agree(joules(10), joules(20)) is False
    assert energy.agree(joules(10), Measurement.unavailable("J", "x")) is None
