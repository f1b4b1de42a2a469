"""Where the files of data sets and of ready weights lie, and how they get there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.errors import UserError
from bench.files import cache_dir
from bench.zoo.download import Failed, Progress, download
from bench.zoo.hashing import file_sha256

DATA_DIR = "BENCH_DATA_DIR"


@dataclass(frozen=True)
class DataFile:
    """A file as its publisher has it.

    `path` is its place in a data folder. `url` is where it can be downloaded, or None where it can only be
    given. `sha256` and `bytes` are of what is at `url`; without one, of the file that was at hand when the data
    set was written.
    """

    path: str
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class FileSet:
    """Files that belong together.

    Each entry of `files` is one of several ways to have the same thing: the first that is there is read.
    `page` is where the publisher tells of them. `terms` are conditions of use that a user has to accept before
    they are downloaded.
    """

    name: str
    title: str
    licence: str
    files: tuple[tuple[DataFile, ...], ...] = ()
    page: str | None = None
    terms: str | None = None


class DataMissing(UserError):
    """Files are not here and could not be downloaded; the message says which to put where."""


def data_folders() -> list[Path]:
    """Where files are looked for, first wins: the folder that `BENCH_DATA_DIR` names, then the downloads."""
    given = os.environ.get(DATA_DIR)
    return [*([Path(given).expanduser()] if given else []), download_folder()]


def download_folder() -> Path:
    """Where downloads are kept."""
    return cache_dir() / "data"


def locate(wanted: FileSet) -> dict[str, Path] | None:
    """Where the files lie, by `DataFile.path`; None where one is missing."""
    found = [_here(alternatives) for alternatives in wanted.files]
    return {file.path: place for file, place in filter(None, found)} if all(found) else None


def content(wanted: FileSet) -> dict[str, str]:
    """The SHA-256 of each file that is read, by `DataFile.path`.

    Raises:
        DataMissing: one is not here. UserError: one cannot be read.
    """
    return {file.path: _sha256(place) for file, place in _all_here(wanted)}


def can_be_fetched(wanted: FileSet) -> bool:
    """Whether all files that are not here have an address."""
    return all(_here(one) is not None or any(file.url for file in one) for one in wanted.files)


def notes(wanted: FileSet) -> list[str]:
    """A sentence for each file that is not, byte for byte, the one its publisher has. It is used all the same.

    Raises:
        DataMissing: one is not here. UserError: one cannot be read.
    """
    return [
        f"{place} is not the published file (SHA-256 {_sha256(place)[:12]}…, known: {file.sha256[:12]}…)"
        for file, place in _all_here(wanted)
        if file.sha256 is not None and _sha256(place) != file.sha256
    ]


def fetch(wanted: FileSet, progress: Progress, accept_terms: bool = False) -> dict[str, Path]:
    """Download what is missing; where all files lie then, by `DataFile.path`.

    A download that was broken off goes on where it ended. Two processes may fetch the same file: the second
    waits.

    Raises:
        DataMissing: a file can only be given, its terms are not accepted, or it could not be downloaded.
        UserError: the folder of the downloads cannot be written.
    """
    for alternatives in wanted.files:
        if _here(alternatives) is not None:
            continue
        file = next((file for file in alternatives if file.url is not None), None)
        if file is None:
            raise missing(wanted)
        if wanted.terms is not None and not accept_terms:
            raise missing(wanted, "its terms of use have not been accepted")
        assert file.url is not None
        try:
            download(file.url, download_folder() / file.path, sha256=file.sha256, size=file.bytes, progress=progress)
        except Failed as error:
            raise missing(wanted, str(error)) from error
    return {file.path: place for file, place in _all_here(wanted)}


def missing(wanted: FileSet, reason: str | None = None) -> DataMissing:
    """What to say where files are not here: which they are, from where, and where to put them."""
    absent = [alternatives for alternatives in wanted.files if _here(alternatives) is None]
    why = f": {reason}" if reason else ""
    return DataMissing(
        f"{wanted.title} is not here{why}", where=_looked_in(), remedy=" ".join(_remedies(wanted, absent))
    )


def _remedies(wanted: FileSet, absent: list[tuple[DataFile, ...]]) -> Iterator[str]:
    given = os.environ.get(DATA_DIR)
    folder = f"{given} ({DATA_DIR})" if given else f"a folder that {DATA_DIR} names"
    if all(any(file.url for file in alternatives) for alternatives in absent):
        accept = " --accept-terms" if wanted.terms else ""
        yield f"run `bench fetch {wanted.name}{accept}`, or put into {folder}:"
    else:
        yield f"put into {folder}:"
    yield "; ".join(" or ".join(_about(file) for file in alternatives) for alternatives in absent) + "."
    if wanted.page:
        yield f"The publisher's page: {wanted.page}."
    if wanted.terms:
        yield f"Terms: {wanted.terms}"


def _about(file: DataFile) -> str:
    size = f" ({file.bytes:,} B)" if file.bytes else ""
    return f"{file.path}{size}" + (f" from {file.url}" if file.url else "")


def _looked_in() -> str:
    given = os.environ.get(DATA_DIR)
    if given and not Path(given).expanduser().is_dir():
        return f"{given}, which {DATA_DIR} names and which is no folder; {download_folder()}"
    return "; ".join(str(folder) for folder in data_folders())


def the_one_in(folder: str, files: Mapping[str, Path]) -> Path:
    """The file whose `DataFile.path` is in `folder`, where there are several ways to have one thing."""
    return next(place for path, place in files.items() if path.startswith(f"{folder}/"))


def _here(alternatives: tuple[DataFile, ...]) -> tuple[DataFile, Path] | None:
    # A user's folder comes before the downloads, whichever of the alternatives it has.
    places = ((file, folder / file.path) for folder in data_folders() for file in alternatives)
    return next(((file, place) for file, place in places if place.is_file()), None)


def _all_here(wanted: FileSet) -> list[tuple[DataFile, Path]]:
    found = [here for alternatives in wanted.files if (here := _here(alternatives))]
    if len(found) < len(wanted.files):
        raise missing(wanted)
    return found


def _sha256(place: Path) -> str:
    state = place.stat()
    return _hash_of(place, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash_of(place: Path, size: int, changed: int) -> str:
    del size, changed  # only there so that a file that changes is hashed again
    return file_sha256(place)
