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
def keep_to(cores: Sequence[int] | None, *others: int | None) -> Iterator[None]:
    """Inside, every thread of this process and of `others` (process ids) stays on `cores` (Linux); None: free.

    A child starts on the same cores: one that measures moves to its own.
    """
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    processes = [os.getpid(), *(pid for pid in others if pid is not None)]
    for pid in processes:
        _move(pid, cores)
    try:
        yield
    finally:
        for pid in processes:
            _move(pid, before)


def _move(pid: int, cores: Sequence[int] | set[int]) -> None:
    # A thread, or the process itself, may have ended since it was listed.
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                os.sched_setaffinity(int(task.name), cores)
