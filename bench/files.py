"""Files that are either whole or absent, and the folder of those that can be made again."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """`BENCH_CACHE_DIR`, or the user's cache folder for `counterpoise`."""
    given = os.environ.get("BENCH_CACHE_DIR")
    if given:
        return Path(given).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("counterpoise"))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when the block ends well, and is gone otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: converters choose the format by it.
    temporary = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes left in `folder` and below; nobody may be writing there."""
    for path in folder.rglob(f".{'[0-9a-f]' * 32}.*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` at once, and to the disk before its name appears."""
    with whole(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
