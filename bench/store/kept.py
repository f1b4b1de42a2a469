"""The rows and raw samples of a run, in the form that this install can write: tables, or a transit folder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.optional import judges
from bench.record.observation import Int64s, Observation
from bench.record.row import Row
from bench.store import journal, transit
from bench.store.manifest import Manifest, write_manifest

CASES, LATENCIES, TELEMETRY = "cases.parquet", "latencies.parquet", "telemetry.parquet"


def keep(
    folder: Path,
    manifest: Manifest,
    rows: Sequence[Row],
    seen: Iterable[Observation],
    *,
    stay: Collection[str] = (),
    drop: bool = True,
) -> None:
    """Write what is known of the run, whole or interrupted. Raises `UserError` where the disk refuses.

    With tables a complete run needs its journal no more; without `drop` it stays until `finish`. Without tables the
    journal is what holds the raw samples. Where a stopped run was kept in the other form, that goes: it holds less.
    `stay` are ids of cases that the journal has no longer, whose samples the tables hold.
    """
    if judges():
        from bench.store import tables

        tables.write_samples(folder, seen, stay)
    keep_rows(folder, manifest, rows)
    if drop and manifest.status == "complete" and judges():
        journal.drop(folder)


def keep_rows(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> None:
    """As `keep`, where the samples are what they were. Raises `UserError` where the disk refuses."""
    if not judges():
        transit.keep_rows(folder, rows)
        for name in (CASES, LATENCIES, TELEMETRY):
            (folder / name).unlink(missing_ok=True)
        write_manifest(folder, manifest)
        transit.seal(folder, manifest)
        return
    from bench.store import tables

    tables.write_cases(folder, manifest.run_id, rows)
    transit.drop_rows(folder)
    write_manifest(folder, manifest)


def finish(folder: Path, manifest: Manifest) -> None:
    """Do what a kill just after a run was complete has left undone. Raises `UserError` where the disk refuses."""
    if (folder / CASES).exists():
        journal.drop(folder)
    elif transit.is_transit(folder) and not transit.is_sealed(folder):
        transit.seal(folder, manifest)


def has_rows(folder: Path) -> bool:
    """Whether the run has come so far that its rows were written."""
    return (folder / CASES).exists() or (folder / transit.ROWS).exists()


def read_rows(folder: Path) -> list[Row]:
    """The rows of a run in either form. Raises `UserError` where they are missing or damaged."""
    if not (folder / CASES).exists() and transit.is_transit(folder):
        return transit.read_rows(folder)
    from bench.store import tables

    return tables.read_cases(folder)


def latencies(folder: Path) -> Iterator[tuple[str, Int64s]]:
    """Every case that has samples, by id, with all its latencies (ns), of a run in either form.

    A run without raw samples (a copy that leaves them out) has none. Raises `UserError` where they cannot be read.
    """
    if (folder / LATENCIES).exists():
        from bench.store import samples

        yield from samples.latencies(folder)
        return
    found: dict[str, list[Int64s]] = {}
    for seen in journal.read(folder):
        if seen.samples is not None:
            found.setdefault(seen.case.id, []).append(seen.samples.latency_ns)
    for name, parts in found.items():
        yield name, np.concatenate(parts)
