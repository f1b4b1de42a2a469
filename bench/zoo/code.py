"""A hash of those files of this package that decide something, for keys of what they make."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def code_files(places: Iterable[str], without: Collection[str] = ()) -> list[Path]:
    """The Python files at `places` (files and whole folders) that are not `without`, all relative to the package."""
    files = {file for place in places for file in _files(PACKAGE / place)}
    return sorted(file for file in files if file.relative_to(PACKAGE).as_posix() not in without)


def code_sha256(places: Iterable[str], without: Collection[str] = ()) -> str:
    """One hash of the names and the content of `code_files`."""
    total = hashlib.sha256()
    for file in code_files(places, without):
        total.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def _files(place: Path) -> list[Path]:
    return list(place.rglob("*.py")) if place.is_dir() else [place]
