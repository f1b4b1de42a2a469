"""The kept run of docs/examples as it would be on other machines: written by the store's own functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.record.measurement import Measurement
from bench.record.row import Row
from bench.store import tables
from bench.store.manifest import read_manifest, write_manifest

KEPT = Path(__file__).parents[2] / "docs/examples/digits-run"
BOARD: dict[str, Any] = {
    "cpu_model": "Cortex-A76",
    "architecture": "aarch64",
    "cpu_features": ("asimd",),
    "cores_usable": (0, 1, 2, 3),
    "cores_logical": 4,
    "virtualisation": None,
}
"""A small machine, in what differs from that of the kept run."""


def keep(
    results: Path,
    name: str,
    factor: float = 1.0,
    *,
    change: Callable[[Row], Row | None] = lambda row: row,
    environment: dict[str, Any] | None = None,
    **manifest: Any,
) -> Path:
    """A copy of the kept run on a machine that takes `factor` times as long; `change` may alter or drop a row."""
    folder = results / name
    folder.mkdir(parents=True)
    kept = read_manifest(KEPT)
    here = msgspec.structs.replace(kept.environment, **(environment or {}))
    write_manifest(folder, msgspec.structs.replace(kept, run_id=name, environment=here, **manifest))
    rows = [change(slower(row, factor)) for row in tables.read_cases(KEPT)]
    tables.write_cases(folder, name, [row for row in rows if row is not None])
    return folder


def slower(row: Row, factor: float) -> Row:
    """The row with all its times `factor` times as long, and its rates as much lower."""
    by = {"s": factor, "1/s": 1 / factor}
    return with_figures(row, {name: scaled(f, by.get(f.unit, 1.0)) for name, f in row.metrics.items()})


def scaled(figure: Measurement, factor: float) -> Measurement:
    """The figure and its interval times `factor`."""
    ends = {name: getattr(figure, name) for name in ("value", "low", "high")}
    return msgspec.structs.replace(
        figure, **{name: None if end is None else end * factor for name, end in ends.items()}
    )


def with_figures(row: Row, figures: dict[str, Measurement]) -> Row:
    """The row with other figures in place of its own."""
    return msgspec.structs.replace(row, metrics={**row.metrics, **figures})


def with_artifact(row: Row, sha256: str) -> Row:
    """The row as that of another file."""
    assert row.artifact is not None
    return msgspec.structs.replace(row, artifact=msgspec.structs.replace(row.artifact, sha256=sha256))
