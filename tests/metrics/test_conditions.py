"""What disturbed a case is told; a quiet one is left in peace."""

from __future__ import annotations

import msgspec
import pytest

from bench.metrics.conditions import warnings
from bench.record.case import Case
from bench.record.observation import Observation, Phase, Reading, Telemetry

CASE = Case(model="m", variant="v", runtime="r", provider="p")
START, END = 1_000_000_000, 3_000_000_000


def seen(*readings: tuple[int, str, str, float], **telemetry: float) -> Observation:
    edges = {"measure-start": START, "measure-end": END}
    made = [Reading(t, sensor, "d", quantity, value) for t, sensor, quantity, value in readings]
    told = Telemetry(
        readings=tuple(r for r in made if r.t_ns not in edges.values()),
        snapshots={edge: tuple(r for r in made if r.t_ns == t) for edge, t in edges.items()},
    )
    told = msgspec.structs.replace(told, **telemetry)
    return Observation(case=CASE, invocation=0, status="ok", phases=(Phase("measure", START, END),), telemetry=told)


def test_a_quiet_case_has_no_warning() -> None:
    quiet = seen(
        (START, "cgroup", "steal_time", 5.0),
        (END, "cgroup", "steal_time", 5.001),
        (START, "process", "major_faults", 3),
        (END, "process", "major_faults", 3),
        (START + 5, "nvml", "throttle_reasons", 1),
        (START + 5, "nvml", "foreign_processes", 0),
        sampler_cpu_s=0.02,
        sampler_wall_s=2.0,
    )
    assert list(warnings(quiet)) == []


@pytest.mark.parametrize(
    ("readings", "said"),
    [
        ([(START + 5, "nvml", "foreign_processes", 2)], "2 other process"),
        ([(START + 5, "nvml", "throttle_reasons", 0x48)], "hardware slowdown, hardware thermal slowdown"),
        ([(START, "cgroup", "throttled_periods", 4), (END, "cgroup", "throttled_periods", 9)], "in 5 periods"),
        ([(START, "cgroup", "steal_time", 1.0), (END, "cgroup", "steal_time", 1.5)], "took 25.0% of a core"),
        ([(START, "process", "major_faults", 1), (END, "process", "major_faults", 8)], "7 pages were read from disk"),
    ],
)
def test_a_disturbed_case_says_by_what(readings: list[tuple[int, str, str, float]], said: str) -> None:
    (warning,) = warnings(seen(*readings))
    assert said in warning


def test_what_happened_before_the_measured_phase_does_not_count() -> None:
    assert list(warnings(seen((START - 5, "nvml", "foreign_processes", 2)))) == []


def test_a_busy_sampler_is_told() -> None:
    (warning,) = warnings(seen(sampler_cpu_s=1.0, sampler_wall_s=2.0))
    assert "50.0% of a core" in warning
