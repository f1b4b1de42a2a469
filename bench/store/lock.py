"""One process a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bench.errors import UserError
from bench.store import journal
from bench.store.atomic import storage_error


class Busy(UserError):
    """Another process is at the run."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Inside, no other process measures the run in `folder`. The lock ends with its process, however that ends.

    Raises:
        Busy: another process is at it, or has just ended it and taken the journal away.
        UserError: the folder cannot be written.
    """
    # In the journal, so that it goes with it: a complete run needs neither.
    lock = FileLock(folder / journal.FOLDER / ".lock")
    try:
        # Who only asks (see `held`) has it for a moment.
        lock.acquire(timeout=1)
    except Timeout:
        raise Busy(
            "another process is measuring this run", where=str(folder), remedy="wait for it, or stop it first"
        ) from None
    except FileNotFoundError as error:
        raise Busy(
            "another process has just ended this run", where=str(folder), remedy="see `bench list runs`"
        ) from error
    except OSError as error:
        raise storage_error(error, folder) from error
    try:
        yield
    finally:
        lock.release()


def held(folder: Path) -> bool:
    """Whether a process is inside `alone` of that folder; so is said where that cannot be found out."""
    path = folder / journal.FOLDER / ".lock"
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        with lock.acquire(timeout=0):
            return False
    except (Timeout, OSError):
        return True
