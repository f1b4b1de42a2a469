"""What lies in the cache: exported bundles, trained weights, downloads and the logs of exports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from bench.export.prepare import BUNDLE_FILE
from bench.export.uses import used_by_others
from bench.record.artifact import Format

Kind = Literal["bundle", "weights", "data", "log"]
BUNDLES, WEIGHTS, DATA, LOGS = "bundles", "trained", "data", "logs"
_TRAINED = "model.keras"
_CHECKPOINT = "progress.json"
_UNKNOWN = "?"


class Made(msgspec.Struct, frozen=True):
    """A variant that a bundle holds."""

    variant: str
    format: Format


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept and removed as one.

    `key` is its address, or for data and logs its name. `used` is when it was last used (seconds since 1970).
    An `unfinished` one was given up halfway; where `resumable`, the next training goes on from it. `in_use`: by
    another process that runs now. `path` is relative to the cache.
    """

    kind: Kind
    key: str
    model: str
    variants: tuple[Made, ...] = ()
    bytes: int
    used: float
    unfinished: bool = False
    resumable: bool = False
    in_use: bool = False
    path: str


def entries(cache: Path) -> list[Entry]:
    """All of them, the one that was used last first. A cache that is not there holds none."""
    cache = cache.expanduser().resolve()
    busy = used_by_others(cache)
    found = [*_bundles(cache), *_weights(cache), *_data(cache), *_logs(cache)]
    marked = [msgspec.structs.replace(entry, in_use=entry.path in busy) for entry in found]
    return sorted(marked, key=lambda entry: (-entry.used, entry.path))


def size(path: Path) -> int:
    """Bytes in a file, or in all files below a folder; what vanishes meanwhile counts nothing."""
    if not path.is_dir():
        return _bytes(path)
    return sum(_bytes(Path(folder) / name) for folder, _, names in os.walk(path) for name in names)


def log_of(cache: Path, key: str) -> Path:
    """Where the exports of a bundle write what they print."""
    return cache / LOGS / f"{key}.log"


class _Named(msgspec.Struct):
    name: str


class _Index(msgspec.Struct):
    """So much of a bundle's index as is shown; of any schema."""

    model: _Named
    artifacts: tuple[Made, ...] = ()


def _bundles(cache: Path) -> Iterator[Entry]:
    for folder in _folders(cache / BUNDLES):
        try:
            index = msgspec.json.decode((folder / BUNDLE_FILE).read_bytes(), type=_Index)
        except (OSError, msgspec.MsgspecError):
            index = None
        yield Entry(
            kind="bundle",
            key=folder.name,
            model=_UNKNOWN if index is None else index.model.name,
            variants=() if index is None else index.artifacts,
            bytes=size(folder) + _bytes(log_of(cache, folder.name)),
            used=_used(folder),
            unfinished=index is None,
            path=f"{BUNDLES}/{folder.name}",
        )


def _weights(cache: Path) -> Iterator[Entry]:
    for folder in _folders(cache / WEIGHTS):
        model, _, key = folder.name.rpartition("-")
        whole = (folder / _TRAINED).is_file()
        yield Entry(
            kind="weights",
            key=key,
            model=model or _UNKNOWN,
            bytes=size(folder),
            used=_used(folder),
            unfinished=not whole,
            resumable=not whole and (folder / _CHECKPOINT).is_file(),
            path=f"{WEIGHTS}/{folder.name}",
        )


def _data(cache: Path) -> Iterator[Entry]:
    for folder in _folders(cache / DATA):
        part = any(folder.rglob("*.part"))
        yield Entry(
            kind="data",
            key=folder.name,
            model="",
            bytes=size(folder),
            used=_used(folder),
            unfinished=part,
            resumable=part,
            path=f"{DATA}/{folder.name}",
        )


def _logs(cache: Path) -> Iterator[Entry]:
    """Logs whose bundle is gone; the others belong to their bundle."""
    for file in sorted((cache / LOGS).glob("*.log")):
        if not (cache / BUNDLES / file.stem).exists():
            yield Entry(
                kind="log", key=file.stem, model="", bytes=_bytes(file), used=_used(file), path=f"{LOGS}/{file.name}"
            )


def _folders(place: Path) -> list[Path]:
    """The folders in a place. A link is not the cache's own and is left alone."""
    there = sorted(place.iterdir()) if place.is_dir() else []
    return [entry for entry in there if entry.is_dir() and not entry.is_symlink()]


def _bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
