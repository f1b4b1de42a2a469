"""A run in the formats of other tools. One file a format; absent figures are left out, never zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.record.row import Row
from bench.report.exchange import bencher, github_action_benchmark, pytest_benchmark
from bench.store.manifest import Manifest

FORMATS: dict[str, Callable[[Path, Manifest, Sequence[Row]], Any]] = {
    "pytest-benchmark": pytest_benchmark.document,
    "github-action-benchmark": github_action_benchmark.document,
    "bencher": bencher.document,
}
"""By name: from a run's folder, manifest and rows to a document for JSON."""
