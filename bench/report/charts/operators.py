"""Where the time of one inference goes by type of operator, with fp32's beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bench.analyse.faster import BASELINE
from bench.analyse.operators import TypeTime, by_type
from bench.record.profile import Profile
from bench.report.changes import plain
from bench.report.charts import told
from bench.report.charts.drawing import Drawing, Kind, Undrawn
from bench.report.units import text
from bench.runner.gather import CaseSeen, Gathered

_NAME, _TITLE = "operators", "Operators: where the time of one inference goes"
_MOST = 12
"""Types that have a bar of their own; the others are added up."""
_REST = "all others"
_STEP = 34


def draw(gathered: Gathered) -> Sequence[Drawing | Undrawn]:
    """One chart; a reader picks the case among those of which a profile was kept."""
    names = told.labels(gathered)
    there = [(at, seen) for at, seen in enumerate(gathered.cases) if seen.operators and seen.operators.operators]
    if not there:
        reasons = {seen.operators.reason for seen in gathered.cases if seen.operators and seen.operators.reason}
        why = "; ".join(sorted(filter(None, reasons)))
        return [Undrawn(_NAME, _TITLE, why or "no profile of a case was kept; `bench explain` makes one")]
    # The case that has fp32 beside it shows most: it comes first, for who does not choose.
    found = [(at, seen, _beside(gathered, seen)) for at, seen in there]
    found.sort(key=lambda item: item[2] is None)
    records = [record for at, seen, beside in found for record in _records(at, names[at], seen, beside)]
    about = (
        "A bar a type of operator: its share of the time of all operators in one inference, as the runtime's own "
        "profiler tells. Below it is fp32's, where its profile was kept too; a share says nothing of the whole time, "
        "which is in the heading."
    )
    return [Drawing(_NAME, _TITLE, about, _spec(), {_NAME: told.columns(records)}, scope="one")]


def _beside(gathered: Gathered, seen: CaseSeen) -> Profile | None:
    """The profile of the same case in fp32, of the same run."""
    if seen.row.case.variant == BASELINE:
        return None
    wanted = msgspec.structs.replace(seen.row.case, variant=BASELINE)
    kept = next((c.operators for c in gathered.cases if c.run == seen.run and c.row.case == wanted), None)
    return kept if kept is not None and kept.operators else None


def _records(at: int, label: str, seen: CaseSeen, beside: Profile | None) -> list[dict[str, Any]]:
    profile = seen.operators
    assert profile is not None
    variant = plain(seen.row.case.variant)
    sides = [(variant, False, profile)] + ([(BASELINE, True, beside)] if beside is not None else [])
    heading = f"{label}: {text(profile.total_ns * 1e-9, 's')} in operators"
    if beside is not None:
        heading += f", {BASELINE} {text(beside.total_ns * 1e-9, 's')}"
    records = []
    for place, each in enumerate(_few(by_type(profile, beside))):
        for of, other, side in sides:
            share, ns, count, kinds = _side(each, other)
            records.append(
                {
                    "case": at,
                    "label": heading,
                    "name": told.name(seen),
                    "type": plain(each.type),
                    "place": place,
                    "of": of,
                    "side": "fp32 beside it" if other else "this case",
                    "share": share,
                    "value": f"{share:.1%}" if count else "none",
                    "time": text(ns * 1e-9, "s") if count else "–",
                    "count": count,
                    "precisions": ", ".join(kinds) or "not told",
                    "interval": "none: a mean of the profiler",
                    "n": side.runs,
                    "how": plain(f"profiled: {side.evidence}"),
                }
            )
    return records


def _side(each: TypeTime, other: bool) -> tuple[float, float, int, tuple[str, ...]]:
    if other:
        return each.reference_share, each.reference_ns, each.reference_count, each.reference_precisions
    return each.share, each.ns, each.count, each.precisions


def _few(types: Sequence[TypeTime]) -> list[TypeTime]:
    """The types that take most, on either side, in their order, and the sum of the others."""
    largest = sorted(types, key=lambda each: -max(each.share, each.reference_share))
    if len(largest) <= _MOST:
        return list(types)
    own = {each.type for each in largest[: _MOST - 1]}
    rest = [each for each in types if each.type not in own]
    together = TypeTime(
        type=f"{_REST} ({len(rest)} types)",
        count=sum(each.count for each in rest),
        ns=sum(each.ns for each in rest),
        share=sum(each.share for each in rest),
        reference_count=sum(each.reference_count for each in rest),
        reference_ns=sum(each.reference_ns for each in rest),
        reference_share=sum(each.reference_share for each in rest),
    )
    return [*(each for each in types if each.type in own), together]


def _spec() -> dict[str, Any]:
    import altair as alt

    by_side = ["this case", "fp32 beside it"]
    base = alt.Chart().encode(
        x=alt.X(
            "share:Q",
            title="share of the time of all operators",
            axis=alt.Axis(format=".0%", tickCount=6),
            scale=alt.Scale(zero=True),
        ),
        y=alt.Y("type:N", title=None, sort=alt.EncodingSortField("place", op="min")),
        yOffset=alt.YOffset("side:N", sort=by_side),
        tooltip=[
            alt.Tooltip("name:N", title="case"),
            alt.Tooltip("of:N", title="variant"),
            alt.Tooltip("type:N", title="operator"),
            alt.Tooltip("value:N", title="share of time"),
            alt.Tooltip("time:N", title="time in one inference"),
            alt.Tooltip("interval:N", title="interval"),
            alt.Tooltip("count:Q", title="operators"),
            alt.Tooltip("precisions:N", title="computes in"),
            alt.Tooltip("n:Q", title="inferences", format=","),
            alt.Tooltip("how:N", title="how"),
        ],
    )
    bars = base.mark_bar(cornerRadiusEnd=2).encode(
        color=alt.Color("side:N", sort=by_side, legend=alt.Legend(orient="top", title=None))
    )
    numbers = base.mark_text(align="left", dx=4).encode(text="value:N")
    header = alt.Header(
        title=None, labelAnchor="start", labelLimit=told.WIDTH, labelFontWeight="normal", labelPadding=8
    )
    chart = (
        alt.layer(bars, numbers, data=alt.NamedData(_NAME))
        .properties(
            width=told.WIDTH, height=alt.Step(_STEP, **{"for": "position"}), view=alt.ViewBackground(stroke=None)
        )
        .facet(column=alt.Column("label:N", header=header))
    )
    narrow = {"/facet/column/header/labelExpr": "split(datum.label, ': ')"}
    return {**told.spec(chart), "usermeta": {"narrow": narrow}}


KIND = Kind(_NAME, _TITLE, draw)
