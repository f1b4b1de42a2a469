"""Folders of fleets: found by id, prefix, path or `latest`, and the file in them read."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import UserError, unknown
from bench.record.codec import from_json
from bench.store.version import check_version

SCHEMA = 2
NAME = "fleet.json"

T = TypeVar("T")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What every version of `fleet.json` has: `runs` are the ids of the run folders beside its own, one a machine."""

    runs: tuple[str, ...]
    schema: int = 1


def read_head(folder: Path) -> Head:
    """Which runs a fleet has. Raises `UserError` as `read_as`."""
    return read_as(folder, Head)


def read_as(folder: Path, kind: type[T]) -> T:
    """`fleet.json` in `folder`, as far as `kind` goes. Raises `UserError` where it is missing, damaged or too new."""
    path = folder / NAME
    try:
        content = path.read_bytes()
        schema = from_json(content, _Schema).schema
        check_version("the fleet", schema, SCHEMA, path)
        return from_json(content, kind)
    except OSError as error:
        raise UserError(
            f"not the folder of a fleet: {error.strerror}", where=str(path), remedy="see `bench fleet list`"
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"the file is damaged: {error}", where=str(path), remedy="restore it, or run again") from error


def list_fleets(results: Path) -> list[Path]:
    """Folders of fleets in `results`, oldest first."""
    return sorted(path.parent for path in results.glob(f"*/{NAME}"))


def named(word: str, results: Path) -> list[Path]:
    """The fleets that `word` may mean: the one of that path or id, else all whose id starts with it."""
    for folder in (Path(word), results / word):
        if word and (folder / NAME).is_file():
            return [folder]
    return [folder for folder in list_fleets(results) if word and folder.name.startswith(word)]


def find_fleet(word: str, results: Path) -> Path:
    """The folder of FLEET: a path, an id, a unique start of one, or `latest`. Raises `UserError`."""
    there = list_fleets(results)
    hits = there[-1:] if word == "latest" else named(word, results)
    if len(hits) == 1:
        return hits[0]
    if hits:
        names = ", ".join(folder.name for folder in hits)
        raise UserError(
            f"{word!r} is the start of {len(hits)} fleets", where="FLEET", remedy=f"give more of one of: {names}"
        )
    raise unknown("fleet", word, [folder.name for folder in there], where=str(results))


class _Schema(msgspec.Struct):
    schema: int = 1
