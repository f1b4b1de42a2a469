"""What took the CPU away: a quota on the control group, and a hypervisor's steal.

Sources: docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max, cpu.stat), docs.kernel.org/scheduler/
sched-bwc.html (version 1) and proc_stat(5).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from bench.sensors import sysfs
from bench.sensors.base import Quantity, Sensor

if TYPE_CHECKING:
    from bench.record.observation import Reading

MACHINE = "machine"
_QUOTA = ("cpu_quota", "periods", "throttled_periods", "throttled_time")


class _Group(msgspec.Struct, frozen=True):
    """A control group with a CPU quota. `device` is its path as the watched process sees it."""

    device: str
    folder: Path
    version: int


class CgroupSensor(Sensor):
    """CPU quota and throttling of the watched process's group and of those above it, and steal time.

    Each group with a quota is a device; one without is passed over, for a quota anywhere above stops the
    process all the same. Steal is the whole machine's, in clock ticks (10 ms), summed over cores.
    """

    name: ClassVar[str] = "cgroup"
    source: ClassVar[str] = "/sys/fs/cgroup and /proc/stat"
    default_period_s: ClassVar[float] = 0.25
    quantities: ClassVar[dict[str, Quantity]] = {
        "cpu_quota": Quantity("1", "gauge", "CPU time the group may use per second, in cores"),
        "periods": Quantity("1", "counter", "quota periods in which the group ran"),
        "throttled_periods": Quantity("1", "counter", "quota periods in which the group was stopped"),
        "throttled_time": Quantity("s", "counter", "time the group was stopped"),
        "steal_time": Quantity("s", "counter", "time a hypervisor ran others while this machine had work"),
    }

    def __init__(self, *, period_s: float | None = None) -> None:
        super().__init__(period_s=period_s)
        self._groups: list[_Group] = []

    def probe(self) -> str | None:
        """Whether there is a kernel to ask; a missing quota is no fault and named as such."""
        if not sys.platform.startswith("linux"):
            return "control groups and steal time are Linux's, which this system is not"
        self.absent = {}
        if _steal() is None:
            self.absent["steal_time"] = f"{sysfs.root() / 'proc/stat'} does not tell steal time"
        self._look("self")
        if "steal_time" in self.absent and not self._groups:
            return f"neither a CPU quota nor steal time can be read under {sysfs.root()}"
        return None

    def watch(self, pid: int) -> None:
        """Find the groups of `pid`."""
        self._look(str(pid))

    def read(self) -> list[Reading]:
        """Quota and throttling of each group with a quota, and steal."""
        readings = []
        for group in self._groups:
            readings += [
                self.reading(quantity, value, device=group.device) for quantity, value in _figures(group).items()
            ]
        steal = _steal()
        if steal is not None:
            readings.append(self.reading("steal_time", steal, device=MACHINE))
        return readings

    def _look(self, process: str) -> None:
        self._groups = [group for group in _chain(process) if _quota(group) is not None]
        for quantity in _QUOTA:
            self.absent.pop(quantity, None)
            if not self._groups:
                self.absent[quantity] = "no CPU quota is set on the control group or on one above it"


def _chain(process: str) -> list[_Group]:
    """The group of a process and all above it, for the CPU controller."""
    root = sysfs.root()
    for line in (sysfs.text(root / "proc" / process / "cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mount, version = root / "sys/fs/cgroup", 2
            # On a mixed machine the second version sits below, without the CPU controller.
            if not (mount / "cgroup.controllers").exists():
                continue
        elif "cpu" in controllers.split(","):
            names = [controllers, "cpu", "cpu,cpuacct"]
            mounts = [root / "sys/fs/cgroup" / name for name in names]
            mount, version = next((m for m in mounts if m.is_dir()), mounts[0]), 1
        else:
            continue
        return _upward(mount, path, version)
    return []


def _upward(mount: Path, path: str, version: int) -> list[_Group]:
    parts = [part for part in path.split("/") if part and part != ".."]
    # In a container the path may be the host's: then the mount itself is the process's group.
    if not mount.joinpath(*parts).is_dir():
        parts = []
    return [
        _Group("/" + "/".join(parts[:length]), mount.joinpath(*parts[:length]), version)
        for length in range(len(parts), -1, -1)
    ]


def _quota(group: _Group) -> float | None:
    """Cores the group may use, None where it is not bounded."""
    if group.version == 2:
        words = (sysfs.text(group.folder / "cpu.max") or "").split()
        quota, period = words if len(words) == 2 else ("max", "1")
    else:
        quota = sysfs.text(group.folder / "cpu.cfs_quota_us") or "-1"
        period = sysfs.text(group.folder / "cpu.cfs_period_us") or "0"
    try:
        bounded = int(quota) >= 0 and int(period) > 0
    except ValueError:
        return None
    return int(quota) / int(period) if bounded else None


def _figures(group: _Group) -> dict[str, float]:
    figures: dict[str, float] = {}
    quota = _quota(group)
    if quota is not None:
        figures["cpu_quota"] = quota
    stat = sysfs.table(sysfs.text(group.folder / "cpu.stat") or "")
    time_key, scale = ("throttled_usec", 1e-6) if group.version == 2 else ("throttled_time", 1e-9)
    for key, quantity, unit in (
        ("nr_periods", "periods", 1.0),
        ("nr_throttled", "throttled_periods", 1.0),
        (time_key, "throttled_time", scale),
    ):
        if key in stat:
            figures[quantity] = stat[key] * unit
    return figures


def _steal() -> float | None:
    """The eighth field of the first line of /proc/stat, in seconds."""
    try:
        with (sysfs.root() / "proc/stat").open(encoding="ascii") as lines:
            fields = lines.readline().split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK") if fields[0] == "cpu" else None
    except (OSError, ValueError, IndexError):
        return None
