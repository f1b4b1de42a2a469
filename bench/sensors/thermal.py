"""Temperatures and CPU clocks, as Linux shows them under /sys (hwmon, thermal zones, cpufreq)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.sensors import sysfs
from bench.sensors.base import Quantity, Sensor

if TYPE_CHECKING:
    from bench.record.observation import Reading

MAX_CLOCKS = 16
"""At most so many clocks are read: on a machine of many cores each costs a file at every period."""


class ThermalSensor(Sensor):
    """Every temperature the machine tells, and the clocks of the cores that the watched process may use."""

    name: ClassVar[str] = "thermal"
    source: ClassVar[str] = "/sys/class/hwmon, /sys/class/thermal and cpufreq"
    default_period_s: ClassVar[float] = 0.5
    quantities: ClassVar[dict[str, Quantity]] = {
        "temperature": Quantity("°C", "gauge", "temperature of a chip or zone"),
        "cpu_frequency": Quantity("Hz", "gauge", "present clock of a group of cores"),
    }

    def __init__(self, *, period_s: float | None = None) -> None:
        super().__init__(period_s=period_s)
        self._temperatures: dict[str, Path] = {}
        self._all_clocks: dict[str, tuple[Path, frozenset[int]]] = {}
        self._clocks: dict[str, Path] = {}

    def probe(self) -> str | None:
        """Whether there is any thermometer or clock."""
        if not sys.platform.startswith("linux"):
            return "temperatures and clocks are read from Linux's /sys, which this system does not have"
        root = sysfs.root()
        self._temperatures = {**_hwmon(root), **_zones(root)}
        self._all_clocks = _policies(root)
        self._choose(None)
        self.absent = {}
        if not self._temperatures:
            self.absent["temperature"] = f"no readable thermometer under {root / 'sys/class/hwmon'} or thermal"
        if not self._clocks:
            self.absent["cpu_frequency"] = f"no cpufreq policy under {root / 'sys/devices/system/cpu/cpufreq'}"
        if len(self.absent) == len(self.quantities):
            return (
                f"this machine shows neither temperatures nor CPU clocks under {root / 'sys'} "
                "(usual in a virtual machine)"
            )
        return None

    def watch(self, pid: int) -> None:
        """Read the clocks of the cores that `pid` may use."""
        self.notes.clear()
        try:
            self._choose(frozenset(os.sched_getaffinity(pid)))
        except (OSError, AttributeError):
            self._choose(None)

    def read(self) -> list[Reading]:
        """Temperatures and clocks now; a thermometer that gives an error is left out this time."""
        readings = []
        for device, path in self._temperatures.items():
            value = sysfs.integer(path)
            if value is not None:
                readings.append(self.reading("temperature", value / 1000, device=device))
        for device, path in self._clocks.items():
            value = sysfs.integer(path)
            if value:
                readings.append(self.reading("cpu_frequency", value * 1000, device=device))
        return readings

    def _choose(self, cores: frozenset[int] | None) -> None:
        fitting = {
            device: path for device, (path, own) in self._all_clocks.items() if cores is None or not own or own & cores
        }
        self._clocks = dict(list(fitting.items())[:MAX_CLOCKS])
        if len(fitting) > MAX_CLOCKS:
            self.notes["clocks"] = f"only {MAX_CLOCKS} of {len(fitting)} CPU clocks are read"


def _hwmon(root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for chip in sysfs.children(root / "sys/class/hwmon", "hwmon*"):
        for path in sysfs.children(chip, "temp*_input"):
            if sysfs.integer(path) is None:
                continue
            stem = path.name.removesuffix("_input")
            label = sysfs.text(chip / f"{stem}_label") or stem
            device = f"{sysfs.text(chip / 'name') or chip.name}:{label}"
            # Two sockets have two chips of one name.
            found[device if device not in found else f"{chip.name}:{device}"] = path
    return found


def _zones(root: Path) -> dict[str, Path]:
    return {
        f"{zone.name}:{sysfs.text(zone / 'type') or 'unknown'}": zone / "temp"
        for zone in sysfs.children(root / "sys/class/thermal", "thermal_zone*")
        if sysfs.integer(zone / "temp") is not None
    }


def _policies(root: Path) -> dict[str, tuple[Path, frozenset[int]]]:
    return {
        policy.name: (
            policy / "scaling_cur_freq",
            frozenset(map(int, re.findall(r"\d+", sysfs.text(policy / "affected_cpus") or ""))),
        )
        for policy in sysfs.children(root / "sys/devices/system/cpu/cpufreq", "policy*")
        if sysfs.integer(policy / "scaling_cur_freq") is not None
    }
