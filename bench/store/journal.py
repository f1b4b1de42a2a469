"""One file for each finished invocation, written at once: what a killed run is resumed from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.record.codec import pack, unpack
from bench.record.observation import Observation
from bench.store.atomic import write_bytes

FOLDER = "journal"


def append(folder: Path, seen: Observation) -> None:
    """Keep one finished invocation. Raises `UserError` where the disk refuses."""
    write_bytes(folder / FOLDER / f"{seen.case.id}-{seen.invocation}.msgpack", pack(seen))


def read(folder: Path) -> Iterator[Observation]:
    """Every finished invocation; a file that a failing disk has damaged is passed over, so it is made again."""
    for path in sorted((folder / FOLDER).glob("*.msgpack")):
        try:
            yield unpack(path.read_bytes(), Observation)
        except msgspec.DecodeError:
            continue


def drop(folder: Path) -> None:
    """Remove the journal of a complete run, whose content is in the tables."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
