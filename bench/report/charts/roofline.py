"""The chart of a roofline: roofs of the machine by precision and threads, and each case under them, on log scales."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.record.measurement import Measurement
from bench.record.roofline import Roofline
from bench.report.changes import plain, shortened
from bench.report.charts.draw import check_svg, image
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.report.charts.theme import ABOVE
from bench.report.charts.told import columns, figure, how, interval
from bench.report.roofline import GIGA, precisions, used
from bench.report.units import digits, scale_for, text
from bench.runner.gather import Gathered
from bench.store.atomic import write_bytes

_NAME, _TITLE = "roofline", "Roofline"
_WIDTH, _HEIGHT = 640, 400
_FONT, _LINE, _BOX = 11, 14.0, 16.0
"""Size of a letter, and in pixels: height of a line, width of a number."""
_NUMBERED, _BESIDES = 40, 2
"""Points that are numbered, of more those with the lowest share (tooltips tell of all), and columns of their list."""
_LETTERS = 100
"""In a line under the title."""
_ABOVE = 2.0
_BESIDE = 4.0
"""How far (a factor) the roofs go beyond the points and the ridges."""
_NO_PLACE = "no case has a place on the chart"


def write(path: Path, found: Roofline) -> None:
    """The chart as SVG, whole. Raises `UserError` as `check_svg`, where there is nothing to draw, and for the disk."""
    check_svg(path)
    made = drawing(found)
    if isinstance(made, Undrawn):
        raise UserError(_NO_PLACE, where="--svg", remedy="see why without --svg")
    write_bytes(path, image(made, ".svg"))


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One drawing a run whose peaks are known."""
    made: list[Drawing | Undrawn] = []
    for at, run in enumerate(gathered.runs):
        found = gathered.rooflines[at] if at < len(gathered.rooflines) else None
        named = f" · {run.manifest.run_id}" if len(gathered.runs) > 1 else ""
        if found is None:
            reason = gathered.missing.get(_NAME, "the peaks of its machine are not known")
            made.append(Undrawn(_NAME, _TITLE + named, reason))
        else:
            places = {seen.row.case.id: place for place, seen in enumerate(gathered.cases) if seen.run == at}
            made.append(drawing(found, named, places))
    return made


def drawing(found: Roofline, named: str = "", places: Mapping[str, int] = {}) -> Drawing | Undrawn:
    """Operations a byte across, operations a second up; roofs, numbered points under them, and the list of numbers.

    `places` are those of the cases in the report, by id.
    """
    head = f"Roofline of {plain(found.peaks.name)}{named}"
    points = _points(found, places)
    if not points:
        reasons = dict.fromkeys(r for p in found.points for r in (p.intensity.reason, p.rate.reason) if r)
        return Undrawn(_NAME, head, "; ".join((_NO_PLACE, *map(plain, reasons))))
    roofs = _roofs(found)
    marks = (*points, *roofs)
    across, up = _span([m["intensity"] for m in marks], 1.0), _span([m["rate"] for m in marks], _ABOVE)
    numbered = [point for point in points if point["number"]]
    data = {
        "roofs": columns(roofs),
        "points": columns(points),
        "numbers": columns(_numbers(numbered, across, up)),
    }
    data = {name: held for name, held in data.items() if held}
    spec = _spec(data, across, up, sorted({mark["precision"] for mark in marks}))
    notes = [plain(line) for line in found.warnings]
    if len(numbered) < len(points):
        notes.append(f"numbered: the {_NUMBERED} of {len(points)} cases that are furthest from their limit")
    if notes:
        spec["title"] = {"subtitle": [line for note in notes for line in textwrap.wrap(note, _LETTERS)]}
        spec["usermeta"]["narrow"]["/title"] = None
    return Drawing(_NAME, head, _about(found, points, notes), spec, data)


def _spec(
    data: Mapping[str, Any], across: Sequence[float], up: Sequence[float], precisions: Sequence[str]
) -> dict[str, Any]:
    def axis(field: str, title: str, ends: Sequence[float]) -> dict[str, Any]:
        scale = {"type": "log", "nice": False, "domain": list(ends)}
        look = {"format": ",.3~r", "tickCount": 7, "gridOpacity": 0.5}
        return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": look}

    x = axis("intensity", "operations a byte moved (at most)", across)
    y = axis("rate", "Gop/s", up)
    # A colour for each, and a shape, on one and the same scale.
    told = {"field": "precision", "type": "nominal", "title": "held against", "scale": {"domain": list(precisions)}}
    colour = {**told, "legend": ABOVE}
    several = len(set(data["roofs"]["threads"])) > 1 if "roofs" in data else False
    dash = {"field": "threads", "type": "nominal", "title": "threads", "legend": ABOVE if several else None}
    words = ("name", "measured", "limit", "share", "bound")
    layers: list[dict[str, Any]] = [
        {
            "data": {"name": "points"},
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour,
                "shape": colour,
                "tooltip": [{"field": w, "type": "nominal", "title": "case" if w == "name" else w} for w in words],
            },
        },
        {
            "data": {"name": "numbers"},
            "mark": {"type": "text", "fontSize": _FONT, "dx": {"expr": "datum.shift"}},
            "encoding": {"x": x, "y": y, "text": {"field": "number", "type": "nominal"}},
        },
    ]
    if "roofs" in data:
        lines = {
            "data": {"name": "roofs"},
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour,
                "strokeDash": dash,
                "detail": {"field": "roof", "type": "nominal"},
                "order": {"field": "intensity", "type": "quantitative"},
                "tooltip": [{"field": "roof", "type": "nominal", "title": "roof"}],
            },
        }
        layers.insert(0, lines)
    key = {
        "data": {"name": "numbers"},
        "width": _WIDTH,
        "height": {"step": _LINE},
        "view": {"stroke": None},
        "mark": {"type": "text", "align": "left", "fontSize": _FONT, "limit": _WIDTH / _BESIDES - 10},
        "encoding": {
            "x": {"field": "column", "type": "quantitative", "scale": None, "axis": None},
            "y": {"field": "line", "type": "ordinal", "axis": None},
            "text": {"field": "listed", "type": "nominal"},
        },
    }
    roof = {"width": _WIDTH, "height": _HEIGHT, "layer": layers}
    # On a narrow screen the list has one column, and what its heading says stands in words already.
    narrow = {
        "/vconcat/1/encoding/x": {"value": 0},
        "/vconcat/1/encoding/y/field": "place",
        "/vconcat/1/mark/limit": _WIDTH / _BESIDES - 20,
    }
    return {"vconcat": [roof, key], "spacing": 16, "usermeta": {"narrow": narrow}}


def _about(found: Roofline, points: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> str:
    """In words: what is drawn, what bounds the cases, and what has no place."""
    bounds = Counter(point["bound"] for point in points)
    told = ", ".join(f"{count:,} by {bound}" for bound, count in bounds.most_common())
    left = len(found.points) - len(points)
    absent = f" {left:,} cases have no place, as operations, bytes or time are not known." if left else ""
    return (
        "Lines are the most the machine can do at an intensity, points the cases below them; both axes are "
        f"logarithmic. Bound: {told}.{absent}" + "".join(f" {note}." for note in notes)
    )


def _span(values: Sequence[float], beyond: float) -> list[float]:
    """A range on a log scale that holds the values, with a factor `beyond` on either side, never empty."""
    low, high = min(values) / beyond, max(values) * beyond
    return [low, high] if low < high else [low / 2, high * 2]


def _numbers(points: Sequence[dict[str, Any]], across: Sequence[float], up: Sequence[float]) -> list[dict[str, Any]]:
    """Where the number of each point stands, and its line in the list.

    It is beside the point, towards the middle, and beyond what stands there already.
    """

    def at(value: float, ends: Sequence[float], pixels: float) -> float:
        return pixels * math.log(value / ends[0]) / math.log(ends[1] / ends[0])

    places: list[dict[str, Any]] = []
    taken: list[tuple[float, float]] = []
    lines = math.ceil(len(points) / _BESIDES)
    for place, point in enumerate(points):
        x, y = at(point["intensity"], across, _WIDTH), at(point["rate"], up, _HEIGHT)
        step = _BOX if x < _WIDTH / 2 else -_BOX
        x += step
        while any(abs(x - other) < _BOX and abs(y - height) < _LINE for other, height in taken):
            x += step
        taken.append((x, y))
        places.append(
            {
                "case": point["case"],
                "intensity": point["intensity"],
                "shift": x - at(point["intensity"], across, _WIDTH),
                "rate": point["rate"],
                "number": point["number"],
                "listed": f"{point['number']}  {point['label']}",
                "column": place // lines * _WIDTH / _BESIDES,
                "line": place % lines,
                "place": place,
            }
        )
    return places


def _points(found: Roofline, places: Mapping[str, int] = {}) -> list[dict[str, Any]]:
    """A record a case that has a place: its operations, bytes and time are known and not 0."""
    _, names = shortened([point.case for point in found.points])
    there = [
        (point, name)
        for point, name in zip(found.points, names, strict=True)
        if point.intensity.value and point.rate.value
    ]
    shares = sorted(math.inf if point.share.value is None else point.share.value for point, _ in there)
    most = shares[min(_NUMBERED, len(shares)) - 1] if shares else 0.0
    records: list[dict[str, Any]] = []
    number = 0
    for point, name in there:
        limit, share = point.limits.limit.value, point.share.value
        listed = number < _NUMBERED and (math.inf if share is None else share) <= most
        number += listed
        records.append(
            {
                "case": places.get(point.id),
                "intensity": point.intensity.value,
                "rate": point.rate.value / GIGA if point.rate.value else None,
                "precision": max(point.limits.taken, key=lambda one: point.limits.taken[one], default="not known"),
                "number": number if listed else None,
                "label": name if share is None else f"{name} {share:.0%}",
                "name": plain(point.case),
                "measured": _told(point.measured),
                "limit": text(limit, "s") if limit is not None else "–",
                "share": f"{share:.1%}" if share is not None else "–",
                "bound": point.bound,
            }
        )
    return records


def _told(found: Measurement) -> str:
    """A time with its interval, its number of samples and its source; only cases with a time have a place."""
    assert found.value is not None
    factor, unit = scale_for("s", [found.value])
    return f"{figure(found.value, factor, unit)} ({interval(found, factor, unit)}; n {found.n:,}; {how(found)})"


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


KIND = Kind(_NAME, _TITLE, draw)
