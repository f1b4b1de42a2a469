"""The doctor's findings: what can be measured here, how quiet it is, what to mend."""

from __future__ import annotations

import statistics

import msgspec

from bench.machine.environment import read_environment
from bench.machine.noise import Noise, measure_noise
from bench.record.environment import Environment
from bench.record.observation import SensorState
from bench.runner.inventory import Lines, runtimes
from bench.runner.selftest import repeatability
from bench.sensors.idle import ENERGY_SENSORS
from bench.sensors.sampler import Sampler

_QUIET = 0.01
_STEADY_SPEED = 0.05
_AGAIN_S = 0.5


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What `bench doctor` found.

    `drift` is how much longer (a share) the same arithmetic took at the end of the examination than at its
    start. `same_again` are medians (s) of the same case in fresh processes, and `spread` their range over their
    median. `advice` says what to do: first what was measured, the largest effect first, then what could not be.
    """

    environment: Environment
    sensors: tuple[SensorState, ...]
    runtimes: Lines
    noise: Noise
    drift: float
    same_again: tuple[float, ...]
    spread: float
    advice: tuple[str, ...]


def examine() -> Examination:
    """Look at this machine; takes some seconds. Raises `UserError` where nothing can be measured on it."""
    environment = read_environment()
    with Sampler() as sampler:
        sensors = sampler.states()
    noise = measure_noise()
    medians = repeatability()
    drift = measure_noise(_AGAIN_S).work_ns / noise.work_ns - 1
    spread = (max(medians) - min(medians)) / statistics.median(medians)
    return Examination(
        environment=environment,
        sensors=sensors,
        runtimes=runtimes(),
        noise=noise,
        drift=drift,
        same_again=medians,
        spread=spread,
        advice=(*_disturbances(noise, spread, drift), *_conditions(environment, sensors)),
    )


def _disturbances(noise: Noise, spread: float, drift: float) -> list[str]:
    """What was measured to disturb a figure, the largest effect first."""
    steal = noise.stolen_by_hypervisor or 0.0
    found = (
        (
            spread,
            _QUIET,
            f"the same case in fresh processes differs by {spread:.1%}: give cases more invocations, and take no "
            "difference below that from single runs",
        ),
        (steal, _QUIET, f"a hypervisor took {steal:.1%} of a core's time: ask for dedicated cores"),
        (
            noise.stolen_share,
            _QUIET,
            f"{noise.stolen_share:.1%} of one core's time was taken away, in gaps of up to "
            f"{noise.longest_gap_ns / 1e3:,.0f} µs: stop other work here, or measure where nothing else runs",
        ),
        (
            noise.speed_spread,
            _STEADY_SPEED,
            f"the speed of a core varies by {noise.speed_spread:.1%} over the same work: fix the clock (governor "
            "performance, no turbo) and let the machine cool between runs",
        ),
        (
            abs(drift),
            _STEADY_SPEED,
            f"the same work took {drift:+.1%} time some seconds later: fix the clock, or let the machine settle first",
        ),
    )
    beyond = [(effect, sentence) for effect, allowed, sentence in found if effect > allowed]
    return [sentence for _, sentence in sorted(beyond, key=lambda pair: -pair[0])]


def _conditions(environment: Environment, sensors: tuple[SensorState, ...]) -> list[str]:
    """What stands in the way and has not been measured."""
    told = []
    if len(environment.cores_usable) < 2:
        told.append("there is one core: the harness shares it with what is measured; use two or more")
    if environment.cpu_quota_cores is not None:
        told.append(
            f"the container may use {environment.cpu_quota_cores:g} cores: above that it is stopped in bursts; "
            "keep threads below the quota, or give it whole cores (cpuset)"
        )
    if environment.governor not in (None, "performance"):
        told.append(
            f"the CPU governor is {environment.governor}: set it to performance (cpupower frequency-set -g performance)"
        )
    if environment.virtualisation:
        told.append(
            "this is a virtual machine: clock speed and neighbours are not under its control; compare within a run"
        )
    if not any(state.sensor in ENERGY_SENSORS and state.available for state in sensors):
        reasons = "; ".join(f"{s.sensor}: {s.reason}" for s in sensors if s.sensor in ENERGY_SENSORS)
        told.append(f"energy cannot be measured here ({reasons}): use a machine with a counter for energy figures")
    return told
