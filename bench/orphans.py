"""What a child process leaves behind: found by a mark in the environment, wherever it went, and killed.

A process leaves its group and session by setsid() and its parent by forking twice; what it inherits of its environment
it keeps. The runners of GitHub Actions and Jenkins find leftovers by such a mark too. A process that clears its
environment is found only as long as it is below the child in the tree of processes.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

MARK = "BENCH_STARTED_BY"
"""The environment variable: marks of all that started a process, the outermost first, with commas between."""
_SWEEP_S = 5.0
_PAUSE_S = 0.005
_own = f"{os.getpid()}-{os.urandom(16).hex()}"
_count = itertools.count()


def new_mark() -> str:
    """A mark for one more child of this process. `marked` puts it into the child's environment."""
    global _own  # noqa: PLW0603 - a fork is another process
    if not _own.startswith(f"{os.getpid()}-"):
        _own = f"{os.getpid()}-{os.urandom(16).hex()}"
    return f"{_own}.{next(_count)}"


def marked(mark: str) -> dict[str, str]:
    """The environment variable of a process with this mark, after those that this process itself has."""
    return {MARK: ",".join(filter(None, (os.environ.get(MARK), mark)))}


def below(pid: int) -> list[psutil.Process]:
    """The living descendants of a process, as the system knows them now."""
    import psutil

    # Without a /proc to read, psutil fails in ways of its own: then nothing is found.
    with contextlib.suppress(psutil.Error, OSError, IndexError):
        return psutil.Process(pid).children(recursive=True)
    return []


def sweep(mark: str, known: Sequence[psutil.Process] = ()) -> None:
    """Kill `known` processes, and those with this mark, until there is none any more, for some seconds at most.

    One look is not enough: a process that was just about to fork leaves a child that is in no list yet.
    """
    import psutil

    found, end = list(known), time.monotonic() + _SWEEP_S
    while True:
        with contextlib.suppress(psutil.Error, OSError, IndexError):
            found += [each for each in psutil.process_iter() if each.pid != os.getpid() and _has(each, mark)]
        if not found or time.monotonic() > end:
            return
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        found = []
        time.sleep(_PAUSE_S)


def sweep_for_parent() -> None:
    """Kill all else that this process's parent started. For a child that saw its parent end without a farewell."""
    mark = os.environ.get(MARK, "").rpartition(",")[2]
    if mark:
        sweep(mark.rpartition(".")[0])


def _has(process: psutil.Process, mark: str) -> bool:
    import psutil

    try:
        marks = process.environ().get(MARK, "").split(",")
    except (psutil.Error, OSError):  # it is gone or another user's: not one of ours
        return False
    return any(each == mark or each.startswith(f"{mark}.") for each in marks)
