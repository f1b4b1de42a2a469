"""Which entries of the cache running processes use, so that nobody cleans them away beneath a measurement.

Every process that takes something from the cache keeps a list of it under `in-use/`, and a lock beside the list
as long as it lives: the system lets go of the lock however the process ends, so that a list without a holder is
known to be left over.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from bench.files import write_whole

FOLDER = "in-use"


@dataclass
class _Own:
    """The list of this process. Entries are paths relative to the cache."""

    cache: Path
    path: Path
    lock: FileLock
    entries: set[str] = field(default_factory=set)


_own: _Own | None = None
"""Of the cache that this process used last: it uses one."""


def lock_of(path: Path) -> Path:
    """The lock file beside an entry, whose name may hold dots."""
    return path.with_name(f"{path.name}.lock")


def mark_used(cache: Path, *paths: str | Path | None) -> None:
    """Note that this process uses the entries of `cache` that hold these paths until it ends, and uses them now.

    An entry that is not there is made; a path elsewhere is none of the cache's. Call it while the entry's lock is
    held, so that nobody removes it meanwhile.

    Raises:
        OSError: the cache cannot be written.
    """
    global _own  # noqa: PLW0603 - what a process uses is a fact of the process
    cache = cache.expanduser().resolve()
    if _own is None or _own.cache != cache:
        _forget()
        _own = _begin(cache)
    places = [Path(path).resolve() for path in paths if path is not None]
    entries = {"/".join(place.relative_to(cache).parts[:2]) for place in places if place.is_relative_to(cache)}
    for entry in entries:
        (cache / entry).mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # another user's, in a cache that several share
            os.utime(cache / entry)
    _own.entries |= entries
    write_whole(_own.path, "\n".join(sorted(_own.entries)).encode())  # a reader must never find it half written


def used_by_others(cache: Path) -> set[str]:
    """The entries that other running processes use, as paths relative to the cache; lists left over are removed."""
    found: set[str] = set()
    for path in cache.glob(f"{FOLDER}/[!.]*.txt"):  # a dot begins what is being written
        if _own is not None and _own.path == path:
            continue
        lock = FileLock(path.with_suffix(".lock"))
        try:
            with lock.acquire(timeout=0):
                path.unlink(missing_ok=True)
                _unlink(lock)
        except Timeout:
            with contextlib.suppress(FileNotFoundError):
                found |= set(path.read_text(encoding="utf-8").splitlines())
    return found


def _begin(cache: Path) -> _Own:
    path = cache / FOLDER / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    lock.acquire()
    return _Own(cache, path, lock)


@atexit.register
def _forget() -> None:
    """End this process's list."""
    global _own  # noqa: PLW0603 - as above
    if _own is not None:
        with contextlib.suppress(OSError):
            _own.path.unlink(missing_ok=True)
        _unlink(_own.lock)
        _own.lock.release()
        _own = None


def _unlink(lock: FileLock) -> None:
    """Remove the file of a lock that is held; where the system does not let one (Windows) it stays, empty."""
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink()
