"""What parent and workers tell each other, packed: Dask carries bytes."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from bench.record.case import Case
from bench.record.codec import unpack
from bench.record.environment import Environment
from bench.record.observation import Observation, Plan
from bench.record.row import Row

Place = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}\Z")]
"""Becomes part of the name of a folder, so that nothing else may be in it."""

T = TypeVar("T")


class Unreadable(Exception):
    """A worker answered something that is no answer to what it was asked."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """Who a worker is.

    `machine` is what it shares with other workers of one machine, where only one case goes at a time; `place` names
    the run folder that its figures belong in: another one where machine, system, packages or profile differ. `store` is
    its folder of bundles, `bundles` those that lie there. `profile` is the whole hardware profile of its
    target, `tdp_w` and `idle_w` (W) what follows from it for this machine. `lacks` says of each
    `runtime-provider` that it cannot run why.
    """

    version: str
    target: str
    profile: dict[str, Any]
    environment: Environment
    machine: str
    place: Place
    host: str
    store: str
    bundles: tuple[str, ...] = ()
    lacks: dict[str, str] = {}
    tdp_w: float | None = None
    idle_w: float = 0.0
    notes: tuple[str, ...] = ()


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A case to measure, from the bundle of that content hash. `suite` and `plan` are those of a local run."""

    case: Case
    plan: Plan
    suite: dict[str, Any]
    bundle: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A measured case: its row, and every invocation of it, raw."""

    row: Row
    seen: tuple[Observation, ...]


def answer(packed: object, kind: type[T]) -> T:
    """A worker's answer, which has to be of that kind. Raises `Unreadable`."""
    if not isinstance(packed, bytes):
        raise Unreadable(f"it answered something unreadable: {type(packed).__name__}")
    try:
        return unpack(packed, kind)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"it answered something unreadable: {error}") from error


def outcome(packed: object, case: str, invocations: int = 1) -> Outcome:
    """What a worker measured: the case of that id and no other, with that many invocations. Raises `Unreadable`."""
    found = answer(packed, Outcome)
    if not found.seen or any(each.id != case for each in (found.row.case, *(seen.case for seen in found.seen))):
        raise Unreadable("it answered for another case")
    if sorted(seen.invocation for seen in found.seen) != list(range(invocations)):
        raise Unreadable(f"it answered with {len(found.seen)} invocations that are not the {invocations} asked for")
    return found
