"""Baselines: what later runs are held against, as small text files that are kept in git.

`results/baselines/NAME/` holds one JSON file a snapshot, named by the run's id, and `current`, which names the one in
force. Ids of runs start with their time, so snapshots sort by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from bench.errors import UserError, unknown
from bench.store import runs
from bench.store.atomic import storage_error, write_bytes
from bench.store.baseline_file import GATED, encode, is_baseline, read_baseline, read_summary
from bench.store.manifest import NAME as MANIFEST
from bench.store.manifest import read_manifest
from bench.store.snapshot import Snapshot, read_run

__all__ = ["GATED", "current", "history", "is_baseline", "names", "promote", "prune", "read_baseline", "save"]

FOLDER = "baselines"
CURRENT = "current"
RESERVED = frozenset({"latest"})
"""A word that already means something where a baseline is asked for."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LOCK = ".baselines.lock"
_LOCK_WAIT_S = 10.0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A saved snapshot in a list. `problem` says why it cannot be read; `created` and `cases` are then None."""

    baseline: str
    snapshot: str
    current: bool
    path: str
    created: str | None = None
    cases: int | None = None
    problem: str | None = None


class Promoted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a `save` or a `promote`: whether the snapshot is new, and which one is in force now."""

    baseline: str
    snapshot: str
    path: str
    saved: bool
    current: str
    previous: str | None = None


def save(results: Path, name: str, run: str, *, promote: bool = False) -> Promoted:
    """Keep a complete run (see `bench.store.runs.find`) as a snapshot of baseline `name`.

    The first snapshot of a baseline is put in force, a later one where `promote` says so. Raises `UserError` where
    the run is not complete, cannot be read or is saved already, or where the name is not one.
    """
    folder = _folder(results, name)
    path, content = _written(folder, runs.find(run, results))
    with _locked(results):
        if path.exists():
            raise UserError(
                f"run {path.stem} is saved in baseline {name!r} already",
                where=str(path),
                remedy=f"`bench baseline promote {name} {path.stem}` puts it in force",
            )
        write_bytes(path, content)
        return _put(folder, path, saved=True, force=promote)


def promote(results: Path, name: str, word: str) -> Promoted:
    """Put a snapshot in force: by its name, the start of one, or a run, which is saved first where it is not yet.

    Raises `UserError` where `word` is none of them or the start of several, and as `save`.
    """
    folder = _folder(results, name)
    saved = _stored(folder)
    known = sorted({path.stem for path in saved} | {path.name for path in runs.list_runs(results)})
    hits = [word] if word in known else [each for each in known if each.startswith(word)]
    if len(hits) > 1:
        raise UserError(
            f"{word!r} is the start of {len(hits)} snapshots and runs",
            where="SNAPSHOT",
            remedy=f"give more of one of: {', '.join(hits)}",
        )
    if not hits and word not in RESERVED and not (Path(word) / MANIFEST).is_file():
        raise unknown("snapshot or run", word, [*known, *RESERVED], where=str(folder))
    path = folder / f"{hits[0]}.json" if hits else None
    content = None
    if path is None or not path.exists():
        path, content = _written(folder, runs.find(hits[0] if hits else word, results))
    with _locked(results):
        is_new = not path.exists()
        if content is not None and is_new:
            write_bytes(path, content)
        read_baseline(path)  # a damaged one must not come into force
        return _put(folder, path, saved=is_new, force=True)


def prune(results: Path, name: str, keep: int) -> list[str]:
    """Remove all snapshots but the newest `keep`, and never the one in force; the removed ones, oldest first.

    Raises `UserError` where there is no such baseline.
    """
    folder = _existing(results, name)
    with _locked(results):
        in_force = _current_name(folder)
        stored = _stored(folder)
        gone = [path for path in stored[: max(len(stored) - keep, 0)] if path.stem != in_force]
        for path in gone:
            path.unlink()
    return [path.stem for path in gone]


def names(results: Path) -> list[str]:
    """The baselines in `results`."""
    root = results / FOLDER
    if not root.is_dir():
        return []
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir() and _stored(folder))


def entries(results: Path, name: str | None = None) -> list[Entry]:
    """The snapshots of one baseline or of all, oldest first; a damaged one with its problem."""
    if name is not None:
        _existing(results, name)
    return [
        _entry(path, _current_name(results / FOLDER / each))
        for each in ([name] if name is not None else names(results))
        for path in _stored(results / FOLDER / each)
    ]


def current(results: Path, name: str) -> Snapshot:
    """The snapshot of baseline `name` that is in force. Raises `UserError` where there is none or it is damaged."""
    return current_in(_existing(results, name))


def current_in(folder: Path) -> Snapshot:
    """The snapshot in force of the baseline in `folder`; as `current`."""
    in_force = _current_name(folder)
    there = ", ".join(path.stem for path in _stored(folder))
    if in_force is None or not (folder / f"{in_force}.json").is_file():
        what = "no snapshot is in force" if in_force is None else f"the snapshot in force, {in_force}, is not there"
        raise UserError(
            f"baseline {folder.name!r}: {what}",
            where=str(folder / CURRENT),
            remedy=f"`bench baseline promote {folder.name} SNAPSHOT` with one of: {there or 'none'}",
        )
    return read_baseline(folder / f"{in_force}.json")


def history(results: Path, name: str) -> list[Snapshot]:
    """All snapshots of baseline `name`, oldest first. Raises `UserError` where there is none or one is damaged."""
    return [read_baseline(path) for path in _stored(_existing(results, name))]


def _written(folder: Path, run: Path) -> tuple[Path, bytes]:
    """Where the snapshot of a run belongs, and its content. Raises `UserError` where the run is not complete."""
    manifest = read_manifest(run)
    if manifest.status != "complete":
        raise UserError(
            f"the run is not complete ({manifest.status}): a baseline needs all of its cases",
            where=str(run),
            remedy=f"`bench run --resume {manifest.run_id}` finishes it",
        )
    if not _NAME.fullmatch(manifest.run_id):
        raise UserError(
            f"the run's id {manifest.run_id!r} is not a name for a file", where=str(run), remedy="run again"
        )
    return folder / f"{manifest.run_id}.json", encode(read_run(run))


def _put(folder: Path, path: Path, *, saved: bool, force: bool) -> Promoted:
    """Write `current`, where this snapshot is to be in force or none is."""
    previous = _current_name(folder)
    if force or previous is None:
        write_bytes(folder / CURRENT, f"{path.stem}\n".encode())
    return Promoted(
        baseline=folder.name,
        snapshot=path.stem,
        path=str(path),
        saved=saved,
        current=path.stem if force or previous is None else previous,
        previous=previous,
    )


def _folder(results: Path, name: str) -> Path:
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise UserError(
            f"{name!r} is not a name for a baseline",
            where="NAME",
            remedy="use letters, digits, dots, dashes and underscores; not " + ", ".join(sorted(RESERVED)),
        )
    return results / FOLDER / name


def _existing(results: Path, name: str) -> Path:
    folder = _folder(results, name)
    there = names(results)
    if name in there:
        return folder
    if there:
        raise unknown("baseline", name, there, where=str(results / FOLDER))
    raise UserError(
        f"there are no baselines in {results / FOLDER}",
        where=f"NAME {name!r}",
        remedy=f"`bench baseline save {name} RUN` makes one",
    )


def _stored(folder: Path) -> list[Path]:
    """The snapshots' files, oldest first."""
    return sorted(path for path in folder.glob("*.json") if _NAME.fullmatch(path.stem))


def _current_name(folder: Path) -> str | None:
    """What `current` names; None where there is no such file or it names nothing."""
    try:
        told = (folder / CURRENT).read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    return told if _NAME.fullmatch(told) else None


def _entry(path: Path, in_force: str | None) -> Entry:
    known = {
        "baseline": path.parent.name,
        "snapshot": path.stem,
        "current": path.stem == in_force,
        "path": str(path),
    }
    try:
        created, cases = read_summary(path)
    except UserError as error:
        return Entry(**known, problem=error.what)  # type: ignore[arg-type]
    return Entry(**known, created=created, cases=cases)  # type: ignore[arg-type]


@contextmanager
def _locked(results: Path) -> Iterator[None]:
    """One process at a time changes baselines. The lock lies beside the runs, which git does not keep."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        lock = FileLock(results / _LOCK)
        lock.acquire(timeout=_LOCK_WAIT_S)
    except Timeout:
        raise UserError(
            "another process is changing the baselines", where=str(results / FOLDER), remedy="try again when it is done"
        ) from None
    except OSError as error:
        raise storage_error(error, results / _LOCK) from error
    try:
        yield
    finally:
        lock.release()
