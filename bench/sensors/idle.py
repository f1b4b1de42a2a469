"""What the machine draws at rest: the baseline that a load's energy is compared with."""

from __future__ import annotations

import os
import time

from bench.record.observation import Telemetry
from bench.sensors.sampler import Sampler

START, END = "idle-start", "idle-end"
ENERGY_SENSORS = frozenset({"nvml", "amd", "jetson", "rapl", "tdp"})


def can_measure_energy(sampler: Sampler) -> bool:
    """Whether any sensor of energy or power is there to be read."""
    return any(state.available and state.sensor in ENERGY_SENSORS for state in sampler.states())


def watch_idle(sampler: Sampler, seconds: float) -> Telemetry:
    """Readings of `seconds` in which this process only sleeps, between the snapshots `START` and `END`."""
    sampler.watch(os.getpid())
    sampler.snapshot(START)
    time.sleep(seconds)
    sampler.snapshot(END)
    return sampler.finish()
