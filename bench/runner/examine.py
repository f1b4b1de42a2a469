"""The doctor's findings: what can be measured here, how quiet it is, what to mend."""

from __future__ import annotations

import msgspec

from bench.machine.cpu import usable_cores
from bench.machine.environment import read_environment
from bench.machine.noise import Noise, measure_noise
from bench.record.environment import Environment
from bench.record.observation import SensorState
from bench.runner.inventory import Lines, runtimes
from bench.sensors.sampler import Sampler


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What `bench doctor` found. `advice` is ordered by effect; each line says what to do."""

    environment: Environment
    sensors: tuple[SensorState, ...]
    runtimes: Lines
    noise: Noise
    advice: tuple[str, ...]


def examine() -> Examination:
    """Look at this machine; takes a few seconds."""
    environment = read_environment()
    with Sampler() as sampler:
        sensors = sampler.states()
    noise = measure_noise()
    return Examination(
        environment=environment,
        sensors=sensors,
        runtimes=runtimes(),
        noise=noise,
        advice=tuple(_advice(environment, sensors, noise)),
    )


def _advice(environment: Environment, sensors: tuple[SensorState, ...], noise: Noise) -> list[str]:
    told = []
    if noise.stolen_share > 0.01:
        told.append(
            f"{noise.stolen_share:.1%} of one core's time was taken away, in gaps of up to "
            f"{noise.longest_gap_ns / 1e3:,.0f} µs: stop other work here, or measure on a machine that is not shared"
        )
    if len(usable_cores()) < 2:
        told.append("there is one core: the harness shares it with what is measured; use a machine with two or more")
    if environment.cpu_quota_cores is not None:
        told.append(
            f"the container may use {environment.cpu_quota_cores:g} cores: above that it is throttled in bursts; "
            "keep threads below the quota, or pin whole cores (cpuset)"
        )
    if environment.governor not in (None, "performance"):
        told.append(
            f"the CPU governor is {environment.governor}: set it to performance (cpupower frequency-set -g performance)"
        )
    if environment.virtualisation:
        told.append(
            "this is a virtual machine: clock speed and neighbours are not under its control; compare within a run"
        )
    if not any(state.sensor in ("rapl", "nvml") and state.available for state in sensors):
        reasons = "; ".join(f"{s.sensor}: {s.reason}" for s in sensors if s.sensor in ("rapl", "nvml"))
        told.append(
            f"energy cannot be measured here ({reasons}): use a machine with RAPL or an NVIDIA GPU for energy figures"
        )
    return told
