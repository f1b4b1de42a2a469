"""NVIDIA Jetson modules: their INA3221 power monitors (docs.kernel.org/hwmon/ina3221.html) and the load of the GPU."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.sensors import sysfs
from bench.sensors.base import Quantity, Sensor

if TYPE_CHECKING:
    from bench.record.observation import Reading

CHIP = "ina3221"
WHOLE = ("VDD_IN", "POM_5V_IN")
"""Labels of the rail that feeds the whole module: Orin NX and Nano, Xavier NX, TX2 and TX1; the first Nano.
The AGX modules have no such rail, so their parts are read and their energy is not told."""
CHANNELS = (1, 2, 3)
"""An INA3221 has three; further files of the driver are sums of them."""

_LOADS = ("sys/devices/gpu.0/load", "sys/devices/platform/gpu.0/load")
# Names of the GPU's clock device: TX2, Xavier, Orin, and any of them in later kernels.
_CLOCKS = ("*.gp10b", "*.gv11b", "*.ga10b", "*.gpu")
_MICRO = 1e-6


class JetsonSensor(Sensor):
    """Power of each supply rail of the module, one device a rail by its label, and the load of its GPU.

    Power is voltage (mV) times current (mA), read one after the other. On the modules that have one, the
    rail in `WHOLE` feeds the whole module: CPU, GPU, memory and the rest together, not the carrier board.
    It alone counts as energy, for the other rails hang behind it. The monitor counts current in steps of
    40 µV over its shunt (TI INA3221, 7.5), some milliamperes, which is its error at low load.
    """

    name: ClassVar[str] = "jetson"
    source: ClassVar[str] = "/sys/class/hwmon (ina3221) and the GPU's load"
    default_period_s: ClassVar[float] = 0.05
    quantities: ClassVar[dict[str, Quantity]] = {
        "power": Quantity("W", "gauge", "power of a supply rail"),
        "utilisation": Quantity("1", "gauge", "share of the last period in which the GPU worked"),
    }

    def __init__(self, *, period_s: float | None = None) -> None:
        super().__init__(period_s=period_s)
        self._rails: dict[str, tuple[Path, Path]] = {}
        self._load: Path | None = None

    def probe(self) -> str | None:
        """Whether there is a power monitor or a GPU load to be read."""
        if not sys.platform.startswith("linux"):
            return "a Jetson's power is read from Linux's /sys, which this system does not have"
        root = sysfs.root()
        self.absent.clear()
        self.notes.clear()
        every = _rails(root)
        self._rails = {label: files for label, files in every.items() if _watts(files) is not None}
        self._load = _load(root)
        if not self._rails and every:
            path = next(iter(every.values()))[1]
            hint = "check the rights of the file, or run as root" if path.exists() else "it is missing"
            self.absent["power"] = f"the power monitor gives no reading ({path}: {hint})"
        elif not self._rails:
            self.absent["power"] = f"no {CHIP} power monitor under {root / 'sys/class/hwmon'}"
        elif whole_rail(self._rails) is None:
            self.notes["whole"] = (
                f"no rail of the whole module ({' or '.join(WHOLE)}) among {', '.join(sorted(self._rails))}: "
                "their power is read, but no energy can be told"
            )
        if self._load is None:
            self.absent["utilisation"] = f"no load of a Jetson's GPU under {root / 'sys/devices'}"
        if len(self.absent) < len(self.quantities):
            return None
        return self.absent["power"] if every else f"not a Jetson ({self.absent['power']}, and no gpu.0)"

    def read(self) -> list[Reading]:
        """Power of every rail and the GPU's load; a file that gives an error is left out this time."""
        readings = []
        for label, files in self._rails.items():
            before = time.perf_counter_ns()
            watts = _watts(files)
            # The monitor hangs on a slow bus: the middle of the two reads is the best guess at when it held.
            now = (before + time.perf_counter_ns()) // 2
            if watts is None:
                self.notes[label] = f"the power of {label} could not be read at times"
            elif watts <= 0 and label in WHOLE:
                self.notes[label] = f"{label} read {watts:g} W at times, which a running module cannot draw: left out"
            else:
                readings.append(self.reading("power", watts, device=label, t_ns=now))
        load = None if self._load is None else sysfs.integer(self._load)
        if load is not None:
            readings.append(self.reading("utilisation", load / 1000, device="gpu"))
        return readings


def whole_rail(labels: Iterable[str]) -> str | None:
    """The rail of the whole module among these, if there is one."""
    known = frozenset(labels)
    return next((label for label in WHOLE if label in known), None)


def _rails(root: Path) -> dict[str, tuple[Path, Path]]:
    """Voltage (mV) and current (mA) of every channel that is not switched off, by label."""
    found: dict[str, tuple[Path, Path]] = {}
    for chip in sysfs.children(root / "sys/class/hwmon", "hwmon*"):
        if sysfs.text(chip / "name") != CHIP:
            continue
        for n in CHANNELS:
            voltage = chip / f"in{n}_input"
            if not voltage.exists() or sysfs.integer(chip / f"in{n}_enable") == 0:
                continue
            label = sysfs.text(chip / f"in{n}_label") or f"{chip.name}:channel{n}"
            # A carrier board may have a monitor of its own that uses a label again.
            found[label if label not in found else f"{chip.name}:{label}"] = voltage, chip / f"curr{n}_input"
    return {label: files for label, files in found.items() if label != "NC"}


def _watts(files: tuple[Path, Path]) -> float | None:
    millivolts, milliamperes = (sysfs.integer(path) for path in files)
    return None if millivolts is None or milliamperes is None else millivolts * milliamperes * _MICRO


def _load(root: Path) -> Path | None:
    """The file with the GPU's load in thousandths."""
    paths = [root / path for path in _LOADS]
    for pattern in _CLOCKS:
        paths += [clock / "device/load" for clock in sysfs.children(root / "sys/class/devfreq", pattern)]
    return next((path for path in paths if sysfs.integer(path) is not None), None)
