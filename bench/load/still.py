"""Whether this process stood still: the machine slept, or somebody stopped the process and let it go on.

A sleep stops the clock that latencies are taken by (CLOCK_MONOTONIC), so that no sample shows it, but what comes
after is another machine: cool, with cold caches. A stop does not, so that one sample would hold all of it.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

TRIES = 3
"""How often the measuring is begun anew at most: a process that is stopped all the time cannot be measured."""
_LEAST_NS = 10_000_000
"""A shorter sleep is none: no machine wakes up so soon."""
STOPPED = "the process was stopped from outside for a while (SIGCONT)"


class Disturbed(Exception):
    """The process stood still; the text says how, as a clause."""


class Still:
    """Notices that the process stood still since this object was made.

    A context manager: inside, and in the main thread, it has a handler for SIGCONT. Outside it sees sleep only, which
    is told by the clock that counts it (Linux: CLOCK_BOOTTIME) running ahead of the one that does not.
    """

    def __init__(self) -> None:
        self._stopped = False
        self._asleep = _asleep()
        self._handler: object = None

    def __enter__(self) -> Self:
        if hasattr(signal, "SIGCONT") and threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGCONT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGCONT, self._handler)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raise `Disturbed` where the process stood still since the last look."""
        stopped, self._stopped = self._stopped, False
        before, self._asleep = self._asleep, _asleep()
        # At least so long, wherever the two clocks were read apart.
        slept_ns = self._asleep[0] - before[1]
        if slept_ns > _LEAST_NS:
            raise Disturbed(f"the machine slept for {slept_ns / 1e9:.3g} s")
        if stopped:
            raise Disturbed(STOPPED)

    def undisturbed(self, make: Callable[[], T], anew: Callable[[str], None]) -> T:
        """What `make` gives, with no stillness from its beginning to its end.

        It is tried `TRIES` times; before each further one `anew` is told why. Raises `Disturbed`.
        """
        tries = 0
        while True:
            try:
                made = make()
                self.check()
            except Disturbed as why:
                tries += 1
                if tries == TRIES:
                    raise Disturbed(f"{why}, and so it went {TRIES} times") from why
                anew(str(why))
            else:
                return made

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stopped = True


def _asleep() -> tuple[int, int]:
    """The least and the most that this machine has slept since it was started, ns; 0 where it cannot be told."""
    if sys.platform == "linux":
        awake, all_of_it = time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME
    elif sys.platform == "darwin":
        awake, all_of_it = time.CLOCK_UPTIME_RAW, time.CLOCK_MONOTONIC
    else:
        return 0, 0
    before = time.clock_gettime_ns(awake)
    together = time.clock_gettime_ns(all_of_it)
    after = time.clock_gettime_ns(awake)
    return together - after, together - before
