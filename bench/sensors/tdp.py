"""An estimate of CPU energy for a machine without counters, from its load and its rated power."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import psutil

from bench.sensors.base import Quantity, Sensor

if TYPE_CHECKING:
    from bench.record.observation import Reading


class TdpSensor(Sensor):
    """Energy = ∫ idle + (TDP − idle) · load dt, with the load of the whole machine from its CPU times.

    Power is taken as linear in the share of busy cores, which real machines are not: a figure to plan
    with, never a measurement. Labelled `estimated:tdp` wherever it is shown, and read only when asked for.

    Args:
        tdp_w: power of the machine's CPUs at full load (W), as a hardware profile states it.
        idle_w: power at rest (W); 0 counts the load alone.
    """

    name: ClassVar[str] = "tdp"
    source: ClassVar[str] = "estimated:tdp (rated power and CPU load)"
    default_period_s: ClassVar[float] = 0.25
    quantities: ClassVar[dict[str, Quantity]] = {
        "energy": Quantity("J", "counter", "estimated energy of the machine's CPUs since the first reading"),
    }

    def __init__(self, *, tdp_w: float | None = None, idle_w: float = 0.0, period_s: float | None = None) -> None:
        super().__init__(period_s=period_s)
        self._tdp_w = tdp_w
        self._idle_w = idle_w
        self._zero: tuple[int, float] | None = None
        self._last = 0.0

    def probe(self) -> str | None:
        """Whether the rated power is known and makes sense."""
        if self._tdp_w is None:
            return "the rated power is not known: set `tdp_w` (watts) for the `tdp` sensor, as in a hardware profile"
        if not 0 <= self._idle_w <= self._tdp_w:
            return f"the idle power ({self._idle_w:g} W) must lie between 0 and the rated power ({self._tdp_w:g} W)"
        return None

    def watch(self, pid: int) -> None:
        """Begin at zero; the estimate is the whole machine's."""
        self._zero = None
        self._last = 0.0

    def read(self) -> list[Reading]:
        """The estimate so far; CPU times come in clock ticks of 10 ms."""
        now = time.perf_counter_ns()
        busy = _busy_s()
        if self._zero is None:
            self._zero = now, busy
        seconds = (now - self._zero[0]) / 1e9
        # Busy core-seconds over the number of cores is the integral of the load, with no sampling error.
        loaded = min(max(0.0, busy - self._zero[1]) / (psutil.cpu_count() or 1), seconds)
        assert self._tdp_w is not None
        joules = self._idle_w * seconds + (self._tdp_w - self._idle_w) * loaded
        # Some kernels correct their idle times backwards; a counter does not fall.
        self._last = max(self._last, joules)
        return [self.reading("energy", self._last, device="cpu", t_ns=now)]


def _busy_s() -> float:
    """Core-seconds in which the machine's CPUs worked since it started; a guest's time is in `user` already."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - idle - guests)
