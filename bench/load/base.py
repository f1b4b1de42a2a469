"""What every scenario shares: the time, the calls, what it is asked and what it answers."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from bench.record.case import Option
from bench.record.observation import Capacity, ColdStart, Samples, Validity

Clock = Callable[[], int]
Between = Callable[[int, float], None]
"""Called outside every timed call with the number of samples so far and the median of late (s)."""

CLOCK: Clock = time.perf_counter_ns
"""Monotonic nanoseconds; on Linux CLOCK_MONOTONIC, so the sampler's stamps are on the same axis."""

SPIN_NS = 200_000
"""A sleep ends this long before its time and the rest is spun away: sleeping overshoots by 50 to 100 us."""


class OptionError(Exception):
    """An option of the scenario is missing or out of range: the case is refused with this sentence."""


class Time(Protocol):
    """What a load generator knows of time, so that a simulated one can take its place."""

    @property
    def now(self) -> Clock:
        """The clock, ns."""

    def wait_until(self, at_ns: int) -> int:
        """Return at `at_ns` or as soon after it as can be; the clock as it then stands, ns."""


class RealTime:
    """The machine's clock. Waiting sleeps first, which leaves the core free, and spins for the last 200 us."""

    now: Clock = staticmethod(CLOCK)

    def wait_until(self, at_ns: int) -> int:
        """See `Time.wait_until`."""
        at = CLOCK()
        while at < at_ns:
            left = at_ns - at
            if left > SPIN_NS:
                time.sleep((left - SPIN_NS) / 1e9)
            at = CLOCK()
        return at


REAL = RealTime()


class Requests:
    """`count` requests, taken in turn and over again, from request `first` on: one lane.

    `make(i)` gets request i ready and is not timed; `call(request)` is. With a pool of inputs larger than
    the cache, each call finds its input cold, as a request from outside would be.
    """

    def __init__(
        self,
        call: Callable[[Any], object],
        make: Callable[[int], Any],
        count: int,
        clock: Clock = CLOCK,
        first: int = 0,
    ) -> None:
        if count < 1:
            raise ValueError("there is nothing to call")
        self.call = call
        self._make, self._count = make, count
        self._clock = clock
        self._next = first % count

    def take(self) -> Any:
        """The next request, ready for `call`."""
        position = self._next
        self._next = position + 1 if position + 1 < self._count else 0
        return self._make(position)

    def block(self, seconds: float) -> tuple[array[int], array[int]]:
        """Calls one after the other for `seconds`, one at least; see `until`."""
        return self.until(self._clock() + int(seconds * 1e9))

    def until(self, deadline: int) -> tuple[array[int], array[int]]:
        """Calls one after the other until `deadline` (ns), one at least.

        Returns:
            When each call started and ended, ns. Only the call stands between two clock reads.
        """
        clock, call, make, position, count = self._clock, self.call, self._make, self._next, self._count
        # Eight bytes a stamp: lists of integers would show in the memory of the measured process.
        starts, ends = array("q"), array("q")
        keep_start, keep_end = starts.append, ends.append
        while True:
            request = make(position)
            before = clock()
            call(request)
            after = clock()
            keep_start(before)
            keep_end(after)
            position += 1
            if position == count:
                position = 0
            if after >= deadline:
                break
        self._next = position
        return starts, ends


@dataclass(frozen=True)
class Settings:
    """What a scenario is asked. `batch` is the number of examples in one query; `cold` what starting took."""

    options: Mapping[str, Option] = field(default_factory=dict)
    batch: int = 1
    seed: int = 0
    cold: ColdStart | None = None

    def count(self, name: str, default: int) -> int:
        """A whole number of at least 1. Raises `OptionError`."""
        value = self.options.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise OptionError(f"{name} = {value!r} is not a whole number of at least 1")
        return value

    def positive(self, name: str) -> float | None:
        """A number above 0, or None where the option is not given. Raises `OptionError`."""
        value = self.options.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise OptionError(f"{name} = {value!r} is not a number above 0")
        return float(value)


@dataclass(frozen=True)
class Watch:
    """Who looks on. `begin` is called where the measured part starts (again where it starts anew).

    `check` is called where no call is under way, and raises where what was measured is not to count.
    """

    begin: Callable[[], None] = lambda: None
    between: Between = lambda count, median_s: None
    check: Callable[[], None] = lambda: None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario answers."""

    samples: Samples
    validity: Validity
    capacity: Capacity | None = None
    facts: dict[str, Any] = {}


def as_int64(values: array[int]) -> npt.NDArray[np.int64]:
    """A copy, so that the array may grow on."""
    return np.array(values, dtype=np.int64)


@contextmanager
def quiet_collector() -> Iterator[None]:
    """No garbage collection inside: a pause of the harness is not the model's latency."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
