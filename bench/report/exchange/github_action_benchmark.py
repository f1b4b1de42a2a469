"""The custom JSON of github-action-benchmark: an array a direction, under the name of its `tool`.

The action reads one array a step, so a step takes `customSmallerIsBetter` and another `customBiggerIsBetter`.
Entries are followed by name and compared as numbers: units never change from run to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.analyse.kinds import better_by
from bench.record.row import Row
from bench.report.exchange.figures import Told, told
from bench.store.manifest import Manifest

_TOOLS = {"lower": "customSmallerIsBetter", "higher": "customBiggerIsBetter"}
_NO_UNIT = {"1": "ratio"}


def document(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """The rows' figures as entries of name, unit, value, range and extra."""
    del folder
    found: dict[str, list[dict[str, Any]]] = {tool: [] for tool in _TOOLS.values()}
    judged = {model.name: model.metric for model in manifest.models}
    for row in rows:
        for figure in told(row):
            better = better_by(figure.metric.name, judged.get(row.case.model)) or figure.metric.better
            found[_TOOLS[better]].append(_entry(manifest.run_id, row, figure))
    return found


def _entry(run: str, row: Row, figure: Told) -> dict[str, Any]:
    measurement = figure.measurement
    extra = [f"run: {run}", f"n: {measurement.n}", f"how: {measurement.how}", f"data: {row.dataset}"]
    entry: dict[str, Any] = {
        "name": f"{row.case.name}: {figure.metric.name}",
        "unit": _NO_UNIT.get(figure.unit, figure.unit),
        "value": figure.value,
    }
    if figure.low is not None:
        entry["range"] = f"{figure.low:g} to {figure.high:g}"
        extra.append(f"range: interval at {measurement.confidence:g}")
    return entry | {"extra": "\n".join(extra)}
