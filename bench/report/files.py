"""The summaries that lie in the run's folder beside the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.record.row import Row
from bench.report.charts.draw import draw
from bench.report.csv import csv
from bench.report.markdown import markdown
from bench.store.atomic import write_bytes
from bench.store.manifest import Manifest


def write_summaries(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> None:
    """`summary.csv`, `summary.md` and the chart that it shows. Raises `UserError` where the disk refuses."""
    picture = draw(folder, manifest, rows)
    write_bytes(folder / "summary.csv", csv(manifest.run_id, rows).encode())
    write_bytes(folder / "summary.md", markdown(manifest, rows, picture).encode())
