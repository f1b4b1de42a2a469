"""Names of files that come from a file: they may lead only into its own folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

LONGEST_BYTES = 255
"""Of a whole path; for the name of one file that is all that common file systems allow."""


def inside(folder: Path, name: str) -> Path | None:
    """The file that `name` means in `folder`; None where it leaves the folder, by itself or by a link, or is no name.

    `name` has forward slashes. What is absolute, or climbs, on any system is refused on every one, so that an
    archive that is harmless here is harmless elsewhere.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    elsewhere = PureWindowsPath(name)
    leaves = parts.is_absolute() or ".." in parts.parts or elsewhere.drive or elsewhere.root
    if leaves or not parts.parts or not name.isprintable() or len(name.encode()) > LONGEST_BYTES:
        return None
    target = folder / parts
    try:
        return target if target.resolve().is_relative_to(folder.resolve()) else None
    except (OSError, RuntimeError):  # a loop of links, or a name longer than any file's
        return None
