"""Charts drawn: as whole Vega-Lite specifications, PNG and SVG, and as files in the run's folder."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.record.row import Row
from bench.report.charts import robustness
from bench.report.charts.drawing import Columns, Drawing
from bench.report.charts.stacked import stacked
from bench.report.charts.theme import config
from bench.report.robustness import curves
from bench.store.atomic import write_bytes
from bench.store.manifest import Manifest

SUFFIXES = (".png", ".svg", ".json")
"""Endings of the files that a chart is written as; JSON is the specification itself."""
CHOSEN = 8
"""How many cases are drawn where not all are and nobody chose."""

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
        drawn = image(stacked([robustness.drawing(model) for model in models], title.capitalize()), ".svg")
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


def whole(drawing: Drawing, chosen: Sequence[int] | None = None, *, dark: bool = False) -> dict[str, Any]:
    """A Vega-Lite specification with its data, title and theme: nothing else is needed to draw it.

    Only cases that are `chosen` (places in `Gathered.cases`) are in it where the drawing is of chosen cases, and the
    first of them where it is of one. Without `chosen` they are the first that the drawing has.

    Raises:
        UserError: none of those `chosen` is drawn.
    """
    # `usermeta` is for the page, whose reader may pick other axes.
    kept = _kept(drawing, chosen)
    return {
        **{key: value for key, value in drawing.spec.items() if key != "usermeta"},
        "$schema": drawing.spec.get("$schema", "https://vega.github.io/schema/vega-lite/v6.json"),
        "title": _title(drawing),
        "datasets": {name: _records(columns, kept) for name, columns in drawing.data.items()},
        "config": config(dark),
    }


def image(
    drawing: Drawing, suffix: str, chosen: Sequence[int] | None = None, *, scale: float = 2.0, dark: bool = False
) -> bytes:
    """The chart as the content of a file with this ending: one of `SUFFIXES`.

    By vl-convert, without a browser and without a network. `scale` is pixels a unit of the chart, of PNG only.

    Raises:
        UserError: no chart can be written with such an ending, or a library is missing.
    """
    check_suffix(Path(f"chart{suffix}"), "-o")
    spec = whole(drawing, chosen, dark=dark)
    if suffix.lower() == ".json":
        return json.dumps(spec, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    check_libraries("-o")
    import vl_convert

    if suffix.lower() == ".svg":
        return bytes(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]).encode())
    return bytes(vl_convert.vegalite_to_png(spec, scale=scale, allowed_base_urls=[]))


def check_suffix(path: Path, option: str) -> None:
    """Raises `UserError` where no chart can be written as a file with this ending."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"a chart cannot be written as {path.suffix or 'a file without an ending'}",
            where=f"{option} {path}",
            remedy=f"end its name in one of: {', '.join(SUFFIXES)}",
        )


def seen_in(drawing: Drawing, chosen: Sequence[int] | None = None) -> str | None:
    """That not all cases are drawn, and how to see others; None where nothing is left out that was asked for."""
    there, kept = set(_there(drawing)), _kept(drawing, chosen)
    wanted = there if chosen is None else there & set(chosen)
    if kept is None or len(kept) >= len(wanted):
        return None
    drawn = "one case is" if len(kept) == 1 else f"{len(kept)} cases are"
    return f"{drawn} drawn of {len(wanted)}: choose with --only"


def _kept(drawing: Drawing, chosen: Sequence[int] | None) -> set[int] | None:
    """Places of the cases to draw; None for all. Raises `UserError` where none that is drawn was chosen."""
    if drawing.scope == "all" and chosen is None:
        return None
    there = _there(drawing)
    if chosen is not None and not there:
        raise UserError("cases cannot be chosen in this chart", where=drawing.title, remedy="draw all of them")
    wanted = [case for case in there if chosen is None or case in chosen]
    if not wanted and there:
        raise UserError(
            f"there is nothing to draw of {'these cases' if chosen and len(chosen) > 1 else 'this case'}",
            where=drawing.title,
            remedy="choose another one",
        )
    most = 1 if drawing.scope == "one" else CHOSEN if chosen is None else len(wanted)
    return set(wanted[:most])


def _there(drawing: Drawing) -> list[int]:
    """Places of the cases that the data are of, in their order."""
    cases = (case for columns in drawing.data.values() for case in columns.get("case", ()))
    return list(dict.fromkeys(int(case) for case in cases if case is not None))


def _records(columns: Columns, kept: set[int] | None) -> list[dict[str, Any]]:
    """A record a row; those that are of no case (a roof, a line of text) stay."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [row for row in rows if kept is None or row.get("case") is None or row["case"] in kept]


def _title(drawing: Drawing) -> Mapping[str, Any]:
    """The title of the drawing over a subtitle that its specification may bring."""
    own = drawing.spec.get("title")
    brought = own if isinstance(own, Mapping) else {}
    return {"anchor": "start", "frame": "group", **brought, "text": drawing.title}
