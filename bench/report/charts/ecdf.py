"""The share of calls that were answered within a time: a line a case, time on a log axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.charts import told
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.runner.gather import Gathered

_NAME, _TITLE = "ecdf", "Latency: share of calls answered within a time"
_HEIGHT = 340
_PLACES = 7
_SHARES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One chart of all cases that have raw samples."""
    there = [(at, seen) for at, seen in enumerate(gathered.cases) if seen.distribution is not None]
    if not there:
        return [Undrawn(_NAME, _TITLE, "no run keeps raw latencies of a case")]
    factor, unit = told.seconds([seen.distribution.quantile(0.5) for _, seen in there if seen.distribution])
    cases = told.cases(there, told.labels(gathered), factor, unit)
    points = [
        {"case": at, "latency": value / factor, "share": round(share, _PLACES)}
        for at, seen in there
        if seen.distribution is not None
        for share, value in zip(seen.distribution.at, seen.distribution.quantiles, strict=True)
    ]
    # Where only some quantiles are kept, steps between them would be drawn that no call made.
    few = all(len(seen.distribution.at) == seen.distribution.n for _, seen in there if seen.distribution)
    about = (
        "Each line is a case: how many of its calls (up) were answered within a time (across, logarithmic). "
        "Further left is faster; a long flat end at the top is a tail of slow calls."
    )
    data = {_NAME: told.columns(points), told.CASES: told.columns(cases)}
    return [Drawing(_NAME, _TITLE, about, _spec(unit, cases, few=few), data, scope="chosen")]


def _spec(unit: str, cases: Sequence[Mapping[str, Any]], *, few: bool) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart().encode(
        x=alt.X("latency:Q", **told.log_axis(f"latency, {unit}")),
        y=alt.Y(
            "share:Q",
            title="share of calls",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format=".0%", values=list(_SHARES)),
        ),
        color=alt.Color("label:N", title=None, sort=None),
        tooltip=[
            alt.Tooltip("name:N", title="case"),
            alt.Tooltip("share:Q", title="share of calls", format=".2~%"),
            alt.Tooltip("latency:Q", title=f"answered within, {unit}", format=",.4~r"),
            *told.tooltips()[1:],
        ],
    )
    lines = base.mark_line(interpolate="step-after" if few else "linear", strokeWidth=2, strokeJoin="round")
    # Wide and unseen: what a pointer can hit.
    handles = base.mark_circle(size=90, opacity=0)
    chart = alt.layer(lines, handles, data=alt.NamedData(_NAME)).properties(width=told.WIDTH, height=_HEIGHT)
    return told.spec(told.with_case(chart, cases))


KIND = Kind(_NAME, _TITLE, draw)
