"""A kept run, read back."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError
from bench.runner.conduct import RunResult
from bench.store import kept
from bench.store.manifest import read_manifest


def reopen(folder: Path) -> RunResult:
    """The run in `folder`. Raises `UserError` where it cannot be read."""
    manifest = read_manifest(folder)
    if not kept.has_rows(folder):
        raise UserError(
            "the run has no tables yet: it is going on, or was killed",
            where=str(folder),
            remedy=f"`bench run --resume {manifest.run_id}` goes on and writes them",
        )
    return RunResult(folder=str(folder), manifest=manifest, rows=tuple(kept.read_rows(folder)))
