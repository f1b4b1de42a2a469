"""Removing from the cache: what is named, or what has not been used for long and what nobody will use."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from bench.errors import UserError, unknown
from bench.export.contents import BUNDLES, DATA, FLEET, PEAKS, WEIGHTS, Entry, entries, log_of
from bench.export.uses import lock_of, used_by_others

_SHORTEST_PREFIX = 4


class Kept(msgspec.Struct, frozen=True):
    """An entry that was to go and did not, and why."""

    entry: Entry
    reason: str


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be where `dry_run`. Sizes in bytes; `locks` counts lock files of nothing."""

    removed: tuple[Entry, ...]
    kept: tuple[Kept, ...] = ()
    locks: int = 0
    freed: int
    left: int
    dry_run: bool = False


def remove(cache: Path, names: Sequence[str], *, everything: bool = False) -> Cleaned:
    """Remove the entries with these keys (a unique start is enough) or of these models, or all.

    What another process holds or uses stays, and is told of.

    Raises:
        UserError: nothing is named, or a name fits nothing or too much.
    """
    if bool(names) == everything:
        raise UserError(
            "name keys or models, or give --all", where="bench cache rm", remedy="`bench cache ls` shows what there is"
        )
    if not all(name.strip() for name in names):
        raise UserError("a name is blank", where="bench cache rm", remedy="`bench cache ls` shows what there is")
    cache = cache.expanduser().resolve()
    there = entries(cache)
    chosen = there if everything else list(dict.fromkeys(entry for name in names for entry in _named(name, there)))
    return _clean(cache, there, chosen, dry_run=False)


def collect(
    cache: Path, *, older_than_s: float | None = None, max_bytes: int | None = None, dry_run: bool = False
) -> Cleaned:
    """Remove what is of no use, what was last used over `older_than_s` ago, and then, least recently used first,
    what the cache holds beyond `max_bytes`.

    Of no use are bundles, parcels of a fleet and trainings that were given up halfway and cannot go on, logs without
    their bundle, and lock files of what is gone. What another process holds or uses stays.
    """
    cache = cache.expanduser().resolve()
    now = time.time()
    there = entries(cache)
    chosen = [entry for entry in there if _useless(entry)]
    rest = [entry for entry in reversed(there) if not _useless(entry)]
    if older_than_s is not None:
        chosen += [entry for entry in rest if now - entry.used > older_than_s]
    going = sum(entry.bytes for entry in chosen if not entry.in_use)
    excess = sum(entry.bytes for entry in there) - going - (max_bytes or 0)
    for entry in rest if max_bytes is not None else ():
        # One that is in use frees nothing, and the next one goes in its place.
        if excess > 0 and entry not in chosen and not entry.in_use:
            chosen.append(entry)
            excess -= entry.bytes
    return _clean(cache, there, chosen, dry_run=dry_run)


def _useless(entry: Entry) -> bool:
    return entry.kind == "log" or (entry.unfinished and not entry.resumable)


def _named(name: str, there: Sequence[Entry]) -> list[Entry]:
    exact = [e for e in there if name == e.key or (e.model and name in (e.model, e.model.partition("@")[0]))]
    if exact:
        return exact
    begun = [entry for entry in there if len(name) >= _SHORTEST_PREFIX and entry.key.startswith(name)]
    if len(begun) > 1:
        keys = ", ".join(entry.key for entry in begun)
        raise UserError(f"{name!r} begins several keys", where="bench cache rm", remedy=f"one of {keys}")
    if not begun:
        models = {e.model for e in there if e.model.strip("?")} | {e.key for e in there if e.kind == "data"}
        raise unknown("key or model", name, models, where="bench cache rm (`bench cache ls` shows the keys)")
    return begun


def _clean(cache: Path, there: Sequence[Entry], chosen: Iterable[Entry], *, dry_run: bool) -> Cleaned:
    removed: list[Entry] = []
    kept: list[Kept] = []
    for entry in chosen:
        reason = _remove(cache, entry, dry_run=dry_run)
        if reason is None:
            removed.append(entry)
        else:
            kept.append(Kept(entry, reason))
    freed = sum(entry.bytes for entry in removed)
    return Cleaned(
        removed=tuple(removed),
        kept=tuple(kept),
        locks=_orphan_locks(cache, dry_run=dry_run),
        freed=freed,
        left=sum(entry.bytes for entry in there) - freed,
        dry_run=dry_run,
    )


def _remove(cache: Path, entry: Entry, *, dry_run: bool) -> str | None:
    """Remove one entry while its locks are held; None, or why it stays."""
    path = cache / entry.path
    try:
        with contextlib.ExitStack() as held:
            locks = _locks(path, entry)
            for lock in locks:
                held.enter_context(FileLock(lock).acquire(timeout=0))
            # Under the lock: who waits for it has not noted yet that it uses the entry, and will find it gone.
            if entry.path in used_by_others(cache):
                return "a running process uses it"
            if not path.exists():
                return "it is gone already"
            if path.stat().st_mtime > entry.used:
                return "it was used meanwhile"
            if not dry_run:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                if entry.kind == "bundle":
                    log_of(cache, entry.key).unlink(missing_ok=True)
                _unlink(locks)
    except Timeout:
        return "another process is working on it"
    except OSError as error:
        return f"the system refused: {error.strerror or error}"
    return None


def _unlink(locks: Iterable[Path]) -> None:
    """Remove the files of locks that are held: who waits for one sees that and begins anew."""
    for lock in locks:
        # Windows removes no file that is open; it stays, empty.
        with contextlib.suppress(OSError):
            lock.unlink()


def _locks(path: Path, entry: Entry) -> list[Path]:
    """The lock files of whoever writes the entry."""
    match entry.kind:
        case "bundle" | "fleet":
            return [lock_of(path)]
        case "peaks":
            return [path.with_suffix(".lock")]
        case "weights":
            return [lock_of(path), *path.glob(".training.lock")]
        case "data":
            return sorted(path.rglob("*.lock"))
        case "log":
            return []


def _orphan_locks(cache: Path, *, dry_run: bool) -> int:
    """Remove the lock files of what is not there; how many."""
    count = 0
    for place in (BUNDLES, WEIGHTS, FLEET):
        for path in (cache / place).glob("*.lock"):
            count += not path.with_suffix("").exists() and _orphan(path, dry_run=dry_run)
    for path in (cache / PEAKS).glob("*.lock"):
        count += not path.with_suffix(".json").exists() and _orphan(path, dry_run=dry_run)
    for path in (cache / DATA).rglob("*.lock"):
        target = path.with_suffix("")
        gone = not target.exists() and not target.with_name(f"{target.name}.part").exists()
        count += gone and _orphan(path, dry_run=dry_run)
    return count


def _orphan(path: Path, *, dry_run: bool) -> bool:
    try:
        with FileLock(path).acquire(timeout=0):
            if not dry_run:
                _unlink([path])
            return True
    except (Timeout, OSError):
        return False
