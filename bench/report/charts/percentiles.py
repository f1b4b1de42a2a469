"""p50, p90 and p99 of every case with their intervals, the fastest on top, time on a log axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.record.metric import METRICS
from bench.report.charts import told
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.runner.gather import CaseSeen, Gathered

_NAME, _TITLE = "percentiles", "Latency: median and tail"
_FIGURES = ("p50_latency", "p90_latency", "p99_latency")
_SHAPES = ("circle", "diamond", "triangle-right")
_ROW = 24
_FURTHEST = 4.0
"""How far (a factor) beyond the outermost figure an interval is drawn; a longer one is cut there."""
_MANY = 60
"""Cases beyond which a reader chooses: a picture of hundreds of rows is not looked at."""


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One chart of all cases that have a latency, of chosen ones where there are very many."""
    names = told.labels(gathered)
    there = [(at, seen) for at, seen in enumerate(gathered.cases) if any(_value(seen.row.metrics, n) for n in _FIGURES)]
    if not there:
        return [Undrawn(_NAME, _TITLE, "no case has a latency")]
    there.sort(key=lambda item: (_group(item[1]), next(v for n in _FIGURES if (v := _value(item[1].row.metrics, n)))))
    values = [v for _, seen in there for n in _FIGURES if (v := _value(seen.row.metrics, n))]
    factor, unit = told.seconds(values)
    ends = min(values) / _FURTHEST, max(values) * _FURTHEST
    records: list[dict[str, Any]] = []
    cut = 0
    for at, seen in there:
        for metric in _FIGURES:
            found = seen.row.metrics.get(metric)
            if found is None or not found.value:
                continue
            known = found.low is not None and found.high is not None and found.low > 0
            low, high = (found.low or 0.0, found.high or 0.0) if known else (0.0, 0.0)
            cut += known and (low < ends[0] or high > ends[1])
            records.append(
                {
                    "case": at,
                    "label": names[at],
                    "name": told.name(seen),
                    "figure": METRICS[metric].title,
                    "latency": found.value / factor,
                    "low": max(low, ends[0]) / factor if known else None,
                    "high": min(high, ends[1]) / factor if known else None,
                    "value": told.figure(found.value, factor, unit),
                    "interval": told.interval(found, factor, unit),
                    "n": found.n,
                    "how": told.how(found),
                }
            )
    several = len({_group(seen) for _, seen in there}) > 1
    first = "those of one run, scenario and batch together, of them the least" if several else "the one with the least"
    about = (
        f"A row a case, {first} median on top; time across, logarithmic. Dots are p50, p90 and p99, "
        "thick bars their intervals; the thin line joins them: the longer it is, the slower are the slow calls."
    )
    absent = told.absent(gathered, len(gathered.cases) - len(there), "latency and are not drawn")
    too_wide = f"intervals cut at the axis' end: {cut}" if cut else ""
    spec = _spec(unit, "; ".join(filter(None, (absent, too_wide))))
    scope = "all" if len(there) <= _MANY else "chosen"
    return [Drawing(_NAME, _TITLE, about, spec, {_NAME: told.columns(records)}, scope=scope)]  # type: ignore[arg-type]


def _group(seen: CaseSeen) -> tuple[int, str, int]:
    """Run, scenario and batch: only of one such group one case is faster than another."""
    return seen.run, seen.row.case.scenario, seen.row.case.batch


def _value(metrics: dict[str, Any], name: str) -> float | None:
    """A latency that a log axis can show."""
    value: float | None = metrics[name].value if name in metrics else None
    return value or None


def _spec(unit: str, absent: str) -> dict[str, Any]:
    import altair as alt

    titles = [METRICS[name].title for name in _FIGURES]
    down = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(grid=False))
    across = {"x": alt.X("latency:Q", **told.log_axis(f"latency, {unit}")), "y": down}
    legend = alt.Legend(orient="top", title=None, direction="horizontal")
    colour = alt.Color("figure:N", sort=None, scale=alt.Scale(domain=titles), legend=legend)
    base = alt.Chart(alt.NamedData(_NAME))
    layers = [
        base.mark_rule(strokeWidth=1, opacity=0.6).encode(
            y=down, x=alt.X("min(latency):Q", **told.log_axis(f"latency, {unit}")), x2="max(latency):Q"
        ),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=7, opacity=0.35, strokeCap="round")
        .encode(
            y=down,
            x=alt.X("low:Q", **told.log_axis(f"latency, {unit}")),
            x2="high:Q",
            color=colour,
            tooltip=told.tooltips(),
        ),
        base.mark_point(filled=True, size=64, opacity=1).encode(
            **across,
            color=colour,
            shape=alt.Shape("figure:N", sort=None, scale=alt.Scale(domain=titles, range=list(_SHAPES)), legend=legend),
            tooltip=told.tooltips(),
        ),
    ]
    chart = alt.layer(*layers).properties(width=told.WIDTH, height=alt.Step(_ROW))
    return told.spec(chart, absent)


KIND = Kind(_NAME, _TITLE, draw)
