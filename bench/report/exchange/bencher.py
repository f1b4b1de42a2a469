"""Bencher Metric Format: `{case: {measure: {value, lower_value, upper_value}}}`.

Measures are slugs. Those that Bencher has itself are used where they mean the same: `latency` (ns), `throughput`
(operations a second) and `file-size` (bytes); the others are named as here, with dashes, times in ns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.record.row import Row
from bench.report.exchange.figures import Told, told
from bench.store.manifest import Manifest

_OWN = {"p50_latency": "latency", "size": "file-size"}


def document(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> dict[str, Any]:
    """The rows as an object of benchmarks; a case without figures is left out."""
    del folder, manifest
    cases = {row.case.name: {_slug(figure): _metric(figure) for figure in told(row)} for row in rows}
    return {name: measures for name, measures in cases.items() if measures}


def _slug(figure: Told) -> str:
    return _OWN.get(figure.metric.name, figure.metric.name.replace("_", "-"))


def _metric(figure: Told) -> dict[str, float]:
    bounds = {"lower_value": figure.low, "upper_value": figure.high}
    return {"value": figure.value} | {name: bound for name, bound in bounds.items() if bound is not None}
