"""Whether a zip archive from elsewhere may be unpacked, told from its directory before a byte is written."""

from __future__ import annotations

import lzma
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from bench.errors import UserError
from bench.zoo.inside import inside

LARGEST_BYTES = 8 << 30
LARGEST_MEMBER_BYTES = 4 << 30
MOST_MEMBERS = 10_000
BOMB_BYTES, BOMB_RATIO = 256 << 20, 100
"""Deflate can shrink by a thousand. Above so many bytes, data that shrink by more than the ratio are a trap."""
_CHUNK = 1 << 20
_KNOWN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Others need memory that the archive itself chooses (LZMA's dictionary), and nothing here writes them."""


@contextmanager
def opened(path: Path, what: str) -> Iterator[zipfile.ZipFile]:
    """The archive at `path`, its directory checked; `what` names it in messages.

    Raises:
        UserError: it is not a whole archive, or `fault` finds one; so also for what is read within the block.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = fault(archive, path.stat().st_size)
            if found is not None:
                raise UserError(f"{what} {found}", where=str(path), remedy="do not use it, or ask who made it")
            yield archive
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError,
        UnicodeDecodeError, ValueError,
    ) as error:  # fmt: skip
        raise UserError(
            f"{what} is not a whole zip archive: {error}", where=str(path), remedy="copy it again"
        ) from error


def fault(archive: zipfile.ZipFile, packed: int) -> str | None:
    """What is wrong with an archive of `packed` bytes, as the end of a sentence; None where nothing is."""
    entries = archive.infolist()
    if len(entries) > MOST_MEMBERS:
        return f"holds {len(entries):,} members, over the limit of {MOST_MEMBERS:,}"
    found = (_member_fault(entry) for entry in entries)
    return next(filter(None, found), None) or _clash(entries) or _size_fault(entries, packed)


def extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write a member that was checked to `target`.

    Raises:
        zipfile.BadZipFile: it is not what the archive says of it. OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with target.open("wb") as sink:
        # No more comes out than it says: where there is more, the checksum of what came is wrong.
        for chunk in _chunks(archive, member):
            left -= len(chunk)
            sink.write(chunk)
    if left:
        raise zipfile.BadZipFile(f"the member {member.filename!r} is smaller than it says")


def _chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(member) as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except OSError as error:  # it says that it lies where no file has a place
        raise zipfile.BadZipFile(f"the member {member.filename!r} cannot be found: {error}") from error


def _member_fault(entry: zipfile.ZipInfo) -> str | None:
    if "\\" in entry.filename or inside(Path("/none"), entry.filename) is None:
        return f"holds the member {entry.filename!r}, outside its own folder"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"holds {entry.filename!r}, which is a link or a device and no file"
    if entry.flag_bits & 1:
        return f"holds {entry.filename!r}, which is encrypted"
    if entry.compress_type not in _KNOWN:
        return f"holds {entry.filename!r}, which is compressed in a way that is not read here"
    if entry.file_size > LARGEST_MEMBER_BYTES:
        return f"holds {entry.filename!r} of {entry.file_size:,} bytes, over the limit of {LARGEST_MEMBER_BYTES:,}"
    return None


def _clash(entries: list[zipfile.ZipInfo]) -> str | None:
    """Members that would be written over each other, on this system or on one that tells no case apart."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for entry in entries:
        parts = PurePosixPath(unicodedata.normalize("NFC", entry.filename).casefold())
        if not entry.is_dir():
            if str(parts) in files:
                return f"holds {entry.filename!r} twice (the other one is {files[str(parts)]!r})"
            files[str(parts)] = entry.filename
        above = parts.parents if not entry.is_dir() else (parts, *parts.parents)
        folders |= dict.fromkeys((str(folder) for folder in above), entry.filename)
    both = next((name for name in files if name in folders), None)
    return None if both is None else f"holds {files[both]!r} as a file and as a folder"


def _size_fault(entries: list[zipfile.ZipInfo], packed: int) -> str | None:
    total = sum(entry.file_size for entry in entries)
    if total > LARGEST_BYTES:
        return f"unpacks to {total:,} bytes, over the limit of {LARGEST_BYTES:,}"
    if total > BOMB_BYTES and total > BOMB_RATIO * packed:
        return f"unpacks to {total:,} bytes from {packed:,}: {total // packed} times as many, over the limit"
    return None
