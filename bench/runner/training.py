"""What a training costs beside time: its energy, measured from outside of its process."""

from __future__ import annotations

import time

from bench.machine.environment import read_environment
from bench.record.measurement import Measurement
from bench.sensors.energy import cpu_energy
from bench.sensors.sampler import Sampler

_SENSORS = ("rapl", "jetson")
"""Training runs on the CPU."""


class TrainingMeter:
    """See `bench.export.training_log.Meter`. The sampler lives only while a model is trained."""

    def __init__(self) -> None:
        self._sampler: Sampler | None = None
        self._began_ns = 0

    @property
    def machine(self) -> str:
        """The CPU and its cores."""
        found = read_environment()
        return f"{found.cpu_model or found.architecture}, {len(found.cores_usable)} cores"

    def start(self, pid: int) -> None:
        """Sample from now on."""
        self._sampler = Sampler(_SENSORS).__enter__()
        self._sampler.watch(pid)
        self._began_ns = time.perf_counter_ns()

    def stop(self) -> Measurement:
        """Joules of the CPU since the start, or why they are not known. It was started before."""
        assert self._sampler is not None  # the log of a training starts it first
        ended_ns = time.perf_counter_ns()
        telemetry = self._sampler.finish()
        self._sampler.close()
        self._sampler = None
        return cpu_energy(telemetry, self._began_ns, ended_ns)
