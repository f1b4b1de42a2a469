"""Run folders: made, and found by id, prefix, path or `latest`."""

from __future__ import annotations

import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import UserError, unknown
from bench.store import journal
from bench.store.atomic import storage_error
from bench.store.manifest import NAME


def create(results: Path, suite: str) -> Path:
    """A new, empty run folder; its name starts with the time, so that names sort by it. Raises `UserError`."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = results / f"{stamp}-{suite}-{secrets.token_hex(2)}"
    try:
        (folder / journal.FOLDER).mkdir(parents=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    return folder


def remove(folder: Path) -> None:
    """Take away a run folder that holds no result yet."""
    shutil.rmtree(folder, ignore_errors=True)


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
