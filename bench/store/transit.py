"""A run as a machine without tables keeps it: raw observations and rows, with a checksum of every file.

`bench import` makes an ordinary run of it elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.errors import UserError
from bench.record.codec import from_json, json_bytes, pack, unpack
from bench.record.row import Row
from bench.store import journal, profiles
from bench.store.atomic import write_bytes
from bench.store.manifest import NAME as MANIFEST
from bench.store.manifest import Manifest
from bench.store.version import check_version
from bench.zoo.inside import inside

SCHEMA = 1
NAME, ROWS = "transit.json", "rows.msgpack"


class File(msgspec.Struct, frozen=True):
    """What a file has to be."""

    bytes: int
    sha256: str


class Transit(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `transit.json`: every file of the run by its name in the folder, written when all the others were."""

    run_id: str
    files: dict[str, File]
    schema: int = SCHEMA


def keep_rows(folder: Path, rows: Sequence[Row]) -> None:
    """`rows.msgpack`. Raises `UserError` where the disk refuses."""
    write_bytes(folder / ROWS, pack(list(rows)))


def drop_rows(folder: Path) -> None:
    """The rows are in tables now."""
    (folder / ROWS).unlink(missing_ok=True)


def read_rows(folder: Path) -> list[Row]:
    """The rows of `rows.msgpack`. Raises `UserError` where it is missing or damaged."""
    path = folder / ROWS
    try:
        return unpack(path.read_bytes(), list[Row])
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        raise UserError(
            f"the rows cannot be read: {error}", where=str(path), remedy="copy the run again, or run again"
        ) from error


def seal(folder: Path, manifest: Manifest) -> None:
    """Write `transit.json` over what is in the folder now. Raises `UserError` where the disk refuses."""
    parts = [*journal.files(folder), *profiles.files(folder)]
    names = [MANIFEST, ROWS, *(path.relative_to(folder).as_posix() for path in parts)]
    listed = {name: _seen(folder / name) for name in names}
    write_bytes(folder / NAME, json_bytes(Transit(run_id=manifest.run_id, files=listed)))


def unseal(folder: Path) -> None:
    """The run goes on: what was listed holds no longer."""
    (folder / NAME).unlink(missing_ok=True)


def is_transit(folder: Path) -> bool:
    """Whether the folder is of a machine without tables, whole or not."""
    return (folder / NAME).exists() or (folder / ROWS).exists()


def is_sealed(folder: Path) -> bool:
    """Whether all that belongs to the run was written."""
    return (folder / NAME).exists()


def check(folder: Path, shown: Path) -> Transit:
    """The list of the folder, every file of it found as it was written; `shown` is the place that messages name.

    Raises:
        UserError: the list or a file is missing, cut short or changed, leads out of the folder, or is too new.
    """
    listed = _read(folder, shown)
    for name in (MANIFEST, ROWS):
        if name not in listed.files:
            raise UserError(f"its list does not name {name}", where=str(shown / NAME), remedy=_AGAIN)
    for name, wanted in listed.files.items():
        path = None if "\\" in name else inside(folder, name)
        if path is None:
            raise UserError(
                f"it names the file {name!r}, outside its own folder",
                where=str(shown / NAME),
                remedy="do not use it: it was tampered with",
            )
        if not path.is_file():
            raise UserError(f"the file {name} is missing: the copy is not whole", where=str(shown), remedy=_AGAIN)
        found = _seen(path)
        if found.bytes < wanted.bytes:
            raise UserError(
                f"the file has {found.bytes:,} of {wanted.bytes:,} bytes: the copy is not whole",
                where=str(shown / name),
                remedy=_AGAIN,
            )
        if found != wanted:
            raise UserError("the file is not what was written", where=str(shown / name), remedy=_AGAIN)
    return listed


_AGAIN = "copy the run again from the machine that made it"


def _read(folder: Path, shown: Path) -> Transit:
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"there is no {NAME}: the run has not ended, or the copy is not whole",
            where=str(shown),
            remedy=f"let it end (`bench run --resume` goes on with it), then {_AGAIN}",
        ) from error
    try:
        schema = msgspec.json.decode(content, type=_Schema).schema
        check_version("the run", schema, SCHEMA, shown / NAME, remedy="update counterpoise here")
        return from_json(content, Transit)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"the list is damaged: {error}", where=str(shown / NAME), remedy=_AGAIN) from error


class _Schema(msgspec.Struct):
    schema: int


def _seen(path: Path) -> File:
    with path.open("rb") as file:
        return File(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
