"""The chart of two figures of every choice, with their intervals and the line of the front."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.record.front import Front, Placed
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.report.charts.draw import check_svg, svg
from bench.report.choices import Names, figure, title
from bench.report.pareto import WORDS
from bench.report.units import scale_for
from bench.store.atomic import write_bytes

_WIDTH, _HEIGHT = 560, 380
_HEIGHTS = (-7, 9, -20, 22)
_COLOURS = {"on": "#1e8449", "undecided": "#d68910", "off": "#7f8c8d"}
_TIMES = ("s", "J")
"""Units whose scale is logarithmic: what lies on it spans factors."""


def write(path: Path, found: Sequence[Front], across: str, up: str) -> None:
    """The chart as an SVG file, whole. Raises `UserError`: an ending, a missing library, nothing to draw, the disk."""
    check_svg(path)
    drawable = [front for front in found if any(_has(each, across, up) for each in front.placed)]
    if not drawable:
        raise UserError("no choice has both figures to draw", where="--svg", remedy="see why without --svg")
    write_bytes(path, svg(chart(drawable, across, up)))


def axes(metrics: Sequence[str]) -> tuple[str, str]:
    """Two of the front's metrics to draw: a cost across, quality up where there is one.

    Raises:
        UserError: there is one only.
    """
    up = "accuracy" if "accuracy" in metrics else metrics[-1]
    across = next((metric for metric in metrics if metric != up), None)
    if across is None:
        raise UserError("a chart takes two figures", where=f"--svg with --metric {up}", remedy="give another --metric")
    return across, up


def chart(found: Sequence[Front], across: str, up: str) -> Any:
    """An Altair chart: a panel a model; points with rules both ways, coloured by where they stand."""
    import altair as alt

    return alt.vconcat(*(_panel(front, across, up) for front in found)).configure_view(stroke="#dddddd")


def _panel(front: Front, across: str, up: str) -> Any:
    import altair as alt

    names = Names(each.choice for each in front.placed)
    placed = [each for each in front.placed if _has(each, across, up)]
    points = [_point(each, names, across, up) for each in placed]
    x = alt.X("x:Q", title=_axis(front, across), scale=_scale(across, points, "x"))
    y = alt.Y("y:Q", title=_axis(front, up), scale=_scale(up, points, "y"))
    colour = alt.Color(
        "standing:N",
        title="front",
        scale=alt.Scale(domain=[WORDS[s] for s in WORDS if s in _COLOURS], range=list(_COLOURS.values())),
    )
    data = alt.Data(values=points)
    layers = [
        alt.Chart(alt.Data(values=_steps(front, placed, across, up)))
        .mark_line(color="#1e8449", opacity=0.5, strokeDash=[4, 3])
        .encode(x=x, y=y, order="order:Q"),
        alt.Chart(data).mark_rule(opacity=0.6).encode(x=alt.X("x_low:Q"), x2="x_high:Q", y=y, color=colour),
        alt.Chart(data).mark_rule(opacity=0.6).encode(x=x, y=alt.Y("y_low:Q"), y2="y_high:Q", color=colour),
        alt.Chart(data)
        .mark_circle(size=55, opacity=1)
        .encode(x=x, y=y, color=colour, tooltip=[alt.Tooltip(f"{n}:N") for n in ("choice", across, up)]),
    ]
    # Neighbours' labels stand at different heights, or one would hide the other.
    ordered = sorted(points, key=lambda point: point["x"])
    for turn, height in enumerate(_HEIGHTS):
        told = alt.Data(values=ordered[turn :: len(_HEIGHTS)])
        text = alt.Chart(told).mark_text(align="left", dx=6, dy=height, fontSize=10)
        layers.append(text.encode(x=x, y=y, text="label:N"))
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title=names.about(front.model))


def _has(placed: Placed, *metrics: str) -> bool:
    found = [placed.figures.get(metric) for metric in metrics]
    return placed.standing in _COLOURS and all(each is not None and each.value is not None for each in found)


def _point(placed: Placed, names: Names, across: str, up: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "choice": placed.choice,
        "label": names(placed.choice) + (" (projected)" if placed.projected else ""),
        "standing": WORDS[placed.standing],
        across: figure(across, placed.figures[across]),
        up: figure(up, placed.figures[up]),
    }
    for axis, metric in (("x", across), ("y", up)):
        low, value, high = (bound / _factor(metric) for bound in _bounds(placed.figures[metric]))
        record |= {axis: value, f"{axis}_low": low, f"{axis}_high": high}
    return record


def _bounds(found: Measurement) -> tuple[float, float, float]:
    value = found.value or 0.0
    return (
        value if found.low is None else found.low,
        value,
        value if found.high is None else found.high,
    )


def _factor(metric: str) -> float:
    """One unit for all panels: µs, KiB."""
    return {"s": 1e-6, "B": 1024.0, "J": 1e-6}.get(METRICS[metric].unit, 1.0)


def _axis(front: Front, metric: str) -> str:
    _, unit = scale_for(METRICS[metric].unit, [_factor(metric)])
    return f"{title(metric, front.judged_by)} {unit}".strip()


def _scale(metric: str, points: Sequence[dict[str, Any]], axis: str) -> Any:
    """Logarithmic for times and energies; its span holds every interval, and is never empty."""
    import altair as alt

    low = min(point[f"{axis}_low"] for point in points)
    high = max(point[f"{axis}_high"] for point in points)
    if METRICS[metric].unit in _TIMES and low > 0:
        return alt.Scale(type="log", domain=[low / 1.1, high * 1.25], nice=False)
    room = 0.1 * (high - low) or 0.05 * abs(high) or 1.0
    return alt.Scale(domain=[low - room, high + room], zero=False, nice=False)


def _steps(front: Front, placed: Sequence[Placed], across: str, up: str) -> list[dict[str, float]]:
    """The stairs of the best values of these two figures, among what is not surely off."""
    signs = [1 if front.better[metric] == "lower" else -1 for metric in (across, up)]
    there = sorted(
        (signs[0] * _bounds(p.figures[across])[1] / _factor(across), signs[1] * _bounds(p.figures[up])[1] / _factor(up))
        for p in placed
        if p.standing != "off"
    )
    corners: list[tuple[float, float]] = []
    for x, y in there:
        if not corners or y < corners[-1][1]:
            if corners:
                corners.append((x, corners[-1][1]))
            corners.append((x, y))
    return [{"x": signs[0] * x, "y": signs[1] * y, "order": order} for order, (x, y) in enumerate(corners)]
