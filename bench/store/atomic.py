"""Whole files in a results folder; what the disk refuses becomes a clear message."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from bench.errors import UserError
from bench.files import whole, write_whole

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` at once. Raises `UserError` where the folder or the disk refuses."""
    try:
        write_whole(path, content)
        _settle(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in place. Raises `UserError` as `write_bytes`."""
    try:
        with whole(path) as part:
            write(part)
            with part.open("rb+") as written:
                os.fsync(written.fileno())
        _settle(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error


class _Remembering(io.RawIOBase):
    """A file to be written from its beginning on, which remembers what the disk refused."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.refused: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            self.refused = error
            raise


def write_through(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """As `write_with`, for a library that writes to a file object and keeps to itself why the disk refused."""

    def fill(part: Path) -> None:
        with part.open("wb") as file:
            remembering = _Remembering(file)
            try:
                write(cast(IO[bytes], remembering))
            except BaseException as error:
                if remembering.refused is None:
                    raise
                raise remembering.refused from error

    write_with(path, fill)


def _settle(folder: Path) -> None:
    """Bring the names in `folder` to the disk, so that a power cut cannot take back one that was put in place."""
    if os.name == "posix":
        place = os.open(folder, os.O_RDONLY)
        try:
            # Some file systems know no such thing for folders.
            with contextlib.suppress(OSError):
                os.fsync(place)
        finally:
            os.close(place)


def storage_error(error: OSError, path: Path) -> UserError:
    """The clear message for a folder or a disk that refuses."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            "the disk is full",
            where=str(path.parent),
            remedy="free some space, then do the same again (a run goes on with `bench run --resume latest`)",
        )
    return UserError(
        f"cannot write there: {error.strerror or error}",
        where=str(path),
        remedy="choose another place (-o FILE, --out DIR), or make that one writable",
    )
