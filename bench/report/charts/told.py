"""What charts say of a case alike: its label, its figures with unit, interval, number and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.record.measurement import Measurement
from bench.report.changes import plain
from bench.report.units import digits, scale_for

if TYPE_CHECKING:
    from bench.runner.gather import CaseSeen, Gathered

WIDTH = 640
_LONGEST = 90


def label(seen: CaseSeen) -> str:
    """The label of a case on one line, its middle left out where it is very long."""
    return middled(plain(seen.label), _LONGEST)


def middled(text: str, most: int) -> str:
    """The text, its middle left out where it is longer than `most` letters."""
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-most // 2 :]}"


def labels(gathered: Gathered) -> list[str]:
    """One a case, each unique, even where two long ones differ only in their middles."""
    made = [label(seen) for seen in gathered.cases]
    return [f"{name} #{at + 1}" if made.count(name) > 1 else name for at, name in enumerate(made)]


def name(seen: CaseSeen) -> str:
    """The whole name of a case."""
    return plain(seen.row.case.name)


def figure(value: float, factor: float, unit: str) -> str:
    """`81.2 µs` in the unit of the chart."""
    return f"{digits(value / factor)} {unit}".strip()


def interval(found: Measurement, factor: float, unit: str) -> str:
    """`80.1 to 82.3 µs, 95 %`; else that there is none."""
    if found.low is None or found.high is None:
        return "none"
    sure = "" if found.confidence is None else f", {percent(found.confidence)}"
    return f"{digits(found.low / factor)} to {digits(found.high / factor)} {unit}{sure}"


def percent(share: float) -> str:
    """`95 %`, `99.9 %`: a confidence is never rounded up to certainty."""
    return f"{100 * share:.6g} %"


def how(found: Measurement) -> str:
    """`measured: monotonic-clock`, as it is on record."""
    return plain(found.how.replace(":", ": ", 1))


def seconds(values: Sequence[float]) -> tuple[float, str]:
    """One scale for all latencies of a chart."""
    return scale_for("s", values)


def absent(gathered: Gathered, count: int, what: str) -> str:
    """`3 cases have no latencies`; empty where all have."""
    return "" if not count else f"{count} of {len(gathered.cases)} cases ha{'s' if count == 1 else 've'} no {what}"


def columns(records: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Records as columns; all of them have the same fields."""
    return {key: [record[key] for record in records] for key in records[0]} if records else {}


def cases(
    found: Sequence[tuple[int, CaseSeen]], names: Sequence[str], factor: float, unit: str
) -> list[dict[str, Any]]:
    """A record a case, with its median latency: what all marks of the case say, kept once and looked up in drawing."""
    return [
        {
            "case": at,
            "label": names[at],
            "name": name(seen),
            "value": "–" if median.value is None else f"p50 {figure(median.value, factor, unit)}",
            "interval": interval(median, factor, unit),
            "n": median.n,
            "how": how(median),
        }
        for at, seen in found
        for median in [
            seen.row.metrics.get("p50_latency") or Measurement.unavailable("s", "no such figure is on record")
        ]
    ]


CASES = "cases"
"""The data set of the records of `cases`."""


def with_case(chart: Any, records: Sequence[Mapping[str, Any]]) -> Any:
    """An Altair chart whose data have the fields of the `records` of their case too."""
    import altair as alt

    fields = [field for field in records[0] if field != "case"]
    return chart.transform_lookup(
        lookup="case", from_=alt.LookupData(data=alt.NamedData(CASES), key="case", fields=fields)
    )


def spec(chart: Any, subtitle: str = "") -> dict[str, Any]:
    """The Vega-Lite specification of an Altair chart, without colours and sizes of Altair's own theme."""
    made = {key: value for key, value in chart.to_dict().items() if key != "config"}
    return {**made, "title": {"text": "", "subtitle": subtitle}} if subtitle else made


def tooltips() -> list[Any]:
    """What every point says: fields `name`, `value`, `interval`, `n` and `how`."""
    import altair as alt

    return [
        alt.Tooltip("name:N", title="case"),
        alt.Tooltip("value:N", title="value"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("n:Q", title="samples", format=","),
        alt.Tooltip("how:N", title="how"),
    ]


def log_axis(title: str) -> dict[str, Any]:
    """Options of a logarithmic axis with few, plain numbers."""
    import altair as alt

    return {
        "title": title,
        "scale": alt.Scale(type="log", nice=False, padding=8),
        "axis": alt.Axis(format=",.3~r", tickCount=14, labelOverlap="greedy", labelSeparation=8, labelFlush=False),
    }
