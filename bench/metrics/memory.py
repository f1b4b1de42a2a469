"""Memory and CPU use of the measured process, as the sampler saw it from outside."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.metrics.processes import over_processes
from bench.record.measurement import Measurement
from bench.record.observation import Observation, Telemetry

HOW = "measured:process-sensor"
_STEADY = "measure-start"
"""After the warm-up the model's memory is steady; from here on the harness's own samples would add to it."""
_AT_EDGE = {
    "rss_before_load": ("before-load", "rss"),
    "rss_after_load": ("after-load", "rss"),
    "rss_steady": (_STEADY, "rss"),
    "peak_rss": (_STEADY, "peak_rss"),
    "pss_before_load": ("before-load", "pss"),
    "pss_after_load": ("after-load", "pss"),
    "pss_steady": (_STEADY, "pss"),
}


def figures(observations: Sequence[Observation]) -> dict[str, Measurement]:
    """Bytes at the edges of the phases, what loading and running added, and cores used; medians over invocations."""
    seen = [(o, o.telemetry) for o in observations if o.telemetry is not None]
    found = {
        name: _median([_at_edge(t, edge, quantity) for _, t in seen], "B", _why(observations, quantity))
        for name, (edge, quantity) in _AT_EDGE.items()
    }
    if found["peak_rss"].value is not None and not all(o.facts.get("peak_reset") for o, _ in seen):
        note = f"{HOW}; since the process began, as the mark could not be reset before loading"
        found["peak_rss"] = msgspec.structs.replace(found["peak_rss"], how=note)
    added = [_added(t) for _, t in seen]
    found["rss_added"] = _median(added, "B", _why(observations, "rss"))
    found["cpu_utilisation"] = _median([_cpu(t) for _, t in seen], "1", _why(observations, "cpu_time"))
    return found


def _at_edge(telemetry: Telemetry, edge: str, quantity: str) -> float | None:
    for reading in telemetry.snapshots.get(edge, ()):
        if reading.sensor == "process" and reading.quantity == quantity:
            return reading.value
    return None


def _added(telemetry: Telemetry) -> float | None:
    before, steady = _at_edge(telemetry, "before-load", "rss"), _at_edge(telemetry, _STEADY, "rss")
    return None if before is None or steady is None else steady - before


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
    return over_processes(known, unit, HOW)


def _why(observations: Sequence[Observation], quantity: str) -> str:
    """Why a quantity is not there: the sensor's own reason where it could not be read at all."""
    for seen in observations:
        for state in seen.telemetry.sensors if seen.telemetry else ():
            if state.sensor == "process" and state.reason and (not state.available or quantity not in state.quantities):
                return state.reason
    return f"the process sensor gave no {quantity}"
