"""The shape of each case's latencies: how many calls took how long, time on a log axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.analyse.distribution import Distribution
from bench.report.charts import told
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.report.charts.theme import LABEL_LIMIT, SMALL
from bench.runner.gather import CaseSeen, Gathered

_NAME, _TITLE = "violin", "Latency: where the calls lie"
_HEIGHT = 46
_SLIM = 300
"""Pixels of a label on a narrow screen, where it stands above its row."""
_ENDS = (0.25, 0.5, 0.75, 0.99)


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One chart of all cases that have raw samples."""
    there = [(at, seen) for at, seen in enumerate(gathered.cases) if _drawable(seen)]
    if not there:
        return [Undrawn(_NAME, _TITLE, "no run keeps raw latencies of a case")]
    factor, unit = told.seconds([seen.distribution.quantile(0.5) for _, seen in there if seen.distribution])
    known = told.cases(there, told.labels(gathered), factor, unit)
    cases = [
        {**record, **_box(seen.distribution, _median(seen), factor, unit)}
        for record, (_, seen) in zip(known, there, strict=True)
        if seen.distribution is not None
    ]
    outlines = [
        {"case": at, "latency": latency, "width": width}
        for at, seen in there
        if seen.distribution is not None
        for latency, width in _outline(seen.distribution, factor)
    ]
    about = (
        "A row a case; time across, logarithmic. The outline is wide where many calls lie, each as wide as its own "
        "highest place. The bar spans the middle half of the calls, the dot is the median, the stroke p99, and the "
        "thin line reaches from the fastest call to the slowest."
    )
    data = {_NAME: told.columns(outlines), told.CASES: told.columns(cases)}
    return [Drawing(_NAME, _TITLE, about, _spec(unit, cases), data, scope="chosen")]


def _median(seen: CaseSeen) -> float | None:
    found = seen.row.metrics.get("p50_latency")
    return None if found is None else found.value


def _drawable(seen: CaseSeen) -> bool:
    return seen.distribution is not None and seen.distribution.quantiles[0] > 0


def _outline(found: Distribution, factor: float) -> list[tuple[float | None, float | None]]:
    """Latencies and half widths; the first, of neither, is the place of the box."""
    highest = max(found.density, default=1.0)
    points = [(at / factor, round(width / highest, 4)) for at, width in zip(found.grid, found.density, strict=True)]
    return [(None, None), *points]


def _box(found: Distribution, median: float | None, factor: float, unit: str) -> dict[str, Any]:
    """Ends, quartiles and p99; the median is that of the table, of the samples only where the row has none."""
    low, middle, high, slow = (found.quantile(share) for share in _ENDS)
    least, most = found.quantiles[0], found.quantiles[-1]
    return {
        "least": least / factor,
        "low": low / factor,
        "median": (middle if median is None else median) / factor,
        "high": high / factor,
        "p99": slow / factor,
        "most": most / factor,
        "middle": f"{told.figure(low, factor, unit)} to {told.figure(high, factor, unit)}",
        "slow": told.figure(slow, factor, unit),
        "ends": f"{told.figure(least, factor, unit)} to {told.figure(most, factor, unit)}",
    }


def _spec(unit: str, cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    import altair as alt

    across = told.log_axis(f"latency, {unit}")
    base = alt.Chart()
    box = base.transform_filter("datum.width === null")
    tooltip = [
        *told.tooltips()[:3],
        alt.Tooltip("middle:N", title="middle half"),
        alt.Tooltip("slow:N", title="p99"),
        alt.Tooltip("ends:N", title="fastest to slowest"),
        *told.tooltips()[3:],
    ]
    up = alt.Scale(domain=[-1.08, 1.08])
    colour = alt.Color("label:N", sort=None, legend=None)
    outline = (
        base.transform_filter("datum.width !== null")
        .transform_calculate(below="-datum.width")
        .mark_area(opacity=0.55, interpolate="monotone")
        .encode(
            x=alt.X("latency:Q", **across),
            y=alt.Y("below:Q", scale=up, axis=None),
            y2="width:Q",
            color=colour,
            tooltip=tooltip,
        )
    )
    layers = [
        box.mark_rule(strokeWidth=1, opacity=0.6).encode(x=alt.X("least:Q", **across), x2="most:Q", tooltip=tooltip),
        outline,
        box.mark_rule(strokeWidth=6, strokeCap="round", opacity=1).encode(
            x=alt.X("low:Q", **across), x2="high:Q", color=colour, tooltip=tooltip
        ),
        box.mark_tick(thickness=2, height=16, opacity=1).encode(
            x=alt.X("p99:Q", **across), color=colour, tooltip=tooltip
        ),
        box.mark_point(filled=True, size=48, opacity=1, color="white", strokeWidth=2).encode(
            x=alt.X("median:Q", **across), stroke=alt.Stroke("label:N", sort=None, legend=None), tooltip=tooltip
        ),
    ]
    header = alt.Header(
        title=None,
        labelFontWeight="normal",
        labelAngle=0,
        labelAlign="left",
        labelOrient="left",
        labelLimit=LABEL_LIMIT,
        labelFontSize=SMALL,
    )
    chart = (
        alt.layer(*layers, data=alt.NamedData(_NAME))
        .properties(width=told.WIDTH, height=_HEIGHT, view=alt.ViewBackground(stroke=None))
        .facet(row=alt.Row("label:N", sort=alt.EncodingSortField("case", op="min"), header=header), spacing=2)
    )
    above = {"labelOrient": "top", "labelAnchor": "start", "labelLimit": _SLIM, "labelPadding": 0}
    narrow = {f"/facet/row/header/{name}": value for name, value in above.items()}
    return {**told.spec(told.with_case(chart, cases)), "usermeta": {"narrow": narrow}}


KIND = Kind(_NAME, _TITLE, draw)
