"""RAPL, thermal and cgroup sensors on a /proc and /sys of the test's own, and the estimate."""

from __future__ import annotations

import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.sensors.base import Sensor
from bench.sensors.cgroup import CgroupSensor
from bench.sensors.rapl import RaplSensor
from bench.sensors.tdp import TdpSensor
from bench.sensors.thermal import MAX_CLOCKS, ThermalSensor

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these sensors are Linux's")
RAPL = "sys/class/powercap"


def seen(sensor: Sensor) -> dict[str, float]:
    return {f"{r.device} {r.quantity}": r.value for r in sensor.read()}


def zone(machine: Any, name: str, label: str, value: int = 0, wrap: int = 1_000_000) -> Path:
    machine.write(f"{RAPL}/{name}/name", label)
    machine.write(f"{RAPL}/{name}/max_energy_range_uj", wrap)
    path: Path = machine.write(f"{RAPL}/{name}/energy_uj", value)
    return path


class TestRapl:
    def test_none(self, machine: Any) -> None:
        reason = RaplSensor().probe()
        assert reason is not None
        assert "no RAPL counters on this machine" in reason

    def test_each_package_once_and_no_subdomain(self, machine: Any) -> None:
        for name, label in (
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "dram"),
            ("intel-rapl:1", "package-1"),
            ("intel-rapl:2", "psys"),
            ("intel-rapl-mmio:0", "package-0"),
        ):
            zone(machine, name, label)
        sensor = RaplSensor()
        assert sensor.probe() is None
        sensor.watch(1)
        assert set(seen(sensor)) == {"package-0 energy", "package-1 energy", "package-0 dram_energy"}
        for folder in (machine.root / RAPL).iterdir():
            (folder / "energy_uj").write_text("500000")
        assert sum(v for k, v in seen(sensor).items() if k.endswith(" energy")) == pytest.approx(1.0)

    def test_without_memory_counter(self, machine: Any) -> None:
        zone(machine, "intel-rapl:0", "package-0")
        sensor = RaplSensor()
        assert sensor.probe() is None
        assert sensor.state().quantities == {"energy": "J"}
        assert "memory" in sensor.state().reason

    def test_permission(self, machine: Any) -> None:
        path = zone(machine, "intel-rapl:0", "package-0")
        if os.geteuid() == 0:
            # Root reads everything: a folder in the counter's place refuses a read as well.
            path.unlink()
            path.mkdir()
        else:
            path.chmod(0)
        reason = RaplSensor().probe()
        assert reason is not None
        assert "sudo chmod o+r" in reason

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(st.integers(0, 999_999), min_size=1, max_size=12), first=st.integers(0, 999_999))
    def test_unwrapped_counter_is_monotone_and_exact(self, machine: Any, steps: list[int], first: int) -> None:
        path = zone(machine, "intel-rapl:0", "package-0", first)
        sensor = RaplSensor()
        assert sensor.probe() is None
        sensor.watch(1)
        values = [seen(sensor)["package-0 energy"]]
        raw = first
        for step in steps:
            raw = (raw + step) % 1_000_000
            path.write_text(str(raw))
            values.append(seen(sensor)["package-0 energy"])
        assert all(b >= a for a, b in pairwise(values))
        assert values[-1] - values[0] == pytest.approx(sum(steps) / 1e6)

    def test_a_pause_between_two_cases_is_not_taken_for_a_wrap(self, machine: Any) -> None:
        path = zone(machine, "intel-rapl:0", "package-0", 900_000)
        sensor = RaplSensor()
        sensor.probe()
        sensor.watch(1)
        before = seen(sensor)["package-0 energy"]
        path.write_text("100000")
        sensor.watch(2)
        assert seen(sensor)["package-0 energy"] == before

    def test_counter_that_vanishes_gives_nothing(self, machine: Any) -> None:
        path = zone(machine, "intel-rapl:0", "package-0", 5)
        sensor = RaplSensor()
        sensor.probe()
        sensor.watch(1)
        path.unlink()
        assert seen(sensor) == {}
        assert "could not be read" in sensor.state().reason

    def test_counter_that_falls_without_a_known_range_gives_nothing(self, machine: Any) -> None:
        path = zone(machine, "intel-rapl:0", "package-0", 900_000)
        (machine.root / RAPL / "intel-rapl:0/max_energy_range_uj").unlink()
        sensor = RaplSensor()
        assert sensor.probe() is None
        sensor.watch(1)
        assert seen(sensor) == {"package-0 energy": 0}
        path.write_text("100000")
        assert seen(sensor) == {}
        path.write_text("950000")
        assert seen(sensor) == {"package-0 energy": pytest.approx(0.05)}

    def test_zones_without_a_package(self, machine: Any) -> None:
        zone(machine, "intel-rapl:0", "psys")
        assert "none called package" in str(RaplSensor().probe())

    def test_zone_without_a_counter(self, machine: Any) -> None:
        path = zone(machine, "intel-rapl:0", "package-0")
        path.unlink()
        assert RaplSensor().probe() == f"RAPL does not count here: {path} is missing"


class TestThermal:
    def test_none(self, machine: Any) -> None:
        reason = ThermalSensor().probe()
        assert reason is not None
        assert "neither temperatures nor CPU clocks" in reason

    def test_all_sources(self, machine: Any) -> None:
        machine.write("sys/class/hwmon/hwmon0/name", "coretemp")
        machine.write("sys/class/hwmon/hwmon0/temp1_input", 45500)
        machine.write("sys/class/hwmon/hwmon0/temp1_label", "Package id 0")
        machine.write("sys/class/hwmon/hwmon0/temp2_input", "broken")
        machine.write("sys/class/hwmon/hwmon1/name", "coretemp")
        machine.write("sys/class/hwmon/hwmon1/temp1_input", 50000)
        machine.write("sys/class/hwmon/hwmon1/temp1_label", "Package id 0")
        machine.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
        machine.write("sys/class/thermal/thermal_zone0/temp", -1000)
        machine.write("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", 1_800_000)
        sensor = ThermalSensor()
        assert sensor.probe() is None
        assert seen(sensor) == {
            "coretemp:Package id 0 temperature": 45.5,
            "hwmon1:coretemp:Package id 0 temperature": 50.0,
            "thermal_zone0:cpu-thermal temperature": -1.0,
            "policy0 cpu_frequency": 1.8e9,
        }

    def test_clocks_of_the_watched_cores_only_and_not_too_many(self, machine: Any) -> None:
        mine = os.sched_getaffinity(0)
        for core in range(40):
            machine.write(f"sys/devices/system/cpu/cpufreq/policy{core}/scaling_cur_freq", 1000)
            machine.write(f"sys/devices/system/cpu/cpufreq/policy{core}/affected_cpus", core)
        sensor = ThermalSensor()
        assert sensor.probe() is None
        assert len(seen(sensor)) == MAX_CLOCKS
        assert f"{MAX_CLOCKS} of 40" in sensor.state().reason
        sensor.watch(os.getpid())
        assert len(seen(sensor)) == min(len(mine), MAX_CLOCKS)
        assert "no temperature" in sensor.state().reason
        # Of a process that has ended the cores are not known: those of the whole machine stand in.
        sensor.watch(2**30)
        assert len(seen(sensor)) == MAX_CLOCKS

    def test_what_goes_while_it_is_read_is_left_out(self, machine: Any) -> None:
        hot = machine.write("sys/class/thermal/thermal_zone0/temp", 40000)
        machine.write("sys/class/thermal/thermal_zone1/temp", 50000)
        policies = "sys/devices/system/cpu/cpufreq"
        slept = machine.write(f"{policies}/policy0/scaling_cur_freq", 1000)
        machine.write(f"{policies}/policy1/scaling_cur_freq", 2000)
        sensor = ThermalSensor()
        assert sensor.probe() is None
        assert len(seen(sensor)) == 4
        hot.unlink()
        slept.write_text("0")
        assert seen(sensor) == {"thermal_zone1:unknown temperature": 50.0, "policy1 cpu_frequency": 2e6}


class TestCgroup:
    def stat(self, machine: Any, steal: int = 700) -> None:
        machine.write("proc/stat", f"cpu  1 2 3 4 5 6 7 {steal} 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0")

    def test_version_2_takes_every_level_with_a_quota(self, machine: Any) -> None:
        self.stat(machine)
        machine.write("proc/self/cgroup", "0::/")
        machine.write("proc/42/cgroup", "0::/outer/inner")
        group = "sys/fs/cgroup"
        machine.write(f"{group}/cgroup.controllers", "cpu memory")
        machine.write(f"{group}/outer/cpu.max", "150000 100000")
        machine.write(f"{group}/outer/cpu.stat", "usage_usec 9\nnr_periods 10\nnr_throttled 4\nthrottled_usec 250000")
        machine.write(f"{group}/outer/inner/cpu.max", "max 100000")
        sensor = CgroupSensor()
        assert sensor.probe() is None
        assert "no CPU quota" in sensor.state().reason
        sensor.watch(42)
        tick = os.sysconf("SC_CLK_TCK")
        assert seen(sensor) == {
            "/outer cpu_quota": 1.5,
            "/outer periods": 10,
            "/outer throttled_periods": 4,
            "/outer throttled_time": 0.25,
            "machine steal_time": 700 / tick,
        }
        assert "cpu_quota" in sensor.state().quantities

    def test_version_1_and_a_path_of_the_host(self, machine: Any) -> None:
        self.stat(machine)
        machine.write("proc/42/cgroup", "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n0::/")
        group = "sys/fs/cgroup/cpu,cpuacct"
        machine.write(f"{group}/cpu.cfs_quota_us", 50000)
        machine.write(f"{group}/cpu.cfs_period_us", 100000)
        machine.write(f"{group}/cpu.stat", "nr_periods 8\nnr_throttled 2\nthrottled_time 3000000000")
        sensor = CgroupSensor()
        assert sensor.probe() is None
        sensor.watch(42)
        values = seen(sensor)
        assert values["/ cpu_quota"] == 0.5
        assert values["/ throttled_time"] == 3.0

    def test_no_quota_is_not_a_zero(self, machine: Any) -> None:
        self.stat(machine)
        machine.write("proc/42/cgroup", "4:cpu:/")
        machine.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", -1)
        machine.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", 100000)
        sensor = CgroupSensor()
        sensor.probe()
        sensor.watch(42)
        assert set(seen(sensor)) == {"machine steal_time"}
        assert set(sensor.state().quantities) == {"steal_time"}

    def test_nothing_there(self, machine: Any) -> None:
        reason = CgroupSensor().probe()
        assert reason is not None
        assert "neither" in reason

    def test_both_versions_mounted(self, machine: Any) -> None:
        self.stat(machine)
        # The second one is there without the CPU controller: the quota is that of the first.
        machine.write("proc/42/cgroup", "0::/unit\n4:cpu:/unit")
        machine.write("sys/fs/cgroup/cpu/unit/cpu.cfs_quota_us", 200000)
        machine.write("sys/fs/cgroup/cpu/unit/cpu.cfs_period_us", 100000)
        sensor = CgroupSensor()
        sensor.probe()
        sensor.watch(42)
        # Without cpu.stat there is nothing to tell of throttling.
        assert seen(sensor) == {"/unit cpu_quota": 2.0, "machine steal_time": 700 / os.sysconf("SC_CLK_TCK")}

    def test_a_quota_that_is_lifted_while_it_is_watched(self, machine: Any) -> None:
        machine.write("proc/42/cgroup", "0::/")
        machine.write("sys/fs/cgroup/cgroup.controllers", "cpu")
        limit = machine.write("sys/fs/cgroup/cpu.max", "50000 100000")
        machine.write("sys/fs/cgroup/cpu.stat", "nr_periods 8\nodd line\nnr_throttled 2\nthrottled_usec 5")
        sensor = CgroupSensor()
        sensor.watch(42)
        throttled = {"/ periods": 8, "/ throttled_periods": 2, "/ throttled_time": pytest.approx(5e-6)}
        # There is no /proc/stat, so no steal time either.
        assert seen(sensor) == {"/ cpu_quota": 0.5, **throttled}
        limit.write_text("max 100000")
        assert seen(sensor) == throttled


class TestTdp:
    def test_has_to_be_told_the_power(self) -> None:
        assert "tdp_w" in str(TdpSensor().probe())
        assert "between" in str(TdpSensor(tdp_w=10, idle_w=20).probe())
        assert "estimated:tdp" in TdpSensor(tdp_w=10).state().source

    def test_lies_between_rest_and_full_power_and_grows(self) -> None:
        sensor = TdpSensor(tdp_w=100, idle_w=20)
        assert sensor.probe() is None
        sensor.watch(os.getpid())
        (first,) = sensor.read()
        stop = time.perf_counter() + 0.15
        while time.perf_counter() < stop:
            pass
        (last,) = sensor.read()
        seconds = (last.t_ns - first.t_ns) / 1e9
        assert first.value == 0
        assert 20 * seconds * 0.99 <= last.value <= 100 * seconds * 1.01
