"""Which devices a case is charged with, and the reason where what they drew is not known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics import energy
from bench.record.case import Case
from bench.record.observation import Observation, Phase, Reading, Samples, SensorState, Telemetry
from bench.sensors.idle import END, START

MS = 1_000_000
GPU = ("nvml", "GPU-0", 100.0)
CPU = ("rapl", "package-0", 20.0)
NO_GPU = SensorState(sensor="nvml", source="NVML", period_s=1, available=False, reason="no NVIDIA driver")


def told(*meters: tuple[str, str, float], at_rest: bool = False, sensors: tuple[SensorState, ...] = ()) -> Telemetry:
    """Two seconds of energy counters, each at so many watts."""
    readings = tuple(
        Reading(at * 10 * MS, sensor, device, "energy", watts * at * 0.01)
        for sensor, device, watts in meters
        for at in range(201)
    )
    edges = {
        edge: (Reading(ms * MS, *CPU[:2], "energy", CPU[2] * ms / 1e3),) for edge, ms in ((START, 100), (END, 900))
    }
    return Telemetry(readings=readings, snapshots=edges if at_rest else {}, sensors=sensors)


def seen(telemetry: Telemetry, provider: str = "cpu", idle: tuple[Telemetry, ...] = ()) -> Observation:
    count = 100
    return Observation(
        case=Case(model="m", variant="fp32", runtime="onnxruntime", provider=provider),
        invocation=0,
        status="ok",
        phases=(Phase("measure", 500 * MS, 1500 * MS),),
        samples=Samples(
            start_ns=np.arange(count) * 10 * MS,
            latency_ns=np.full(count, 10 * MS),
            block=np.arange(count),
            stopped_by="",
        ),
        telemetry=telemetry,
        idle=idle,  # type: ignore[arg-type]
    )


def test_a_case_on_the_gpu_is_charged_with_gpu_and_cpu() -> None:
    found = energy.figures([seen(told(GPU, CPU), "cuda")])
    assert found["energy"].value == pytest.approx(1.2, rel=0.02), "an example of a hundred"
    assert found["power"].value == pytest.approx(120, rel=0.02)
    alone = energy.figures([seen(told(GPU), "cuda")])
    assert alone["power"].value == pytest.approx(100, rel=0.02)
    assert "(GPU alone; CPU: no sensor of CPU energy was read)" in alone["power"].how
    assert energy.figures([seen(told(GPU, CPU))])["power"].value == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize(
    ("sensors", "reason"), [((NO_GPU,), "no NVIDIA driver"), ((), "no sensor of GPU energy was read")]
)
def test_a_case_on_a_gpu_that_nobody_measured_has_no_energy(sensors: tuple[SensorState, ...], reason: str) -> None:
    found = energy.figures([seen(told(CPU, sensors=sensors), "cuda")])
    assert (found["energy"].value, found["energy"].reason) == (None, reason)


def test_rest_that_nobody_read_takes_the_net_energy_along() -> None:
    rest, silent = told(CPU, at_rest=True), told()
    whole = energy.figures([seen(told(CPU), idle=(rest, rest))])
    assert whole["idle_power"].value == pytest.approx(20, rel=0.05)
    assert whole["energy_net"].value == pytest.approx(0, abs=0.02)
    none = energy.figures([seen(told(CPU), idle=(silent, silent))])
    assert none["energy"].value == pytest.approx(0.2, rel=0.05)
    assert none["idle_power"].reason == "the sampler gave no readings at rest"
    assert none["energy_net"].value is None


def test_a_phase_that_is_not_on_record_has_no_energy() -> None:
    lost = Observation(
        case=Case(model="m", variant="fp32", runtime="onnxruntime", provider="cpu"), invocation=0, status="ok"
    )
    assert {figure.reason for figure in energy.figures([lost]).values()} == {"the measured phase is not on record"}
