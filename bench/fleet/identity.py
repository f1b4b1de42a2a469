"""Who this machine is to a fleet: its target, its machine, and the run folder that its figures belong in."""

from __future__ import annotations

import hashlib
import platform
import uuid
from pathlib import Path
from typing import Any

import msgspec

from bench import __version__
from bench.errors import UserError
from bench.fleet.messages import Announcement
from bench.fleet.station import store
from bench.hardware.load import readable_profiles
from bench.hardware.match import best
from bench.hardware.name import machine_id
from bench.hardware.schema import HardwareProfile
from bench.machine.environment import read_environment
from bench.record.environment import Environment
from bench.runner.profiled import fitting, under
from bench.runtimes.table import targets, unavailable
from bench.store.counted import counted_as
from bench.suite.schema import Matrix, Suite

_DIGITS = 8


def announcement(target: str | None = None, machine: str | None = None) -> Announcement:
    """What a worker on this machine says of itself: a profile by name or file, or the best that fits.

    `machine` is a name to stand for this machine, where it is to count as several or as another one.

    Raises:
        UserError: the profile does not exist or is not of this machine, or none fits.
    """
    environment = read_environment()
    profile = _profile(target, environment)
    suite, notes = under(profile, _any_suite(profile))
    told = profile.model_dump(mode="json")
    lacks = {name: reason for name in targets() if (reason := unavailable(name)) is not None}
    return Announcement(
        version=__version__,
        target=profile.name,
        profile=told,
        environment=environment,
        machine=machine or _digest(environment.boot or platform.node()),
        place=_place(environment, machine, told),
        host=platform.node(),
        store=f"{platform.node()}:{environment.boot}:{store().resolve()}",
        lacks=lacks,
        tdp_w=suite.measure.tdp_w,
        idle_w=suite.measure.idle_w,
        notes=notes if machine is None else (*notes, counted_as(machine)),
    )


def _profile(target: str | None, environment: Environment) -> HardwareProfile:
    if target is not None:
        try:
            return fitting(target)
        except UserError as error:
            raise UserError(error.what, where="--target", remedy=error.remedy) from error
    found = best(environment, readable_profiles()[0])
    if found is None:
        raise UserError(
            "no hardware profile fits this machine",
            where="--target",
            remedy="name one, or make one: bench profile detect",
        )
    return found


def _place(environment: Environment, machine: str | None, profile: dict[str, Any]) -> str:
    """Differs wherever two figures may not stand in one run: see `bench.runner.conduct.same_machine`."""
    named = [machine_id(environment), platform.node(), *_marks(), machine]
    software = [environment.kernel, environment.cores_usable, environment.python, environment.packages]
    return _digest([*named, *software, profile])


def _marks(folder: Path = Path("/etc")) -> list[str | None]:
    """What two machines of one make have apart, even under one name: the system's own id, and a network address.

    Images are copied with the id in them, so that it alone is not enough.
    """
    try:
        own = (folder / "machine-id").read_text().strip()
    except (OSError, UnicodeDecodeError):
        own = ""
    node = uuid.getnode()
    # Where there is no network card it is a random number, which has this bit.
    return [own or None, None if node >> 40 & 1 else f"{node:012x}"]


def _digest(told: object) -> str:
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:_DIGITS]


def _any_suite(profile: HardwareProfile) -> Suite:
    """A suite that says nothing of powers, so that those of the profile stand."""
    matrix = Matrix(models=["any"], variants=["fp32"], runtimes=list(profile.providers))
    return Suite(name="any", matrix=[matrix])
