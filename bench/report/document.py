"""What the commands print with --json: a run, a comparison, a gate's report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.record.codec import plain
from bench.record.comparison import GateReport
from bench.record.row import Row
from bench.store.manifest import Manifest

if TYPE_CHECKING:
    from bench.analyse.compare import Comparison


def document(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> dict[str, Any]:
    """The manifest, and under `cases` every row with its name and id."""
    told: dict[str, Any] = plain(manifest)
    told["folder"] = str(folder)
    told["cases"] = [{"name": row.case.name, "id": row.case.id, **plain(row)} for row in rows]
    return told


def comparison_document(found: Comparison) -> dict[str, Any]:
    """The changes, and in what the two runs differ."""
    return {
        "before": found.before,
        "after": found.after,
        "changes": plain(found.changes),
        "refusing": plain(found.refusing),
        "allowed": plain(found.allowed),
        "notes": list(found.notes),
    }


def gate_document(report: GateReport) -> dict[str, Any]:
    """The verdicts with the outcome of all of them and the exit code."""
    told: dict[str, Any] = plain(report)
    return {"outcome": report.outcome, "exit_code": report.exit_code} | told
