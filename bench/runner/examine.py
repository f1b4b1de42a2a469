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


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What `bench doctor` found.

    `same_again` are medians (s) of the same case in fresh processes, and `spread` their range over their
    median. `advice` says what to do: first what was measured, the largest effect first, then what could not be.
    """

    environment: Environment
    sensors: tuple[SensorState, ...]
    runtimes: Lines
    noise: Noise
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
    spread = (max(medians) - min(medians)) / statistics.median(medians)
    return Examination(
        environment=environment,
        sensors=sensors,
        runtimes=runtimes(),
        noise=noise,
        same_again=medians,
        spread=spread,
        advice=(*_by_effect(_disturbances(noise, spread)), *_conditions(environment, sensors)),
    )


def _by_effect(found: list[tuple[float, str]]) -> list[str]:
    return [sentence for _, sentence in sorted(found, key=lambda pair: -pair[0])]


def _disturbances(noise: Noise, spread: float) -> list[tuple[float, str]]:
    """What may disturb a figure, with the share of it that this may cost."""
    found = []
    if spread > _QUIET:
        found.append(
            (
                spread,
                f"the same case in fresh processes differs by {spread:.1%}: give cases more invocations, and take no "
                "difference below that from single runs",
            )
        )
    if noise.stolen_by_hypervisor and noise.stolen_by_hypervisor > _QUIET:
        found.append(
            (
                noise.stolen_by_hypervisor,
                f"a hypervisor took {noise.stolen_by_hypervisor:.1%} of a core's time: ask for dedicated cores",
            )
        )
    if noise.stolen_share > _QUIET:
        found.append(
            (
                noise.stolen_share,
                f"{noise.stolen_share:.1%} of one core's time was taken away, in gaps of up to "
                f"{noise.longest_gap_ns / 1e3:,.0f} µs: stop other work here, or measure where nothing else runs",
            )
        )
    if noise.speed_spread > _STEADY_SPEED:
        found.append(
            (
                noise.speed_spread,
                f"the speed of a core varies by {noise.speed_spread:.1%} over the same work: fix the clock (governor "
                "performance, no turbo) and let the machine cool between runs",
            )
        )
    return found


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
