"""`fleet.json`: the whole plan of a fleet, what is done where, and what was lost."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.errors import UserError, unknown
from bench.fleet.book import Lost
from bench.record.case import Case
from bench.record.codec import from_json
from bench.store.atomic import storage_error, write_bytes
from bench.store.manifest import Manifest

SCHEMA = 2
NAME = "fleet.json"


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A target of the fleet: its hardware profile, and the `runtime-provider`s whose cases it is given.

    `optional` are those among them that the suite asks for only where they are: all workers of the target had
    them when the fleet began, and one that joins later must have them too.
    """

    profile: dict[str, Any]
    runtimes: tuple[str, ...]
    optional: tuple[str, ...] = ()


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `fleet.json`.

    The plan is every case of `plan.cases` on every target, as far as the target has its runtime. `plan` is the manifest
    of a run of them all, with the parent's own environment: how the fleet goes on after a stop. `runs`
    are the ids of the run folders beside this one, a folder a machine, `done` how many cases are on record in
    each, lost ones too. `lost` were given up; each is a failed row in the folder of the machine that was lost with it
    last.
    """

    fleet_id: str
    created: str
    status: Literal["running", "interrupted", "complete"]
    targets: dict[str, Scope]
    plan: Manifest
    runs: tuple[str, ...] = ()
    done: dict[str, int] = {}
    lost: tuple[Lost, ...] = ()
    why: str | None = None
    schema: int = SCHEMA

    def cells(self) -> dict[str, list[Case]]:
        """The cases of each target, in the suite's order. Targets with the same runtimes share one list."""
        found: dict[frozenset[str], list[Case]] = {}
        for scope in self.targets.values():
            runtimes = frozenset(scope.runtimes)
            if runtimes not in found:
                found[runtimes] = [case for case in self.plan.cases if case.target in runtimes]
        return {name: found[frozenset(scope.runtimes)] for name, scope in self.targets.items()}


def create(results: Path, suite: str) -> Path:
    """A new, empty folder for a fleet; its name sorts by time, as those of runs. Raises `UserError`."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = results / f"{stamp}-{suite}-fleet-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    return folder


def write_fleet(folder: Path, fleet: Fleet) -> None:
    """Put it in its place, whole. Raises `UserError`."""
    write_bytes(folder / NAME, msgspec.json.format(msgspec.json.encode(fleet), indent=2))


def read_fleet(folder: Path) -> Fleet:
    """The fleet in `folder`. Raises `UserError` where it is missing, damaged or too new."""
    path = folder / NAME
    try:
        content = path.read_bytes()
        schema = from_json(content, _Schema).schema
        if schema > SCHEMA:
            raise UserError(
                f"the fleet was written by a newer version (schema {schema}, this one reads up to {SCHEMA})",
                where=str(path),
                remedy="update counterpoise",
            )
        return from_json(content, Fleet) if schema > 1 else _first(from_json(content, _First))
    except OSError as error:
        raise UserError(
            f"not the folder of a fleet: {error.strerror}", where=str(path), remedy="see `bench fleet list`"
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"the file is damaged: {error}", where=str(path), remedy="restore it, or run again") from error


def list_fleets(results: Path) -> list[Path]:
    """Folders of fleets in `results`, oldest first."""
    return sorted(path.parent for path in results.glob(f"*/{NAME}"))


def find_fleet(word: str, results: Path) -> Path:
    """The folder of FLEET: a path, an id, a unique start of one, or `latest`. Raises `UserError`."""
    if (Path(word) / NAME).is_file():
        return Path(word)
    there = list_fleets(results)
    if word == "latest" and there:
        return there[-1]
    hits = [folder for folder in there if folder.name.startswith(word)] if word else []
    if len(hits) == 1:
        return hits[0]
    if hits:
        names = ", ".join(folder.name for folder in hits)
        raise UserError(
            f"{word!r} is the start of {len(hits)} fleets", where="FLEET", remedy=f"give more of one of: {names}"
        )
    raise unknown("fleet", word, [folder.name for folder in there], where=str(results))


class _Schema(msgspec.Struct):
    schema: int


class _First(Fleet, frozen=True, kw_only=True):
    """Schema 1 listed the ids of the cases on record in each folder."""

    done: dict[str, tuple[str, ...]] = {}  # type: ignore[assignment]


def _first(found: _First) -> Fleet:
    told = {name: getattr(found, name) for name in Fleet.__struct_fields__}
    return Fleet(**told | {"done": {run: len(ids) for run, ids in found.done.items()}, "schema": SCHEMA})
