"""CPU energy from RAPL, as the Linux powercap tree shows it (docs.kernel.org/power/powercap/powercap.html)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.sensors import sysfs
from bench.sensors.base import Quantity, Sensor

if TYPE_CHECKING:
    from bench.record.observation import Reading

# Zones of `intel-rapl-mmio` are the same counters once more; `psys` covers the packages and the board.
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?$")


class _Zone:
    """One counter, unwrapped: it grows for as long as it is read at least once per wrap."""

    def __init__(self, folder: Path, quantity: str, device: str) -> None:
        self.counter = folder / "energy_uj"
        self.quantity = quantity
        self.device = device
        self.range_uj = sysfs.integer(folder / "max_energy_range_uj")
        self._last: int | None = None
        self._total_uj = 0

    def begin(self) -> None:
        """Forget the last raw value: how often it wrapped while nobody read it is unknown."""
        self._last = None

    def joules(self) -> float | None:
        """Energy since the first reading (J); None where the counter cannot be read or fell without a known range."""
        raw = sysfs.integer(self.counter)
        if raw is None:
            return None
        step = 0 if self._last is None else raw - self._last
        if step < 0:
            # The counter runs up to its range and starts again at 0.
            if self.range_uj is None or self.range_uj < (self._last or 0):
                return None
            step += self.range_uj
        self._last = raw
        self._total_uj += step
        return self._total_uj / 1e6


class RaplSensor(Sensor):
    """Energy of CPU packages and of memory, one device a package.

    The package counter holds its cores and graphics already, so those subdomains are not read. Memory
    (`dram_energy`) is a counter of its own, where there is one. The hardware renews the counters about
    every millisecond (Intel SDM vol. 3B, 16.10) and they wrap after some minutes at full power.
    """

    name: ClassVar[str] = "rapl"
    source: ClassVar[str] = "/sys/class/powercap/intel-rapl:*"
    default_period_s: ClassVar[float] = 0.1
    quantities: ClassVar[dict[str, Quantity]] = {
        "energy": Quantity("J", "counter", "energy of a CPU package since the first reading"),
        "dram_energy": Quantity("J", "counter", "energy of the memory at a package since the first reading"),
    }

    def __init__(self, *, period_s: float | None = None) -> None:
        super().__init__(period_s=period_s)
        self._zones: list[_Zone] = []

    def probe(self) -> str | None:
        """Whether a package counter is there and readable."""
        if not sys.platform.startswith("linux"):
            return "RAPL counters are read through Linux's powercap, which this system does not have"
        folder = sysfs.root() / "sys/class/powercap"
        zones = [zone for zone in sysfs.children(folder, "intel-rapl:*") if _ZONE.match(zone.name)]
        if not zones:
            return f"no RAPL counters on this machine (no intel-rapl zone under {folder})"
        self._zones = _unique(zones)
        packages = [zone for zone in self._zones if zone.quantity == "energy"]
        if not packages:
            return f"no RAPL package counter on this machine (zones under {folder}, but none called package)"
        refused = [zone for zone in packages if sysfs.integer(zone.counter) is None]
        if refused:
            path = refused[0].counter
            if path.exists():
                return f"RAPL counters are readable by root only: run `sudo chmod o+r {folder}/intel-rapl:*/energy_uj`"
            return f"RAPL does not count here: {path} is missing"
        if not any(zone.quantity == "dram_energy" for zone in self._zones):
            self.absent["dram_energy"] = "this machine has no RAPL counter for its memory"
        return None

    def watch(self, pid: int) -> None:
        """Begin anew; the counters are the whole machine's."""
        self.notes.clear()
        for zone in self._zones:
            zone.begin()

    def read(self) -> list[Reading]:
        """Energy of every package and memory."""
        readings = []
        for zone in self._zones:
            value = zone.joules()
            if value is None:
                self.notes[zone.device] = f"{zone.counter} could not be read at times"
            else:
                readings.append(self.reading(zone.quantity, value, device=zone.device))
        return readings


def _unique(folders: list[Path]) -> list[_Zone]:
    """Package and memory zones, each once; a memory zone goes by the name of its package."""
    names = {folder.name: sysfs.text(folder / "name") or "" for folder in folders}
    zones: dict[tuple[str, str], _Zone] = {}
    for folder in folders:
        name = names[folder.name]
        if name.startswith("package"):
            quantity, device = "energy", name
        elif name == "dram":
            quantity, device = "dram_energy", names.get(folder.name.rpartition(":")[0]) or folder.name
        else:
            continue
        zones.setdefault((quantity, device), _Zone(folder, quantity, device))
    return list(zones.values())
