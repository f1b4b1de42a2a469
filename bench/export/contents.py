"""What lies in the cache: bundles, made here or sent by a fleet, trained weights, downloads, peaks, logs of exports."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from bench.export.prepare import BUNDLE_FILE
from bench.export.uses import used_by_others
from bench.record.artifact import Format

Kind = Literal["bundle", "weights", "data", "log", "fleet", "peaks"]
BUNDLES, WEIGHTS, DATA, LOGS, FLEET, PEAKS = "bundles", "trained", "data", "logs", "fleet", "peaks"
_TRAINED = "model.keras"
_CHECKPOINT = "progress.json"
_UNKNOWN = "?"
_BROKEN_OFF_S = 86_400.0
"""What a fleet was sending and has not touched for so long does not come any more."""


class Made(msgspec.Struct, frozen=True):
    """A variant that a bundle holds."""

    variant: str
    format: Format


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept and removed as one.

    `fleet` is a bundle that a fleet sent to this machine, or the part of one; `peaks` are what a machine reaches.

    `key` is its address, or for data, logs and parts its name. `used` is when it was last used (seconds since 1970).
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
    found = [
        *_bundles(cache), *_weights(cache), *_data(cache), *_logs(cache), *_fleet(cache), *_peaks(cache)
    ]  # fmt: skip
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
        yield _bundle(folder, "bundle", f"{BUNDLES}/{folder.name}", size(folder) + _bytes(log_of(cache, folder.name)))


def _fleet(cache: Path) -> Iterator[Entry]:
    """What is hidden is on its way in."""
    for folder in _folders(cache / FLEET):
        if not folder.name.startswith("."):
            yield _bundle(folder, "fleet", f"{FLEET}/{folder.name}", size(folder))
    for part in sorted((cache / FLEET).glob(".*")):
        if time.time() - _used(part) > _BROKEN_OFF_S and not part.is_symlink():
            yield Entry(
                kind="fleet",
                key=part.name,
                model=_UNKNOWN,
                bytes=size(part),
                used=_used(part),
                unfinished=True,
                path=f"{FLEET}/{part.name}",
            )


def _bundle(folder: Path, kind: Kind, path: str, bytes_: int) -> Entry:
    try:
        index = msgspec.json.decode((folder / BUNDLE_FILE).read_bytes(), type=_Index)
    except (OSError, msgspec.MsgspecError):
        index = None
    return Entry(
        kind=kind,
        key=folder.name,
        model=_UNKNOWN if index is None else index.model.name,
        variants=() if index is None else index.artifacts,
        bytes=bytes_,
        used=_used(folder),
        unfinished=index is None,
        path=path,
    )


def _peaks(cache: Path) -> Iterator[Entry]:
    for file in sorted((cache / PEAKS).glob("[!.]*.json")):
        yield Entry(
            kind="peaks", key=file.stem, model="", bytes=_bytes(file), used=_used(file), path=f"{PEAKS}/{file.name}"
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
