"""Run folders: made, and found by id, prefix, path or `latest`."""

from __future__ import annotations

import re
import secrets
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.errors import UserError, unknown
from bench.store import journal
from bench.store.atomic import storage_error
from bench.store.manifest import NAME

_STAMP = "%Y%m%d-%H%M%S"
_STAMPED = re.compile(r"\d{8}-\d{6}(?=-)")
_TRIES = 9
_AHEAD = timedelta(days=366)
_SECOND = timedelta(seconds=1)


def create(results: Path, suite: str) -> Path:
    """A new, empty run folder; its name starts with `stamp`, so that names sort by it. Raises `UserError`."""
    start = stamp(results)
    tries = 0
    while True:
        folder = results / f"{start}-{suite}-{secrets.token_hex(2)}"
        tries += 1
        try:
            (folder / journal.FOLDER).mkdir(parents=True)
        except FileExistsError as error:
            # Another run began in this second and drew the same lot.
            if tries == _TRIES or not folder.is_dir():
                raise storage_error(error, folder) from error
        except OSError as error:
            raise storage_error(error, folder) from error
        else:
            return folder


def stamp(results: Path) -> str:
    """The start of a new name in `results`: the time (UTC), to the second.

    Where a name there is of a later time, a second after that one, so that names still sort in the order in which the
    runs were begun: the clock was set back, or a run came from a machine whose clock is ahead. A name of more than a
    year later is passed over: no run is named after it.
    """
    now = datetime.now(UTC)
    names = [path.name for path in results.iterdir()] if results.is_dir() else []
    times = [time for name in names if (time := named_time(name)) is not None]
    later = [time for time in times if timedelta(0) < time - now <= _AHEAD]
    return (max(later) + _SECOND if later else now).strftime(_STAMP)


def begun(run_id: str) -> tuple[datetime, str | None]:
    """What the clock shows (UTC, to the second) where the run of that name begins; a note where its name is later."""
    now = datetime.now(UTC).replace(microsecond=0)
    named = named_time(run_id)
    if named is None or named <= now:
        return now, None
    return now, (
        f"the clock of this machine showed {now:%Y-%m-%d %H:%M:%S} UTC, which is before the time in the run's name: "
        "another run in the folder is dated later, or the clock was set back. Names keep the order of the runs"
    )


def named_time(run_id: str) -> datetime | None:
    """The time (UTC) at the start of the name of a run or a fleet, by which names sort; None where there is none."""
    found = _STAMPED.match(run_id)
    try:
        return None if found is None else datetime.strptime(found[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def in_order(run_id: str, created: str) -> tuple[str, str]:
    """What runs are sorted by where they may be of many folders: the time in the name, or when they were made."""
    named = named_time(run_id)
    return created if named is None else f"{named:%Y-%m-%dT%H:%M:%S}", run_id


def remove(folder: Path) -> None:
    """Take away a run folder that holds no result yet."""
    shutil.rmtree(folder, ignore_errors=True)


def check_there(folder: Path) -> None:
    """Raises `UserError` where the folder of a run that goes on was removed, moved, or is of a disk that went away."""
    if not (folder / NAME).is_file():
        raise UserError(
            "the folder of the run has gone",
            where=str(folder),
            remedy=f"put it back where it was, then `bench run --resume {folder.name}` goes on with it",
        )


def list_runs(results: Path) -> list[Path]:
    """Run folders in `results`, oldest first."""
    if not results.is_dir():
        return []
    return sorted(path.parent for path in results.glob(f"*/{NAME}"))


def find(run: str, results: Path) -> Path:
    """The folder of RUN: a path, an id, a unique prefix of one, or `latest`. Raises `UserError`."""
    path = Path(run)
    if (path / NAME).is_file():
        return path
    there = list_runs(results)
    if not there:
        raise UserError(f"there are no runs in {results}", where=f"RUN {run!r}", remedy="make one with `bench run`")
    if run == "latest":
        return there[-1]
    hits = [folder for folder in there if folder.name.startswith(run)]
    if len(hits) == 1:
        return hits[0]
    if hits:
        names = ", ".join(folder.name for folder in hits)
        raise UserError(
            f"{run!r} is the start of {len(hits)} runs", where="RUN", remedy=f"give more of one of: {names}"
        )
    raise unknown("run", run, [folder.name for folder in there] + ["latest"], where=str(results))
