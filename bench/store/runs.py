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


def create(results: Path, suite: str) -> Path:
    """A new, empty run folder; its name starts with `stamp`, so that names sort by it. Raises `UserError`."""
    start = stamp(results)
    for left in reversed(range(_TRIES)):
        folder = results / f"{start}-{suite}-{secrets.token_hex(2)}"
        try:
            (folder / journal.FOLDER).mkdir(parents=True)
        except FileExistsError as error:
            # Another run began in this second and drew the same lot.
            if not left or not folder.is_dir():
                raise storage_error(error, folder) from error
        except OSError as error:
            raise storage_error(error, folder) from error
        else:
            break
    return folder


def stamp(results: Path) -> str:
    """The start of a new name in `results`: the time (UTC), to the second.

    Where the clock was set back behind the newest name there, a second after that one, so that names still sort in
    the order in which the runs were begun.
    """
    now = datetime.now(UTC).strftime(_STAMP)
    names = [path.name for path in results.iterdir()] if results.is_dir() else []
    newest = max((found[0] for name in names if (found := _STAMPED.match(name))), default=now)
    later = _time(newest)
    return now if newest <= now or later is None else (later + timedelta(seconds=1)).strftime(_STAMP)


def begun(run_id: str) -> tuple[datetime, str | None]:
    """When the run of that name is said to have begun (UTC, to the second), and why that is not what the clock says.

    The clock as it stands, unless it was set back behind the time in the name.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    found = _STAMPED.match(run_id)
    named = None if found is None else _time(found[0])
    if named is None or named <= now:
        return now, None
    return named, (
        f"the clock of this machine was set back: it showed {now:%Y-%m-%d %H:%M:%S} UTC. The run is dated after the "
        "one before it, so that their order holds"
    )


def _time(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


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
