"""The chart of robustness: how a metric falls as inputs get worse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.quality.metric import CONFIDENCE
from bench.record.observation import Cell
from bench.report.changes import plain
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.report.charts.theme import ABOVE
from bench.report.charts.told import columns, percent
from bench.report.robustness import Curves, Line, curves

if TYPE_CHECKING:
    from bench.runner.gather import Gathered

_NAME, _TITLE, _DATA = "robustness", "Robustness by corruption", "curves"
_WIDTH, _HEIGHT, _BESIDE = 190, 140, 3
_APART, _WIDEST = 0.08, 0.4
"""Severities between the bars of neighbouring lines, and of all of them: they would hide each other."""


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One drawing a run and model that was measured under corruption."""
    made = [
        drawing(model, run.manifest.run_id if len(gathered.runs) > 1 else "")
        for run in gathered.runs
        for model in curves(run.manifest, run.rows)
    ]
    return made or [Undrawn(_NAME, _TITLE, "nothing was measured under corruption")]


def drawing(model: Curves, run: str = "") -> Drawing:
    """A facet a corruption, severity across (0: clean), a line a variant with the interval of what is left."""
    head = f"{plain(model.title)}: {model.metric} under corruption"
    names = {line.label: plain(line.label) for line in model.lines}
    data = columns([record for at, line in enumerate(model.lines) for record in _records(line, at, len(model.lines))])
    lost = "; ".join(f"{names[line.label]}: {_worst(line)}" for line in model.lines)
    about = (
        f"{model.metric} as inputs get worse, a picture a corruption; bars are {percent(CONFIDENCE)} intervals of what "
        f"is left of the clean value. Least left: {lost}."
    )
    spec = _spec(model.metric, list(names.values()), list(dict.fromkeys(data["corruption"])))
    return Drawing(_NAME, f"{head} · {run}" if run else head, about, spec, {_DATA: data})


def _spec(metric: str, lines: Sequence[str], corruptions: Sequence[str]) -> dict[str, Any]:
    # One and the same scale joins both legends into one.
    told = {"field": "line", "type": "nominal", "title": "variant", "legend": ABOVE, "scale": {"domain": list(lines)}}
    x = {
        "field": "at",
        "type": "quantitative",
        "title": "severity (0: clean)",
        "scale": {"nice": False, "padding": 10},
        "axis": {"tickMinStep": 1, "format": "d", "grid": False},
    }
    y = {"type": "quantitative", "title": metric, "scale": {"zero": False}}
    words = ("line", "corruption", "severity", "told", "left", "runtimes")
    layers = [
        {
            "transform": [{"filter": {"field": "low", "valid": True}}],
            "mark": {"type": "rule", "opacity": 0.45},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": told},
        },
        {
            "mark": {"type": "line", "opacity": 0.85, "strokeWidth": 1.75},
            "encoding": {"x": x, "y": {**y, "field": "value"}, "color": told},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 40, "opacity": 1},
            "encoding": {
                "x": x,
                "y": {**y, "field": "value"},
                "color": told,
                "shape": told,
                "tooltip": [
                    {"field": name, "type": "nominal", "title": {"told": metric, "line": "variant"}.get(name, name)}
                    for name in words
                ],
            },
        },
    ]
    return {
        "data": {"name": _DATA},
        "facet": {"field": "corruption", "type": "nominal", "title": None, "sort": list(corruptions)},
        "columns": _BESIDE,
        "spec": {"width": _WIDTH, "height": _HEIGHT, "layer": layers},
        "usermeta": {"narrow": {"/columns": 2}},
    }


def _records(line: Line, at: int, of: int) -> list[dict[str, Any]]:
    """A record a point; the clean value begins every curve, and has no interval of its own."""
    apart = (at - (of - 1) / 2) * min(_APART, _WIDEST / of)
    common = {
        "line": plain(line.label),
        "runtimes": plain(", ".join(line.targets)),
    }
    found = []
    for name, cells in line.found.curves.items():
        there = {**common, "corruption": plain(name.replace("_", " "))}
        clean = line.found.clean
        found.append(
            {
                **there,
                "severity": 0,
                "at": apart,
                "value": clean,
                "told": f"{clean:.4f}",
                "left": "all",
                "low": None,
                "high": None,
            }
        )
        for cell in cells:
            low, high = _bounds(cell, clean)
            left = f"{cell.ratio:.3f} [{cell.low:.3f}, {cell.high:.3f}] of clean"
            found.append(
                {
                    **there,
                    "severity": cell.severity,
                    "at": cell.severity + apart,
                    "value": cell.value,
                    "told": f"{cell.value:.4f}",
                    "left": left,
                    "low": low,
                    "high": high,
                }
            )
    return found


def _bounds(cell: Cell, clean: float) -> tuple[float | None, float | None]:
    """The interval of the share that is left, at this clean value; of an error, of which it is the inverse, too."""
    if math.isclose(cell.value, cell.ratio * clean, rel_tol=1e-6, abs_tol=1e-12):
        return cell.low * clean, cell.high * clean
    if cell.low > 0 and math.isclose(cell.value * cell.ratio, clean, rel_tol=1e-6, abs_tol=1e-12):
        return clean / cell.high, clean / cell.low
    return None, None


def _worst(line: Line) -> str:
    worst = min(line.found.cells, key=lambda cell: cell.ratio)
    return f"{worst.ratio:.0%} under {plain(worst.corruption.replace('_', ' '))} at severity {worst.severity}".replace(
        "%", " %"
    )


KIND = Kind(_NAME, _TITLE, draw)
