"""Memory and CPU use of the measured process, as the sampler saw it from outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.record.measurement import Measurement
from bench.record.observation import Observation, Telemetry

HOW = "measured:process-sensor"
_AT_EDGE = {
    "rss_before_load": ("before-load", "rss"),
    "rss_after_load": ("after-load", "rss"),
    "peak_rss": ("measure-end", "peak_rss"),
    "pss_steady": ("measure-end", "pss"),
}


def figures(observations: Sequence[Observation]) -> dict[str, Measurement]:
    """Bytes at the edges of the phases, the median resident set in the measured phase, and cores used."""
    seen = [(o, o.telemetry) for o in observations if o.telemetry is not None]
    found = {
        name: _median([_at_edge(t, edge, quantity) for _, t in seen], "B", _why(observations, quantity))
        for name, (edge, quantity) in _AT_EDGE.items()
    }
    steady = [_steady_rss(o, t) for o, t in seen]
    found["rss_steady"] = _median(steady, "B", _why(observations, "rss"))
    added = [
        None if rss is None or before is None else rss - before
        for rss, before in zip(steady, (_at_edge(t, "before-load", "rss") for _, t in seen), strict=True)
    ]
    found["rss_added"] = _median(added, "B", _why(observations, "rss"))
    found["cpu_utilisation"] = _median([_cpu(t) for _, t in seen], "1", _why(observations, "cpu_time"))
    return found


def _at_edge(telemetry: Telemetry, edge: str, quantity: str) -> float | None:
    for reading in telemetry.snapshots.get(edge, ()):
        if reading.sensor == "process" and reading.quantity == quantity:
            return reading.value
    return None


def _steady_rss(observation: Observation, telemetry: Telemetry) -> float | None:
    phase = next((p for p in observation.phases if p.name == "measure"), None)
    if phase is None:
        return None
    inside = [
        r.value
        for r in telemetry.readings
        if r.sensor == "process" and r.quantity == "rss" and phase.start_ns <= r.t_ns <= phase.end_ns
    ]
    return float(np.median(inside)) if inside else None


def _cpu(telemetry: Telemetry) -> float | None:
    """CPU seconds over wall seconds between the two edges of the measured phase."""
    marks = []
    for edge in ("measure-start", "measure-end"):
        hits = [r for r in telemetry.snapshots.get(edge, ()) if r.sensor == "process" and r.quantity == "cpu_time"]
        marks.append((sum(r.value for r in hits), hits[0].t_ns) if hits else None)
    first, last = marks
    if first is None or last is None or last[1] <= first[1]:
        return None
    return (last[0] - first[0]) / ((last[1] - first[1]) * 1e-9)


def _median(values: Sequence[float | None], unit: str, reason: str) -> Measurement:
    known = [value for value in values if value is not None]
    if not known:
        return Measurement.unavailable(unit, reason)
    return Measurement(value=float(np.median(known)), unit=unit, n=len(known), how=HOW)


def _why(observations: Sequence[Observation], quantity: str) -> str:
    """The sensor's own reason for a quantity that is not there."""
    for seen in observations:
        for state in seen.telemetry.sensors if seen.telemetry else ():
            if state.sensor == "process" and state.reason:
                return state.reason
    return f"the process sensor gave no {quantity}"
