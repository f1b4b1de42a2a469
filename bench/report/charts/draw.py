"""Charts as SVG files in the run's folder."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.record.row import Row
from bench.report.charts import robustness
from bench.report.robustness import curves
from bench.store.atomic import write_bytes
from bench.store.manifest import Manifest

_LIBRARIES = {"altair": "altair", "vl_convert": "vl-convert-python"}


@dataclass(frozen=True)
class Picture:
    """A chart: `name` is its file beside the summary; `missing` says why it was not drawn."""

    title: str
    name: str
    missing: str | None = None


def draw(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> Picture | None:
    """`robustness.svg`; None where nothing was measured under corruption. Raises `UserError` where the disk refuses."""
    models = curves(manifest, rows)
    if not models:
        return None
    title, name = "robustness by corruption", "robustness.svg"
    absent = _absent()
    if absent:
        return Picture(title, name, f"{' and '.join(absent)} not installed (pip install {' '.join(absent)})")
    try:
        drawn = svg(robustness.chart(models))
    except Exception as error:  # whatever a drawing library raises, the tables are worth more than the picture
        return Picture(title, name, f"{type(error).__name__}: {error}")
    write_bytes(folder / name, drawn)
    return Picture(title, name)


def check_svg(path: Path) -> None:
    """Raises `UserError` where `--svg` cannot be answered with `path`: its ending, or a library that is missing."""
    if path.suffix.lower() != ".svg":
        raise UserError("the chart is written as SVG", where=f"--svg {path}", remedy="end the name of the file in .svg")
    check_libraries("--svg")


def check_libraries(where: str) -> None:
    """Raises `UserError` where no chart can be drawn here; `where` is the option that asked for one."""
    absent = _absent()
    if absent:
        raise UserError(
            f"charts need {' and '.join(absent)}, not installed here",
            where=where,
            remedy=f"pip install {' '.join(absent)}",
        )


def _absent() -> list[str]:
    """Packages to install before anything can be drawn."""
    return [package for module, package in _LIBRARIES.items() if importlib.util.find_spec(module) is None]


def svg(chart: Any) -> bytes:
    """An Altair chart as SVG, by vl-convert: without a browser and without a network."""
    drawn = io.StringIO()
    chart.save(drawn, format="svg")
    return drawn.getvalue().encode()
