"""Memory, faults, switches and CPU time of the watched process tree.

On Linux the figures come from /proc (proc_pid_stat(5), proc_pid_status(5)); elsewhere from psutil, and
what that system does not tell is absent with a reason.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
import psutil

from bench.sensors import sysfs
from bench.sensors.base import Quantity, Sensor
from bench.sensors.tree import ProcessTree

if TYPE_CHECKING:
    from bench.record.observation import Reading

LINUX = sys.platform.startswith("linux")
DEVICE = "tree"
_LINUX_ONLY = {
    "pss": "only Linux tells the proportional set of a process",
    "peak_rss": "only Linux tells the high-water mark of the resident set (VmHWM)",
    "minor_faults": "only Linux tells minor faults apart for a whole tree",
    "major_faults": "only Linux tells major faults apart for a whole tree",
}


class _Usage(msgspec.Struct):
    """Figures of one process, or their sums over the tree; times in seconds, memory in bytes."""

    rss: int = 0
    threads: int = 0
    user_s: float = 0.0
    system_s: float = 0.0
    minor: int = 0
    major: int = 0


class ProcessSensor(Sensor):
    """The watched process and its descendants, as one device called `tree`.

    Sums of RSS and peak RSS count a page shared by two processes twice; PSS does not. The peak of
    several processes is an upper bound, as they need not have peaked together: see `processes`.
    Counters include descendants that have ended and were waited for; switches count those of threads
    that have ended only up to the last snapshot, so they are a lower bound. CPU time comes in clock
    ticks (10 ms).
    """

    name: ClassVar[str] = "process"
    source: ClassVar[str] = "/proc and psutil" if LINUX else "psutil"
    default_period_s: ClassVar[float] = 0.02
    quantities: ClassVar[dict[str, Quantity]] = {
        "rss": Quantity("B", "gauge", "resident set"),
        "uss": Quantity("B", "gauge", "memory that only this tree's processes hold, each by itself"),
        "pss": Quantity("B", "gauge", "proportional set: shared pages divided among those who share them"),
        "peak_rss": Quantity("B", "gauge", "kernel high-water mark of the resident set since the process began"),
        "processes": Quantity("1", "gauge", "processes in the tree"),
        "threads": Quantity("1", "gauge", "threads in the tree"),
        "cpu_time": Quantity("s", "counter", "user and system CPU time"),
        "cpu_time_user": Quantity("s", "counter", "CPU time in user mode"),
        "cpu_time_system": Quantity("s", "counter", "CPU time in the kernel"),
        "minor_faults": Quantity("1", "counter", "page faults served without a disk"),
        "major_faults": Quantity("1", "counter", "page faults that waited for a disk"),
        "voluntary_switches": Quantity("1", "counter", "times a thread gave up its core to wait"),
        "involuntary_switches": Quantity("1", "counter", "times a thread was taken off its core"),
        "cpu_frequency": Quantity("Hz", "gauge", "CPU clock, mean over cores"),
    }

    def __init__(self, *, period_s: float | None = None) -> None:
        super().__init__(period_s=period_s)
        self._tree: ProcessTree | None = None
        self._floor: dict[str, float] = {}
        self._statm: dict[int, int] = {}
        self._switches: dict[tuple[int, int], tuple[int, int]] = {}
        if not LINUX:
            self.absent.update(_LINUX_ONLY)

    def probe(self) -> str | None:
        """Whether this process may look at itself."""
        try:
            psutil.Process().memory_info()
        except (psutil.Error, OSError) as error:
            return f"this system does not let a process be looked at: {error}"
        if _frequency() is None:
            self.absent["cpu_frequency"] = "this machine does not tell its CPU clock"
        return None

    def watch(self, pid: int) -> None:
        """Follow the tree under `pid`; counters begin with what the kernel has counted for it."""
        self._tree = ProcessTree(pid)
        self._floor.clear()
        self._switches.clear()
        self.notes.clear()
        self.absent.pop("rss", None)
        self.close()

    def close(self) -> None:
        """Close the files that are kept open."""
        while self._statm:
            os.close(self._statm.popitem()[1])

    def read(self) -> list[Reading]:
        """The resident set; nothing once the watched process has ended."""
        if self._tree is None:
            return []
        start = time.perf_counter_ns()
        members = self._tree.members()
        sizes = {process.pid: self._rss(process) for process in members}
        for pid in self._statm.keys() - sizes.keys():
            os.close(self._statm.pop(pid))
        # A zombie holds no memory: that is cheaper to see than its state, at fifty times a second.
        if not sizes.get(self._tree.pid):
            self._note_end()
            return []
        return [self.reading("rss", sum(sizes.values()), device=DEVICE, t_ns=_middle(start))]

    def snapshot(self) -> list[Reading]:
        """Everything; nothing once the watched process has ended."""
        if self._tree is None:
            return []
        members = self._tree.members(fresh=True)
        if not self._tree.alive():
            self._note_end()
            return []
        values = self._sums(members) | self._memory(members) | self._switch_counts(members)
        if not values.get("rss"):
            return []
        frequency = _frequency()
        if frequency is not None:
            values["cpu_frequency"] = frequency
        now = time.perf_counter_ns()
        return [self.reading(name, value, device=DEVICE, t_ns=now) for name, value in values.items()]

    def _note_end(self) -> None:
        assert self._tree is not None
        if "rss" not in self.absent:
            self.notes["ended"] = f"process {self._tree.pid} had ended before sampling stopped"

    def _rss(self, process: psutil.Process) -> int:
        try:
            return self._pages(process.pid) * os.sysconf("SC_PAGE_SIZE") if LINUX else int(process.memory_info().rss)
        except (psutil.AccessDenied, PermissionError):
            self.absent["rss"] = f"the system refuses a look at process {process.pid}"
        except (psutil.Error, OSError, ValueError, IndexError):
            assert self._tree is not None
            self._tree.forget(process)
        return 0

    def _pages(self, pid: int) -> int:
        """Resident pages. The file is kept open: fifty times a second, opening it is most of the cost."""
        if pid not in self._statm:
            self._statm[pid] = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
        return int(os.pread(self._statm[pid], 256, 0).split()[1])

    def _sums(self, members: list[psutil.Process]) -> dict[str, float]:
        total = _Usage()
        counted = 0
        for process in members:
            try:
                usage = _linux_usage(process.pid) if LINUX else _portable_usage(process)
            except (psutil.Error, OSError, ValueError, IndexError):
                continue
            if usage is None:
                continue
            counted += 1
            for field in _Usage.__struct_fields__:
                setattr(total, field, getattr(total, field) + getattr(usage, field))
        values: dict[str, float] = {
            "rss": total.rss,
            "processes": counted,
            "threads": total.threads,
            "cpu_time": self._grown("cpu_time", total.user_s + total.system_s),
            "cpu_time_user": self._grown("cpu_time_user", total.user_s),
            "cpu_time_system": self._grown("cpu_time_system", total.system_s),
        }
        if LINUX:
            values["minor_faults"] = self._grown("minor_faults", total.minor)
            values["major_faults"] = self._grown("major_faults", total.major)
        return values

    def _memory(self, members: list[psutil.Process]) -> dict[str, float]:
        sums: dict[str, float] = {}
        for process in members:
            try:
                full = process.memory_full_info()
                parts: dict[str, int] = {"uss": full.uss}
                if LINUX:
                    parts["pss"] = full.pss
                    parts["peak_rss"] = _high_water(process.pid)
            except psutil.AccessDenied:
                for name in ("uss", "pss"):
                    self.absent[name] = f"the system refuses the memory map of process {process.pid}"
                return {}
            except (psutil.Error, OSError):
                continue
            for name, value in parts.items():
                sums[name] = sums.get(name, 0) + value
        # A process in its last moments shows zeros, which are no memory figures.
        return {name: value for name, value in sums.items() if value}

    def _switch_counts(self, members: list[psutil.Process]) -> dict[str, float]:
        for process in members:
            # /proc/<pid>/status holds the switches of the first thread alone, hence one file a thread.
            for thread, counts in _thread_switches(process):
                self._switches[process.pid, thread] = counts
        if not self._switches:
            return {}
        voluntary, involuntary = map(sum, zip(*self._switches.values(), strict=True))
        return {"voluntary_switches": voluntary, "involuntary_switches": involuntary}

    def _grown(self, name: str, value: float) -> float:
        # A process that ends unwaited takes its counts along; a counter must not fall for that.
        self._floor[name] = max(value, self._floor.get(name, 0.0))
        return self._floor[name]


def _middle(start_ns: int) -> int:
    return (start_ns + time.perf_counter_ns()) // 2


def _frequency() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return frequency.current * 1e6 if frequency and frequency.current else None


def _linux_usage(pid: int) -> _Usage | None:
    """Figures of /proc/<pid>/stat, with those of children that were waited for; None for a zombie."""
    line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # The command name may hold spaces and brackets: the fields begin behind its last bracket, with field 3.
    fields = line[line.rindex(")") + 2 :].split()
    if fields[0] in "ZX":
        return None
    tick = os.sysconf("SC_CLK_TCK")
    return _Usage(
        rss=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        threads=int(fields[17]),
        user_s=(int(fields[11]) + int(fields[13])) / tick,
        system_s=(int(fields[12]) + int(fields[14])) / tick,
        minor=int(fields[7]) + int(fields[8]),
        major=int(fields[9]) + int(fields[10]),
    )


def _portable_usage(process: psutil.Process) -> _Usage:
    with process.oneshot():
        times = process.cpu_times()
        return _Usage(
            rss=process.memory_info().rss,
            threads=process.num_threads(),
            user_s=times.user,
            system_s=times.system,
        )


def _status(path: Path) -> dict[str, str]:
    rows = (line.partition(":") for line in (sysfs.text(path) or "").splitlines())
    return {key: value.strip() for key, _, value in rows}


def _high_water(pid: int) -> int:
    """VmHWM in bytes; 0 where the process has gone."""
    value = _status(Path(f"/proc/{pid}/status")).get("VmHWM", "0 kB")
    return int(value.split()[0]) * 1024


def _thread_switches(process: psutil.Process) -> Iterator[tuple[int, tuple[int, int]]]:
    if not LINUX:
        try:
            counts = process.num_ctx_switches()
        except psutil.Error:
            return
        yield 0, (counts.voluntary, counts.involuntary)
        return
    for task in sysfs.children(Path(f"/proc/{process.pid}/task"), "*"):
        rows = _status(task / "status")
        try:
            pair = int(rows["voluntary_ctxt_switches"]), int(rows["nonvoluntary_ctxt_switches"])
        except (KeyError, ValueError):
            continue
        yield int(task.name), pair
