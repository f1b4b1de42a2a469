"""What the session measured, as one run folder where `--bench-out` asks for it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.record.row import Row
    from bench.runner.conduct import Step
    from bench.store.manifest import Manifest, ModelEntry


class Kept:
    """Steps by case id, each with the manifest of the suite it belongs to; `folder` once they are written."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[Manifest, Step]] = {}
        self.notes: list[str] = []
        self.folder: Path | None = None
        self.failure: str | None = None


_KEPT = pytest.StashKey[Kept]()


def of(config: pytest.Config) -> Kept:
    """What this session has kept so far."""
    return config.stash.setdefault(_KEPT, Kept())


def add(config: pytest.Config, manifest: Manifest, step: Step) -> None:
    """Keep a measured case. One that was measured before stays as it was: a run has a case once."""
    kept, case = of(config), step.row.case
    if case.id in kept.steps:
        kept.notes.append(f"{case.name} was measured more than once: the first is kept")
    else:
        kept.steps[case.id] = manifest, step


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the folder; what the disk refuses is told in the summary and fails the session."""
    from bench.errors import UserError

    out: Path | None = session.config.getoption("bench_out")
    kept = of(session.config)
    if out is None or not kept.steps:
        return
    try:
        kept.folder = write(kept, out)
    except UserError as error:
        kept.failure = str(error)
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Where the folder is."""
    kept = of(config)
    if kept.failure is not None:
        terminalreporter.write_line(f"bench: nothing was kept: {kept.failure}", red=True)
    elif kept.folder is not None:
        terminalreporter.write_line(f"bench: {len(kept.steps)} cases kept in {kept.folder}")


def write(kept: Kept, results: Path) -> Path:
    """A complete run of everything kept, in a new folder of `results`. Raises `UserError`."""
    import msgspec

    from bench.report.files import write_summaries
    from bench.store import journal, runs, tables
    from bench.store.manifest import write_manifest

    manifests = list({id(manifest): manifest for manifest, _ in kept.steps.values()}.values())
    steps = [step for _, step in kept.steps.values()]
    rows = [step.row for step in steps]
    whole = _merged(manifests, rows, kept.notes)
    folder = runs.create(results, whole.suite["name"])
    try:
        whole = msgspec.structs.replace(whole, run_id=folder.name)
        tables.write_cases(folder, whole.run_id, rows)
        tables.write_samples(folder, [seen for step in steps for seen in step.seen])
        write_manifest(folder, whole)
        write_summaries(folder, whole, rows)
    except BaseException:
        runs.remove(folder)
        raise
    journal.drop(folder)
    return folder


def _merged(manifests: list[Manifest], rows: list[Row], notes: Iterable[str]) -> Manifest:
    """The manifest of all rows. Where suites differ in how they measure, a note says so."""
    import msgspec

    first, *others = manifests
    told = [*dict.fromkeys([*(note for manifest in manifests for note in manifest.notes), *notes])]
    if any(other.plan != first.plan for other in others):
        told.append(f"suites with different [measure] tables; the plan on record is that of {first.suite['name']}")
    models: dict[str, ModelEntry] = {}
    for entry in (entry for manifest in manifests for entry in manifest.models):
        if models.setdefault(entry.name, entry).content != entry.content:
            told.append(f"more than one model is called {entry.name}: {models[entry.name].given}, {entry.given}")
    return msgspec.structs.replace(
        first,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(sys.argv),
        status="complete",
        suite=_joined([manifest.suite for manifest in manifests]),
        cases=tuple(row.case for row in rows),
        models=tuple(models.values()),
        notes=tuple(told),
    )


def _joined(suites: list[dict[str, Any]]) -> dict[str, Any]:
    """One suite with the matrices and tables of all."""
    first, *others = suites
    if not others:
        return first
    joined = first | {"name": "pytest", "about": f"from {', '.join(dict.fromkeys(each['name'] for each in suites))}"}
    joined["matrix"] = [matrix for each in suites for matrix in each["matrix"]]
    for table in ("variants", "inputs", "axes"):
        joined[table] = {name: value for each in suites for name, value in each[table].items()}
    return joined
