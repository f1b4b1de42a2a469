"""The chart of a figure over many runs: a panel a case, with its levels, change points and changes of machine."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.analyse.history import CaseHistory, History
from bench.errors import UserError
from bench.record.metric import METRICS
from bench.report.charts.draw import check_libraries, svg
from bench.report.history import over, way
from bench.report.units import scale_for
from bench.store.atomic import write_bytes

FORMATS = ("svg", "png", "html")

_WIDTH, _HEIGHT, _BESIDE = 420, 130, 2
_COLOURS = {"worse": "#c0392b", "better": "#1e8449", "changed": "#7d3c98"}


def check(path: Path) -> None:
    """Raises `UserError` where no chart can be written to `path`: its ending, or a library that is not installed."""
    if path.suffix.removeprefix(".").lower() not in FORMATS:
        raise UserError(
            f"a chart cannot be written as {path.suffix or 'a file without an ending'}",
            where=f"--plot {path}",
            remedy=f"end its name in one of: {', '.join(f'.{name}' for name in FORMATS)}",
        )
    check_libraries("--plot")


def write(path: Path, found: History) -> None:
    """The chart as the file that the ending of `path` names, whole. Raises `UserError` as `check`, and for the disk."""
    check(path)
    if not any(case.values for case in found.cases):
        raise UserError(
            f"no case has a figure {found.metric!r} to draw", where="--plot", remedy="see why without --plot"
        )
    drawn = chart(found)
    kind = path.suffix.removeprefix(".").lower()
    if kind == "svg":
        content = svg(drawn)
    elif kind == "png":
        picture = io.BytesIO()
        drawn.save(picture, format="png", scale_factor=2)
        content = picture.getvalue()
    else:
        page = io.StringIO()
        # Inline: the page needs no network.
        drawn.save(page, format="html", inline=True)
        content = page.getvalue().encode()
    write_bytes(path, content)


def chart(found: History) -> Any:
    """An Altair chart: runs across, oldest first; the figure with its interval, its levels, and what changed where."""
    import altair as alt

    factor, unit = scale_for(found.unit, [value for case in found.cases for value in case.values])
    title = f"{METRICS[found.metric].title} {unit}".strip()
    panels = [_panel(case, factor, title, len(found.runs)) for case in found.cases if case.values]
    return (
        alt.concat(*panels, columns=_BESIDE, title=f"{found.metric} over {over(found)}")
        .resolve_scale(color="shared")
        .configure_view(stroke="#dddddd")
    )


def _panel(case: CaseHistory, factor: float, title: str, runs: int) -> Any:
    import altair as alt

    def data(records: Sequence[dict[str, Any]]) -> Any:
        return alt.Data(values=list(records))

    across = alt.X(
        "at:Q",
        title="run, oldest first",
        scale=alt.Scale(domain=[0.5, runs + 0.5], nice=False),
        axis=alt.Axis(tickMinStep=1, format="d"),
    )
    points = _points(case, factor)
    # Intervals may be wider than what happened: the scale is that of the values.
    span = _span([p["value"] for p in points])
    up = alt.Y("value:Q", title=title, scale=alt.Scale(domain=span, nice=False, zero=False))
    told = [alt.Tooltip(f"{name}:N") for name in ("run", "created", "figure")]
    measured = alt.Chart(data(points)).encode(x=across, y=up)
    layers = [
        alt.Chart(data(_breaks(case)))
        .mark_rule(strokeDash=[4, 3], color="#888888")
        .encode(x=across, tooltip=[alt.Tooltip("run:N"), alt.Tooltip("told:N", title="changed")]),
        alt.Chart(data([p for p in points if "low" in p]))
        .mark_rule(opacity=0.35, clip=True)
        .encode(x=across, y=alt.Y("low:Q", title=title), y2="high:Q"),
        measured.mark_line(opacity=0.4, color="#4c78a8"),
        measured.mark_circle(size=28, color="#4c78a8", opacity=1).encode(tooltip=told),
        alt.Chart(data(_levels(case, factor, runs)))
        .mark_rule(strokeWidth=2, color="#222222")
        .encode(x=across, x2="until:Q", y=up),
        alt.Chart(data(_turns(case)))
        .mark_rule(strokeWidth=1.5)
        .encode(
            x=across,
            color=alt.Color(
                "way:N",
                title="change point",
                scale=alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values())),
            ),
            tooltip=[alt.Tooltip(f"{name}:N") for name in ("run", "ratio", "cause")],
        ),
        alt.Chart(data(_turns(case)))
        .mark_text(align="left", dx=4, baseline="top", fontSize=10)
        .encode(x=across, y=alt.value(2), text="ratio:N", color=alt.Color("way:N", title="change point")),
    ]
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title=case.case)


def _points(case: CaseHistory, factor: float) -> list[dict[str, Any]]:
    found = []
    for at, point in enumerate(case.points, start=1):
        if point.value is None:
            continue
        record: dict[str, Any] = {
            "at": at,
            "value": point.value / factor,
            "run": point.run,
            "created": point.created,
            "figure": f"{point.value / factor:.4g}",
        }
        if point.low is not None and point.high is not None:
            record |= {"low": point.low / factor, "high": point.high / factor}
        found.append(record)
    return found


def _span(values: Sequence[float]) -> list[float]:
    """The values' range with some room, never empty."""
    low, high = min(values), max(values)
    room = 0.15 * (high - low) or 0.05 * abs(high) or 1.0
    return [low - room, high + room]


def _levels(case: CaseHistory, factor: float, runs: int) -> list[dict[str, float]]:
    """A line a level between change points, at its median; none where nothing changed."""
    if not case.turns:
        return []
    edges = [0.5, *(turn.at + 0.5 for turn in case.turns), runs + 0.5]
    heights = [case.turns[0].before, *(turn.after for turn in case.turns)]
    return [
        {"at": start, "until": stop, "value": height / factor}
        for (start, stop), height in zip(pairwise(edges), heights, strict=True)
    ]


def _turns(case: CaseHistory) -> list[dict[str, Any]]:
    return [
        {
            "at": turn.at + 0.5,
            "run": turn.run,
            "way": way(turn),
            "ratio": f"{turn.ratio:.3f}×" if turn.ratio is not None else f"{turn.after - turn.before:+.3g}",
            "cause": "; ".join(turn.causes) or "nothing that the runs record",
        }
        for turn in case.turns
    ]


def _breaks(case: CaseHistory) -> list[dict[str, Any]]:
    return [{"at": b.at + 0.5, "run": b.run, "told": ", ".join(b.keys)} for b in case.breaks]
