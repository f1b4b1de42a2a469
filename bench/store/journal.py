"""One file for each finished invocation, written at once: what a killed run is resumed from."""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench import wire
from bench.record.codec import pack, unpack
from bench.record.observation import Observation
from bench.store.atomic import write_bytes

FOLDER = "journal"
_LEVEL = 1
"""Raw samples shrink to a sixth at the lowest level already; the highest gains little and takes five times as long."""
_GZIP = b"\x1f\x8b"
"""How every gzip file starts. A packed observation is a map, which never does, so older, plain files are told apart."""
_MOST = 2 * wire.LIMIT
"""What a file may unpack to: an observation came over the wire. More is no observation, and would fill the memory."""


def append(folder: Path, seen: Observation) -> None:
    """Keep one finished invocation. Raises `UserError` where the disk refuses."""
    write_bytes(folder / FOLDER / f"{seen.case.id}-{seen.invocation}.msgpack", encode(seen))


def read(folder: Path) -> Iterator[Observation]:
    """Every finished invocation; a file that a failing disk has damaged is passed over, so it is made again."""
    for path in files(folder):
        try:
            yield decode(path.read_bytes())
        except msgspec.DecodeError:
            continue


def files(folder: Path) -> list[Path]:
    """The files of the journal, by name; not those with a dot, which a killed process left half written."""
    return sorted(path for path in (folder / FOLDER).glob("*.msgpack") if not path.name.startswith("."))


def encode(seen: Observation) -> bytes:
    """What a file of the journal holds: MessagePack in gzip, whose checksum tells a damaged one."""
    return gzip.compress(pack(seen), _LEVEL, mtime=0)


def decode(content: bytes) -> Observation:
    """The observation in a file's content, of this version or an older one that did not compress.

    Raises:
        msgspec.DecodeError: damaged, or no observation.
    """
    return unpack(_unzipped(content) if content.startswith(_GZIP) else content, Observation)


def drop(folder: Path) -> None:
    """Remove the journal of a complete run, whose content is in the tables."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _unzipped(content: bytes) -> bytes:
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        found = unzip.decompress(content, _MOST)
    except zlib.error as error:
        raise msgspec.DecodeError(f"the compressed bytes are damaged: {error}") from error
    if not unzip.eof or unzip.unused_data:
        raise msgspec.DecodeError("the compressed bytes are cut short, too many, or followed by others")
    return found
