"""What the session's gates hold their figures against."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UserError
from bench.store.open import open_snapshot
from bench.store.snapshot import Snapshot, empty

RESULTS = "results"
_OPENED = pytest.StashKey[Snapshot]()


def baseline(config: pytest.Config) -> Snapshot:
    """The snapshot that `--bench-baseline` or the configuration names, opened once; an empty one where there is none.

    The configuration may name one that is still to be saved. Raises `UserError` where that of the command line
    cannot be opened.
    """
    if _OPENED not in config.stash:
        config.stash[_OPENED] = _open(config)
    return config.stash[_OPENED]


def _open(config: pytest.Config) -> Snapshot:
    folder: Path | None = config.getoption("bench_results")
    results = config.rootpath / RESULTS if folder is None else config.invocation_params.dir / folder
    given: str | None = config.getoption("bench_baseline")
    if given:
        return open_snapshot(given, results)
    configured: str = config.getini("bench_baseline")
    if not configured:
        return empty("none, since --bench-baseline names none")
    beside = config.rootpath / configured
    try:
        return open_snapshot(str(beside) if beside.exists() else configured, results)
    except UserError as error:
        return empty(f"none, {' '.join(str(error).split())}")
