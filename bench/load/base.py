"""What every scenario shares: the clock, the calls and the timed block."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Clock = Callable[[], int]
Between = Callable[[int, float], None]
"""Called between two blocks, outside every timed call, with the number of samples and the last block's median (s)."""

CLOCK: Clock = time.perf_counter_ns
"""Monotonic nanoseconds; on Linux CLOCK_MONOTONIC, so the sampler's stamps are on the same axis."""


class Requests:
    """`count` requests, taken in turn and over again.

    `make(i)` gets request i ready and is not timed; `call(request)` is. With a pool of inputs larger than
    the cache, each call finds its input cold, as a request from outside would be.
    """

    def __init__(
        self, call: Callable[[Any], object], make: Callable[[int], Any], count: int, clock: Clock = CLOCK
    ) -> None:
        if count < 1:
            raise ValueError("there is nothing to call")
        self._call, self._make, self._count = call, make, count
        self._clock = clock
        self._next = 0

    def block(self, seconds: float) -> tuple[list[int], list[int]]:
        """Calls one after the other for `seconds`, one at least.

        Returns:
            When each call started and ended, ns. Only the call stands between two clock reads.
        """
        clock, call, make, position, count = self._clock, self._call, self._make, self._next, self._count
        starts: list[int] = []
        ends: list[int] = []
        keep_start, keep_end = starts.append, ends.append
        deadline = clock() + int(seconds * 1e9)
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
