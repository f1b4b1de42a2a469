"""What parent and workers tell each other, packed: Dask carries bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.record.case import Case
from bench.record.environment import Environment
from bench.record.observation import Observation, Plan
from bench.record.row import Row


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """Who a worker is.

    `machine` is what it shares with other workers of one machine, where only one case goes at a time; `place` names
    the run folder that its figures belong in: another one where machine, system or packages differ. `store` is
    its folder of bundles, `bundles` those that lie there. `profile` is the whole hardware profile of its
    target, `tdp_w` and `idle_w` (W) what follows from it for this machine. `lacks` says of each
    `runtime-provider` that it cannot run why.
    """

    version: str
    target: str
    profile: dict[str, Any]
    environment: Environment
    machine: str
    place: str
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
