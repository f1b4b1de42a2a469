"""`fleet.json`: the whole plan of a fleet, what is done where, and what was lost."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.fleet.book import Lost
from bench.record.case import Case
from bench.store.atomic import storage_error, write_bytes
from bench.store.fleets import NAME, SCHEMA, read_as, read_head
from bench.store.lock import held
from bench.store.manifest import Manifest
from bench.store.runs import stamp


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A target of the fleet: its hardware profile, and the `runtime-provider`s whose cases it is given.

    `needed` are those among them that a worker must have, as one of the target had them when the fleet began: where
    the suite asks for a runtime always, what one worker lacks is left to those that have it.
    """

    profile: dict[str, Any]
    runtimes: tuple[str, ...]
    # The first version had only those in it that the suite takes where they are.
    needed: tuple[str, ...] = msgspec.field(default=(), name="optional")


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `fleet.json`.

    The plan is every case of `plan.cases` on every target, as far as the target has its runtime. `plan` is the manifest
    of a run of them all, with the parent's own environment: how the fleet goes on after a stop. `runs`
    are the ids of the run folders beside this one, a folder a machine, `done` how many cases are on record in
    each, lost ones too. `lost` were given up; each is a failed row in the folder of the machine that was lost with it
    last. `failed` were given up for now: workers that were there could not measure them, and they have no row. `notes`
    are those of a run that go wherever its figures go.
    """

    fleet_id: str
    created: str
    status: Literal["running", "interrupted", "complete"]
    targets: dict[str, Scope]
    plan: Manifest
    runs: tuple[str, ...] = ()
    done: dict[str, int] = {}
    lost: tuple[Lost, ...] = ()
    failed: tuple[Lost, ...] = ()
    notes: dict[str, tuple[str, ...]] = {}
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
    """A new, empty folder for a fleet; its name sorts as those of runs do. Raises `UserError`."""
    folder = results / f"{stamp(results)}-{suite}-fleet-{secrets.token_hex(2)}"
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
    return read_as(folder, Fleet) if read_head(folder).schema > 1 else _first(read_as(folder, _First))


def as_it_is(folder: Path) -> Fleet:
    """The fleet in `folder`; one that says it is running and has no parent any more was stopped. Raises as above."""
    fleet = read_fleet(folder)
    if fleet.status != "running" or held(folder):
        return fleet
    why = f"its parent is gone without a word; `bench fleet run --resume {fleet.fleet_id}` goes on with it"
    return msgspec.structs.replace(fleet, status="interrupted", why=why)


class _First(Fleet, frozen=True, kw_only=True):
    """Schema 1 listed the ids of the cases on record in each folder."""

    done: dict[str, tuple[str, ...]] = {}  # type: ignore[assignment]


def _first(found: _First) -> Fleet:
    told = {name: getattr(found, name) for name in Fleet.__struct_fields__}
    return Fleet(**told | {"done": {run: len(ids) for run, ids in found.done.items()}, "schema": SCHEMA})
