"""A Jetson's supply rails and GPU load, on a /sys of the test's own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.record.observation import Reading, Telemetry
from bench.sensors.energy import INA3221_POWER, cpu_energy, gpu_energy
from bench.sensors.jetson import JetsonSensor

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this sensor is Linux's")
MS = 1_000_000
ORIN = {"VDD_IN": (5000, 1200), "VDD_CPU_GPU_CV": (4900, 500), "VDD_SOC": (4950, 300)}


def monitor(machine: Any, rails: Mapping[str, tuple[object, object]], hwmon: str = "hwmon3") -> str:
    folder = f"sys/class/hwmon/{hwmon}"
    machine.write(f"{folder}/name", "ina3221")
    for n, (label, (millivolts, milliamperes)) in enumerate(rails.items(), 1):
        machine.write(f"{folder}/in{n}_label", label)
        machine.write(f"{folder}/in{n}_input", millivolts)
        machine.write(f"{folder}/curr{n}_input", milliamperes)
    return folder


def seen(sensor: JetsonSensor) -> dict[str, float]:
    return {f"{r.device} {r.quantity}": r.value for r in sensor.read()}


def test_not_a_jetson(machine: Any) -> None:
    machine.write("sys/class/hwmon/hwmon0/name", "coretemp")
    machine.write("sys/class/hwmon/hwmon0/in1_input", 1000)
    reason = JetsonSensor().probe()
    assert reason is not None
    assert "not a Jetson" in reason


@pytest.mark.parametrize(
    "load",
    [
        "sys/devices/gpu.0/load",
        "sys/devices/platform/gpu.0/load",
        "sys/class/devfreq/17000000.gpu/device/load",
        "sys/class/devfreq/17000000.gv11b/device/load",
    ],
)
def test_watts_of_every_rail_and_load(machine: Any, load: str) -> None:
    folder = monitor(machine, ORIN)
    # Voltages over the shunts and the sums that later kernels show are no rails.
    machine.write(f"{folder}/in4_input", 6000)
    machine.write(f"{folder}/in7_label", "sum of shunt voltages")
    machine.write(f"{folder}/in7_input", 9999)
    machine.write(f"{folder}/curr4_input", 2000)
    machine.write(load, 370)
    machine.write("sys/class/devfreq/17000000.nvdec/device/load", 999)
    sensor = JetsonSensor()
    assert sensor.probe() is None
    assert seen(sensor) == {
        "VDD_IN power": pytest.approx(6.0),
        "VDD_CPU_GPU_CV power": pytest.approx(2.45),
        "VDD_SOC power": pytest.approx(1.485),
        "gpu utilisation": 0.37,
    }
    assert sensor.state().quantities == {"power": "W", "utilisation": "1"}
    assert sensor.state().reason == ""
    assert sensor.period_s == 0.05


def test_without_load_and_channels_that_are_off_unnamed_or_twice(machine: Any) -> None:
    monitor(machine, {"VDD_GPU_SOC": (19000, 300), "NC": (0, 0), "VDD_CPU_CV": (19000, "busy")})
    monitor(machine, {"VDD_GPU_SOC": (5000, 100), "off": (5000, 1)}, "hwmon4")
    machine.write("sys/class/hwmon/hwmon4/in2_enable", 0)
    machine.write("sys/class/hwmon/hwmon4/in3_input", 5000)
    machine.write("sys/class/hwmon/hwmon4/curr3_input", 10)
    sensor = JetsonSensor()
    assert sensor.probe() is None
    assert seen(sensor) == {
        "VDD_GPU_SOC power": pytest.approx(5.7),
        "hwmon4:VDD_GPU_SOC power": pytest.approx(0.5),
        "hwmon4:channel3 power": pytest.approx(0.05),
    }
    state = sensor.state()
    assert "no utilisation" in state.reason
    assert "no rail of the whole module" in state.reason


def test_load_alone_and_a_monitor_that_refuses(machine: Any) -> None:
    machine.write("sys/devices/gpu.0/load", 0)
    sensor = JetsonSensor()
    assert sensor.probe() is None
    assert seen(sensor) == {"gpu utilisation": 0.0}
    assert sensor.state().quantities == {"utilisation": "1"}
    monitor(machine, {"VDD_IN": ("x", "x")})
    assert sensor.probe() is None
    assert "gives no reading" in sensor.state().reason
    (machine.root / "sys/devices/gpu.0/load").unlink()
    assert "check the rights" in str(sensor.probe())


def test_readings_that_fail_or_cannot_be_are_left_out(machine: Any) -> None:
    folder = monitor(machine, ORIN)
    sensor = JetsonSensor()
    assert sensor.probe() is None
    machine.write(f"{folder}/curr1_input", 0)
    machine.write(f"{folder}/curr3_input", 0)
    (machine.root / folder / "curr2_input").unlink()
    # A part may rest, the module that runs this cannot.
    assert seen(sensor) == {"VDD_SOC power": 0.0}
    assert "VDD_IN read 0 W" in sensor.state().reason
    assert "VDD_CPU_GPU_CV could not be read" in sensor.state().reason


def told(device: str, watts: list[float], sensor: str = "jetson", quantity: str = "power") -> tuple[Reading, ...]:
    return tuple(Reading(i * 50 * MS, sensor, device, quantity, value) for i, value in enumerate(watts))


WINDOW = 500 * MS, 1500 * MS


@pytest.mark.parametrize("whole", ["VDD_IN", "POM_5V_IN"])
def test_the_module_counts_once(whole: str) -> None:
    parts = told("VDD_CPU_GPU_CV", [4.0] * 41) + told("VDD_SOC", [2.0] * 41)
    ramp = told(whole, [5.0 + 0.1 * i for i in range(41)])
    estimate = told("cpu", [float(i) for i in range(41)], "tdp", "energy")
    integrated = told("GPU-1", [3.0] * 41, "nvml", "power_instant")
    telemetry = Telemetry(readings=parts + ramp + estimate + integrated)
    figures = gpu_energy(telemetry, *WINDOW)
    assert set(figures) == {whole}
    assert figures[whole].how == INA3221_POWER
    assert figures[whole].value == pytest.approx(7.0)
    assert f"whole module ({whole})" in str(cpu_energy(telemetry, *WINDOW).reason)


def test_parts_without_the_whole_are_no_energy() -> None:
    telemetry = Telemetry(readings=told("VDD_GPU_SOC", [4.0] * 41) + told("GPU-1", [3.0] * 41, "nvml", "power_instant"))
    assert set(gpu_energy(telemetry, *WINDOW)) == {"GPU-1"}


def test_a_module_polled_too_seldom_takes_nothing_away() -> None:
    rail = told("VDD_IN", [6.0])
    estimate = told("cpu", [float(i) for i in range(41)], "tdp", "energy")
    integrated = told("GPU-1", [3.0] * 41, "nvml", "power_instant")
    telemetry = Telemetry(readings=rail + estimate + integrated)
    figures = gpu_energy(telemetry, *WINDOW)
    assert figures["VDD_IN"].value is None
    assert figures["GPU-1"].value == pytest.approx(3.0)
    assert cpu_energy(telemetry, *WINDOW).how == "estimated:tdp"


@settings(max_examples=100, deadline=None)
@given(watts=st.lists(st.floats(0.5, 60), min_size=41, max_size=41))
def test_bounds_hold_the_area_under_the_readings(watts: list[float]) -> None:
    figure = gpu_energy(Telemetry(readings=told("VDD_IN", watts)), *WINDOW)["VDD_IN"]
    area = sum((a + b) / 2 * 0.05 for a, b in pairwise(watts[10:31]))
    assert figure.value == pytest.approx(area)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= area * (1 + 1e-9)
    assert figure.high >= area * (1 - 1e-9)
