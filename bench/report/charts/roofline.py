"""The chart of a roofline: roofs of the machine by precision and threads, and each case under them, on log scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.record.roofline import Roofline
from bench.report.changes import shortened
from bench.report.charts.draw import check_svg, svg
from bench.report.roofline import GIGA, precisions, used
from bench.report.units import digits, text
from bench.store.atomic import write_bytes

_WIDTH, _HEIGHT = 640, 400
_FONT, _LINE, _BOX, _KEY = 10, 13.0, 14.0, 320
"""Size of a label, and in pixels: height of a line, width of a number, width of the list of names."""
_ABOVE = 2.0
_BESIDE = 4.0
"""How far (a factor) the roofs go beyond the points and the ridges."""


def write(path: Path, found: Roofline) -> None:
    """The chart as SVG, whole. Raises `UserError` as `check_svg`, where there is nothing to draw, and for the disk."""
    check_svg(path)
    if not _points(found):
        raise UserError("no case has a place on the chart", where="--svg", remedy="see why without --svg")
    write_bytes(path, svg(chart(found)))


def chart(found: Roofline) -> Any:
    """An Altair chart: operations a byte across, operations a second up; of `found` with one point at least."""
    import altair as alt

    points, roofs = _points(found), _roofs(found)
    marks = (*points, *roofs)
    across, up = _span([m["intensity"] for m in marks], 1.0), _span([m["rate"] for m in marks], _ABOVE)
    names = sorted({mark["precision"] for mark in marks})

    def axes() -> dict[str, Any]:
        return {
            "x": alt.X(
                "intensity:Q",
                title="operations a byte moved (at most)",
                scale=alt.Scale(type="log", nice=False, domain=across),
            ),
            "y": alt.Y("rate:Q", title="Gop/s", scale=alt.Scale(type="log", nice=False, domain=up)),
        }

    colour = alt.Color("precision:N", title="held against", scale=alt.Scale(domain=names))
    told = [alt.Tooltip(f"{name}:N") for name in ("case", "measured", "limit", "share", "bound")]
    layers = [
        alt.Chart(alt.Data(values=roofs))
        .mark_line()
        .encode(
            **axes(),
            color=colour,
            strokeDash=alt.StrokeDash("threads:N", title="threads"),
            detail="roof:N",
            order="intensity:Q",
        ),
        alt.Chart(alt.Data(values=points))
        .mark_circle(size=60, opacity=1, stroke="white")
        .encode(**axes(), color=colour, tooltip=told),
    ]
    layers.append(
        alt.Chart(alt.Data(values=_numbers(points, across, up)))
        .mark_text(fontSize=_FONT)
        .encode(**axes(), text="number:N")
    )
    roof = alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)
    key = (
        alt.Chart(alt.Data(values=points))
        .mark_text(align="left", fontSize=_FONT)
        .encode(
            x=alt.value(0),
            y=alt.Y("number:O", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False)),
            text="label:N",
        )
        .properties(width=_KEY, height=alt.Step(_LINE), view=alt.ViewConfig(stroke=None))
    )
    return alt.hconcat(roof, key, title=f"roofline of {found.peaks.name}")


def _span(values: Sequence[float], beyond: float) -> list[float]:
    """A range on a log scale that holds the values, with a factor `beyond` on either side, never empty."""
    low, high = min(values) / beyond, max(values) * beyond
    return [low, high] if low < high else [low / 2, high * 2]


def _numbers(points: Sequence[dict[str, Any]], across: Sequence[float], up: Sequence[float]) -> list[dict[str, Any]]:
    """Where the number of each point stands: beside it, towards the middle, and beyond what stands there already."""

    def at(value: float, ends: Sequence[float], pixels: float) -> float:
        return pixels * math.log(value / ends[0]) / math.log(ends[1] / ends[0])

    places: list[dict[str, Any]] = []
    taken: list[tuple[float, float]] = []
    for point in points:
        x, y = at(point["intensity"], across, _WIDTH), at(point["rate"], up, _HEIGHT)
        step = _BOX if x < _WIDTH / 2 else -_BOX
        x += step
        while any(abs(x - other) < _BOX and abs(y - height) < _LINE for other, height in taken):
            x += step
        taken.append((x, y))
        intensity = across[0] * (across[1] / across[0]) ** (x / _WIDTH)
        places.append({"intensity": intensity, "rate": point["rate"], "number": point["number"]})
    return places


def _points(found: Roofline) -> list[dict[str, Any]]:
    """A record a case that has a place: its operations, bytes and time are known and not 0."""
    _, names = shortened([point.case for point in found.points])
    records: list[dict[str, Any]] = []
    for point, name in zip(found.points, names, strict=True):
        if not point.intensity.value or not point.rate.value:
            continue
        limit, measured, share = point.limits.limit.value, point.measured.value, point.share.value
        records.append(
            {
                "intensity": point.intensity.value,
                "rate": point.rate.value / GIGA,
                "precision": max(point.limits.taken, key=lambda one: point.limits.taken[one], default="not known"),
                "number": str(len(records) + 1),
                "label": name if share is None else f"{name} {share:.0%}",
                "case": point.case,
                "measured": text(measured, "s") if measured is not None else "–",
                "limit": text(limit, "s") if limit is not None else "–",
                "share": f"{share:.1%}" if share is not None else "–",
                "bound": point.bound,
            }
        )
    return records


def _roofs(found: Roofline) -> list[dict[str, Any]]:
    """The slope of the bandwidth up to the ridge and the flat of the peak, for each precision and count of threads."""
    roofs = []
    for peaks in used(found):
        bandwidth = peaks.bandwidth.value
        for name in precisions(found, peaks.threads):
            peak = peaks.compute[name].value if name in peaks.compute else None
            if peak and bandwidth:
                roofs.append((name, peaks.threads, peak, bandwidth))
    marks = [p["intensity"] for p in _points(found)] + [peak / bandwidth for _, _, peak, bandwidth in roofs]
    low, high = min(marks) / _BESIDE, max(marks) * _BESIDE
    return [
        {
            "intensity": x,
            "rate": min(peak, x * bandwidth) / GIGA,
            "precision": name,
            "threads": str(threads),
            "roof": f"{name} with {threads}: {digits(peak / GIGA)} Gop/s",
        }
        for name, threads, peak, bandwidth in roofs
        for x in (low, peak / bandwidth, high)
    ]
