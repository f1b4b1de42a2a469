"""What the machine felt while a case ran: power, memory, clocks and temperature beside the phases of its process."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from bench.analyse.timeline import GROUPS, Series, Stretch, Timeline
from bench.report.changes import plain
from bench.report.charts import told
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.report.charts.theme import GOOD, MUTED, SMALL
from bench.report.units import scale_for
from bench.runner.gather import Gathered

_NAME, _TITLE = "timeline", "Timeline: what the machine felt while the case ran"
_HEIGHT = 92
_LETTER, _SLIM = 6.4, 240
"""Pixels of a letter of a phase's name, and of a panel on a narrow screen; names without room the pointer tells."""
_LINE, _LINES = 92, 2
"""Letters of a line of the heading, and lines of a reason."""
_ESTIMATE, _COUNTER = " (estimate)", "energy counter"
_FEW = 40
"""Readings of a series up to which each is seen as a dot."""
_WORDS = {
    "power_instant": "power",
    "rss": "resident set",
    "process_memory": "device memory, own",
    "memory_used": "device memory, all",
    "cpu_frequency": "CPU clock",
    "sm_clock": "SM clock",
}


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One chart; a reader picks the case among those that have readings."""
    names = told.labels(gathered)
    there = [(at, seen.timeline) for at, seen in enumerate(gathered.cases) if seen.timeline and seen.timeline.series]
    if not there:
        return [Undrawn(_NAME, _TITLE, _why(gathered))]
    marks = [mark for at, found in there for mark in _marks(at, found)]
    cases = [
        {"case": at, "label": _heading(names[at], found), "name": told.name(gathered.cases[at])} for at, found in there
    ]
    about = (
        "Panels over one time axis, which begins when the process of the case does: power, memory, clocks and "
        "temperature, as far as a sensor gave readings; the heading says why others are missing. Shaded bands are "
        "the phases of the process."
    )
    data = {_NAME: told.columns(marks), told.CASES: told.columns(cases)}
    return [Drawing(_NAME, _TITLE, about, _spec(_panels(marks), cases), data, scope="one")]


def _why(gathered: Gathered) -> str:
    there = [seen.timeline for seen in gathered.cases if seen.timeline is not None]
    if not there:
        return "no run keeps readings of a sensor"
    return "; ".join(dict.fromkeys(f"{group}: {reason}" for each in there for group, reason in each.missing.items()))


def _marks(at: int, found: Timeline) -> list[dict[str, Any]]:
    """Readings, which have a value; bands, which have an end, once a panel as every panel shades them; and words."""
    end = max([stretch.end_s for stretch in found.phases] + [one.t_s[-1] for one in found.series])
    made = []
    groups = [group for group in GROUPS if any(one.group == group for one in found.series)]
    for place, group in enumerate(groups):
        mine = [one for one in found.series if one.group == group]
        factor, unit = _scale(mine)
        panel = {
            "case": at,
            "panel": f"{group}, {unit}",
            "t": 0.0,
            "value": None,
            "until": None,
            "what": "",
            "room": None,
        }
        for one in mine:
            what = _series(one)
            made += [
                {**panel, "t": t, "value": value / factor, "what": what}
                for t, value in zip(one.t_s, one.values, strict=True)
            ]
        made += [{**panel, "t": p.start_s, "until": p.end_s, "what": p.name} for p in found.phases]
        if place == 0:
            made += [{**panel, "t": t, "what": word, "room": room} for t, word, room in _words(found.phases, end)]
    return made


def _panels(marks: Sequence[Mapping[str, Any]]) -> list[str]:
    """All panels from top to bottom; cases differ in their units."""
    return sorted({mark["panel"] for mark in marks}, key=lambda panel: (GROUPS.index(panel.partition(",")[0]), panel))


def _heading(label: str, found: Timeline) -> str:
    """The case, and what the likeliest sensor of every group without readings said; the whole is in the page."""
    reasons: dict[str, list[str]] = {}
    for group, reason in found.missing.items():
        reasons.setdefault(plain(reason).partition("; ")[0], []).append(group)
    told = [line for reason, groups in reasons.items() for line in _wrapped(f"no {' or '.join(groups)}: {reason}")]
    return "\n".join([label, *told])


def _wrapped(reason: str) -> list[str]:
    return textwrap.wrap(reason, _LINE, max_lines=_LINES, placeholder=" …")


def _scale(series: Sequence[Series]) -> tuple[float, str]:
    """One unit a panel, that of the highest reading."""
    unit = series[0].unit
    top = max(value for one in series for value in one.values)
    return (1e9, "GHz") if unit == "Hz" else scale_for(unit, [top])


def _series(one: Series) -> str:
    device = "" if one.device in ("tree", "machine", "") else f" {one.device}"
    name = _COUNTER if one.quantity == "energy" else _WORDS.get(one.quantity, one.quantity.replace("_", " "))
    return plain(f"{one.sensor}{device} {name}{_ESTIMATE if one.estimated else ''}")


def _words(phases: Sequence[Stretch], end: float) -> list[tuple[float, str, float]]:
    """Where a name is written, and its share of the width: of every phase that has room, and one for a row of others.

    Shares are told so that a narrower picture can leave out more.
    """

    def room(run: Sequence[Stretch]) -> float:
        return (run[-1].end_s - run[0].start_s) / end if end else 0.0

    def word(run: Sequence[Stretch]) -> str:
        return run[0].name if len(run) == 1 else f"{run[0].name} … {run[-1].name}"

    def fits(run: Sequence[Stretch]) -> bool:
        return room(run) * told.WIDTH >= _LETTER * len(word(run))

    runs: list[list[Stretch]] = []
    for stretch in phases:
        if runs and not fits([stretch]) and not any(fits([each]) for each in runs[-1]):
            runs[-1].append(stretch)
        else:
            runs.append([stretch])
    return [(run[0].start_s, word(run), room(run)) for run in runs if fits(run)]


def _spec(panels: Sequence[str], cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart()
    time = alt.X(
        "t:Q",
        title="seconds since the process began",
        scale=alt.Scale(nice=False, zero=False),
        axis=alt.Axis(grid=False, format="~g", tickCount=8),
    )
    case = alt.Tooltip("name:N", title="case")
    measured = alt.when("datum.what === 'measure'")
    bands = (
        base.transform_filter("datum.until !== null")
        .transform_calculate(took="datum.until - datum.t")
        .mark_rect(stroke=MUTED, strokeWidth=1, strokeOpacity=0.25)
        .encode(
            x=time,
            x2="until:Q",
            # The figures are of the measured phase: it stands out.
            fill=measured.then(alt.value(GOOD)).otherwise(alt.value(MUTED)),
            fillOpacity=measured.then(alt.value(0.14)).otherwise(alt.value(0.1)),
            tooltip=[
                case,
                alt.Tooltip("what:N", title="phase"),
                alt.Tooltip("took:Q", title="took, s", format=",.3~r"),
            ],
        )
    )
    words = (
        base.transform_filter("datum.room !== null")
        .mark_text(align="left", baseline="bottom", dx=2, dy=-3, fontSize=SMALL)
        .encode(x=time, y=alt.value(0), text="what:N")
    )
    readings = (
        base.transform_filter("datum.value !== null")
        .transform_calculate(
            told="format(datum.value, ',.3~r') + ' ' + split(datum.panel, ', ')[1]",
            how=f"(indexof(datum.what, '{_ESTIMATE}') < 0 ? 'measured' : 'estimated')"
            f" + (indexof(datum.what, '{_COUNTER}') < 0 ? '' : ', mean since the reading before')",
        )
        .transform_joinaggregate(readings="count()", groupby=["panel", "what"])
        .encode(
            x=time,
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=True, nice=4), axis=alt.Axis(tickCount=4)),
            color=alt.Color("what:N", sort=None, title=None, legend=alt.Legend(orient="bottom", columns=3)),
            tooltip=[
                case,
                alt.Tooltip("what:N", title="reading"),
                alt.Tooltip("told:N", title="value"),
                alt.Tooltip("t:Q", title="at, s", format=".3f"),
                alt.Tooltip("how:N", title="how"),
            ],
        )
    )
    header = alt.Header(
        title=None,
        labelAnchor="start",
        labelExpr="split(datum.label, '\\n')",
        labelFontWeight="normal",
        labelLimit=0,
    )
    side = alt.Header(title=None, labelAngle=-90, labelFontWeight="normal")
    chart = (
        alt.layer(
            bands,
            readings.transform_filter(f"indexof(datum.what, '{_COUNTER}') < 0").mark_line(strokeWidth=1.6),
            # A mean since the reading before holds all the time since.
            readings.transform_filter(f"indexof(datum.what, '{_COUNTER}') >= 0").mark_line(
                strokeWidth=1.6, interpolate="step-before"
            ),
            readings.transform_filter(f"datum.readings <= {_FEW}").mark_circle(size=30, opacity=1),
            # Unseen, but wide enough for a pointer.
            readings.mark_circle(size=90, opacity=0),
            words,
            data=alt.NamedData(_NAME),
        )
        .properties(width=told.WIDTH, height=_HEIGHT, view=alt.ViewBackground(stroke=None))
        .facet(
            row=alt.Row("panel:N", sort=list(panels), header=side),
            column=alt.Column("label:N", header=header),
            spacing=14,
        )
        .resolve_scale(y="independent")
    )
    made = told.spec(told.with_case(chart, cases))
    return {**made, "usermeta": {"narrow": _narrow(made["spec"]["layer"])}}


def _narrow(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """On a narrow screen only the names that have room there, and the reasons only below the chart."""
    words = next(at for at, layer in enumerate(layers) if layer["mark"]["type"] == "text")
    return {
        f"/spec/layer/{words}/transform/0/filter": f"datum.room * {_SLIM} >= {_LETTER} * length(datum.what)",
        "/facet/column/header/labelExpr": "split(datum.label, '\\n')[0]",
    }


KIND = Kind(_NAME, _TITLE, draw)
