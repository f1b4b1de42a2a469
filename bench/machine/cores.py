"""Which cores measure and which are left to the harness."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cores:
    """`measuring` is None where the measured process is left free, `harness` None where it has to share."""

    measuring: list[int] | None
    harness: list[int] | None


def share_out(usable: Sequence[int], threads: int) -> Cores:
    """The last `threads` cores measure and the others are the harness's; all share where there are too few.

    Core 0 goes to the harness, since it takes most interrupts.
    """
    if len(usable) > threads:
        return Cores(measuring=list(usable[-threads:]), harness=list(usable[:-threads]))
    return Cores(measuring=None, harness=None)


@contextmanager
def keep_to(cores: Sequence[int] | None) -> Iterator[None]:
    """Inside, every thread of this process stays on `cores` (Linux); None leaves them free.

    A child starts on the same cores: one that measures moves to its own.
    """
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    _move(cores)
    try:
        yield
    finally:
        _move(before)


def _move(cores: Sequence[int] | set[int]) -> None:
    for task in Path("/proc/self/task").iterdir():
        # A thread may have ended since it was listed.
        with suppress(OSError):
            os.sched_setaffinity(int(task.name), cores)
