"""Whole files in a results folder; what the disk refuses becomes a clear message."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from bench.errors import UserError
from bench.files import whole, write_whole


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` at once. Raises `UserError` where the folder or the disk refuses."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise storage_error(error, path) from error


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in place. Raises `UserError` as `write_bytes`."""
    try:
        with whole(path) as part:
            write(part)
    except OSError as error:
        raise storage_error(error, path) from error


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
