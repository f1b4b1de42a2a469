"""What every sensor is: a named source that says what it can measure, why not, and reads values."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

if TYPE_CHECKING:
    from bench.record.observation import Reading, SensorState

Kind = Literal["gauge", "counter"]
"""A gauge is a value at a moment; a counter only grows, and its differences mean something."""


class Quantity(msgspec.Struct, frozen=True):
    """One thing a sensor reads: its SI unit (`1` for a ratio or a count), its kind and its meaning."""

    unit: str
    kind: Kind
    about: str


class Sensor(ABC):
    """A source of readings.

    `period_s` is how often the sampler calls `read`; a subclass sets a default that fits the update
    period of its source, and its factory takes `period_s=` to change it. What a source refuses is named
    in `absent` with the reason and gives no reading: an absent figure is never a zero.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    quantities: ClassVar[dict[str, Quantity]]
    default_period_s: ClassVar[float]

    def __init__(self, *, period_s: float | None = None) -> None:
        self.period_s = self.default_period_s if period_s is None else period_s
        self.absent: dict[str, str] = {}
        self.notes: dict[str, str] = {}

    @abstractmethod
    def probe(self) -> str | None:
        """None where the sensor can be read, else the reason as a sentence to act on. May be called again."""

    def watch(self, pid: int) -> None:  # noqa: B027 - a sensor of the whole machine has nothing to aim
        """Aim at the process tree rooted at `pid`; forget what was said of an earlier one."""

    @abstractmethod
    def read(self) -> list[Reading]:
        """Values now, cheap enough to take at every period."""

    def snapshot(self) -> list[Reading]:
        """Values now, with those too dear to take at every period."""
        return self.read()

    def close(self) -> None:  # noqa: B027 - most sources hold nothing
        """Give back what `probe` or `watch` took."""

    def reading(self, quantity: str, value: float, *, device: str, t_ns: int | None = None) -> Reading:
        """A reading of this sensor, stamped now unless told otherwise."""
        from bench.record.observation import Reading

        stamp = time.perf_counter_ns() if t_ns is None else t_ns
        return Reading(t_ns=stamp, sensor=self.name, device=device, quantity=quantity, value=float(value))

    def state(self, unavailable: str | None = None) -> SensorState:
        """How the sensor stands. `unavailable` is the reason it cannot be read at all, if so."""
        from bench.record.observation import SensorState

        if unavailable is not None:
            return SensorState(
                sensor=self.name, source=self.source, period_s=self.period_s, available=False, reason=unavailable
            )
        by_reason: dict[str, list[str]] = {}
        for quantity, reason in self.absent.items():
            by_reason.setdefault(reason, []).append(quantity)
        said = [f"no {', '.join(quantities)}: {reason}" for reason, quantities in by_reason.items()]
        said += self.notes.values()
        return SensorState(
            sensor=self.name,
            source=self.source,
            period_s=self.period_s,
            available=True,
            reason="; ".join(said),
            quantities={name: q.unit for name, q in self.quantities.items() if name not in self.absent},
        )
