"""Some cases of a kept run, measured once more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.machine.environment import read_environment
from bench.runner import conduct
from bench.runner.events import Events
from bench.runner.plan import plan_again
from bench.store.manifest import read_manifest
from bench.store.snapshot import Snapshot, read_run

FOLDER = "again"
"""Within a run: what was measured once more. There it is no run of its own, which `latest` would mean."""


def measure_again(folder: Path, cases: Sequence[str], events: Events) -> Snapshot:
    """The figures of those `cases` (names) of the run in `folder`, measured anew and kept within it.

    Raises:
        UserError: this is not the machine of that run, or its models or data are not what they were.
    """
    manifest = read_manifest(folder)
    conduct.same_machine(manifest.environment, read_environment(), folder)
    planned = plan_again(manifest)
    wanted = tuple(case for case in planned.cases if case.name in set(cases))
    result = conduct.start(msgspec.structs.replace(planned, cases=wanted), folder / FOLDER, events)
    if result.manifest.status == "interrupted":
        raise KeyboardInterrupt
    return read_run(Path(result.folder))
