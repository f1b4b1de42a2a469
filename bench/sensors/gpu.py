"""What the sensors of GPUs share: cheap figures at every period, the others now and then, all at a snapshot."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from bench.sensors.base import Sensor
from bench.sensors.tree import ProcessTree

if TYPE_CHECKING:
    from bench.record.observation import Reading

SLOW_EVERY = 4
"""Memory, load, clock and heat are read once in so many periods: they cost more and change less."""


class GpuSensor(Sensor):
    """A vendor's sensor says how to read its devices, and what to conclude of what they refused."""

    def __init__(self, *, period_s: float | None = None) -> None:
        super().__init__(period_s=period_s)
        self._tree: ProcessTree | None = None
        self._tick = 0

    def watch(self, pid: int) -> None:
        """Tell the processes of the tree under `pid` from others."""
        self._tree = ProcessTree(pid)
        self._tick = 0

    def read(self) -> list[Reading]:
        """Power and energy, and at every fourth call what changes slowly."""
        slow = self._tick % SLOW_EVERY == 0
        self._tick += 1
        readings = self._everything() if slow else self._fast()
        self._conclude()
        return readings

    def snapshot(self) -> list[Reading]:
        """Everything."""
        readings = self._everything()
        self._conclude()
        return readings

    @abstractmethod
    def _fast(self) -> list[Reading]:
        """Power and energy."""

    @abstractmethod
    def _everything(self) -> list[Reading]:
        """All that may be read at a period."""

    @abstractmethod
    def _conclude(self) -> None:
        """Turn what the devices refused into reasons."""
