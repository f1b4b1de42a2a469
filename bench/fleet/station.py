"""What a worker does when it is asked: say who it is, take a bundle in, measure a case. In the worker's process."""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from bench.errors import UserError
from bench.export.bundle import open_bundle
from bench.export.prepare import BUNDLE_FILE
from bench.export.uses import lock_of, mark_used
from bench.files import cache_dir
from bench.fleet.messages import Announcement, Order, Outcome
from bench.record.case import Case
from bench.record.codec import pack, unpack
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner.conduct import step_by_step
from bench.runner.events import Sight
from bench.runner.plan import Planned, Request
from bench.runner.rows import invocations
from bench.runner.slower import job_for
from bench.suite.schema import Suite
from bench.worker.profile import profile_case
from bench.zoo.hashing import file_sha256

FOLDER = "fleet"
_SPARE_S = 120.0
"""What a case may take beside its own time-outs: export is done elsewhere, and its data are read."""
_TAKING_S = 3600.0
"""How long a bundle waits for the case that another worker of the machine is at."""

_here: list[Announcement] = []


NO_BUNDLE = "the bundle cannot be used"
"""How the text begins where it is not the case that failed: it has to be sent again."""


class Broken(Exception):
    """The worker cannot do what it was asked for; the text says why, for the parent to keep."""


def stand_as(announcement: Announcement) -> None:
    """From now on this process is that worker."""
    _here[:] = [announcement]


def announce() -> bytes:
    """The `Announcement` of this worker, with the bundles that it has now."""
    if not _here:
        raise Broken("this Dask worker was not started by `bench fleet worker`")
    told = _here[0]
    there = tuple(sorted(path.parent.name for path in store().glob(f"*/{BUNDLE_FILE}")))
    return pack(msgspec.structs.replace(told, bundles=there))


def store() -> Path:
    """Where this worker keeps the bundles that it was sent."""
    return cache_dir() / FOLDER


def take_piece(parcel: str, at: int, piece: bytes) -> None:
    """Write a piece of a zipped bundle at its place; pieces come in order, the first one at 0."""
    path = _part(parcel)
    with _alone(_TAKING_S):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb" if at == 0 else "r+b") as file:
            file.seek(at)
            file.write(piece)


def take_in(parcel: str, key: str) -> None:
    """The parcel is whole: it becomes the bundle `key`, if that is what its index and all of its files hash to."""
    path = _part(parcel)
    try:
        with _alone(_TAKING_S), tempfile.TemporaryDirectory(dir=store(), prefix=".") as scratch:
            folder, _ = open_bundle(path, Path(scratch))
            if file_sha256(folder / BUNDLE_FILE) != key:
                raise Broken("what came is not the bundle that was sent")
            _shelve(folder, key, Path(scratch) / "damaged")
    finally:
        path.unlink(missing_ok=True)


def _shelve(folder: Path, key: str, aside: Path) -> None:
    """Put a bundle in its place; what is there already stays if it is whole."""
    place = store() / key
    try:
        folder.rename(place)
    except OSError:
        if _sound(place, key):
            return  # another worker of this store was faster
        if place.exists():
            place.rename(aside)
        folder.rename(place)


def _sound(place: Path, key: str) -> bool:
    try:
        return place.is_dir() and file_sha256(open_bundle(place, place)[0] / BUNDLE_FILE) == key
    except UserError:
        return False


def measure(order: bytes) -> bytes:
    """Measure a case as a run on this machine does; see `bench.runner.conduct.Steps`."""
    asked = unpack(order, Order)
    runs = invocations(asked.case, asked.plan)
    planned = Planned(
        request=Request(suite=str(_bundle(asked.bundle))),
        suite=Suite.model_validate(asked.suite),
        plan=asked.plan,
        cases=(asked.case,),
        notes=(),
        sources={},
        bundle=str(_bundle(asked.bundle)),
    )
    try:
        with _alone(runs * asked.plan.timeout_s + _SPARE_S), step_by_step(planned, _Nobody()) as steps:
            step = steps.measure(asked.case)
    except UserError as error:
        if _sound(store() / asked.bundle, asked.bundle):
            raise
        raise Broken(f"{NO_BUNDLE}: {error}") from error
    return pack(Outcome(row=step.row, seen=step.seen))


def profile(order: bytes, row: bytes) -> bytes:
    """The profile of a row that should be faster than it is; see `bench.runner.slower`."""
    asked = unpack(order, Order)
    folder = _bundle(asked.bundle)
    with _alone(2 * asked.plan.timeout_s + _SPARE_S), tempfile.TemporaryDirectory() as scratch:
        _, bundle = open_bundle(folder, Path(scratch))
        made: Profile = profile_case(job_for(unpack(row, Row), folder, bundle, asked.plan))
    return pack(made)


class _Nobody:
    """See `bench.runner.events.Events`: on a worker nobody watches."""

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        """Nothing."""

    def begin(self, total: int, done: int) -> None:
        """Nothing."""

    def watching(self, sight: Sight) -> None:
        """Nothing."""

    def case(self, case: Case, invocation: int) -> None:
        """Nothing."""

    def progress(self, phase: str, samples: int, median_s: float | None) -> None:
        """Nothing."""

    def done(self, row: Row) -> None:
        """Nothing."""


@contextmanager
def _alone(patience_s: float) -> Iterator[None]:
    """One case at a time on this machine, whoever asks: another parent, or a result that nobody waits for any more."""
    machine = hashlib.sha256(_here[0].machine.encode()).hexdigest()[:12]
    # A number where there is one: in a container a user may have no name.
    user = getattr(os, "getuid", getpass.getuser)()
    name = f"counterpoise-{user}-{machine}.lock"
    lock = FileLock(Path(tempfile.gettempdir()) / name, timeout=patience_s)
    try:
        lock.acquire()
    except Timeout:
        raise Broken(f"another worker held the machine for over {patience_s:g} s") from None
    try:
        yield
    finally:
        lock.release()


def _bundle(key: str) -> Path:
    folder = store() / key
    store().mkdir(parents=True, exist_ok=True)
    with FileLock(lock_of(folder)):
        if not (folder / BUNDLE_FILE).is_file():
            raise Broken(f"{NO_BUNDLE}: {key[:12]} is no longer in {store()}")
        mark_used(cache_dir(), folder)  # `bench cache` does not take it away
    return folder


def _part(parcel: str) -> Path:
    return store() / f".{parcel}.zip"
