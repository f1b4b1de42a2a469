"""Whole files in a results folder; what the disk refuses becomes a clear message."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from bench.errors import UserError
from bench.files import whole, write_whole


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
