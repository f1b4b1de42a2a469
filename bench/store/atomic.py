"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from bench.errors import UserError


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` at once. Raises `UserError` where the folder or the disk refuses."""
    write_with(path, lambda part: _write_durably(part, content))


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in place. Raises `UserError` as `write_bytes`."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(error, path) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def storage_error(error: OSError, path: Path) -> UserError:
    """The clear message for a folder or a disk that refuses."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            "the disk is full", where=str(path.parent), remedy="free some space, then `bench run --resume latest`"
        )
    return UserError(
        f"cannot write results: {error.strerror or error}",
        where=str(path),
        remedy="choose another folder with --out DIR",
    )


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
