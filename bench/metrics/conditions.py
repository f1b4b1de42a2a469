"""What happened to the machine while a case was measured: warnings, from the sampler's readings."""

from __future__ import annotations

from collections.abc import Iterator

from bench.record.observation import Observation, Reading, Telemetry
from bench.sensors.throttle import is_throttled, names

_STOLEN = 0.01
"""A share of time taken by a hypervisor that is worth telling."""
_TICKS_S = 0.5
"""Steal comes in ticks of 10 ms: in a shorter time one tick would look like much."""
_SAMPLER_BUSY = 0.25
"""A share of one core beyond which the sampler itself is a load."""


def warnings(seen: Observation) -> Iterator[str]:
    """Sentences on what may have disturbed the measured phase."""
    telemetry = seen.telemetry
    phase = next((p for p in seen.phases if p.name == "measure"), None)
    if telemetry is None or phase is None:
        return
    inside = [r for r in telemetry.readings if phase.start_ns <= r.t_ns <= phase.end_ns]
    inside += telemetry.snapshots.get("measure-start", ()) + telemetry.snapshots.get("measure-end", ())
    others = max((r.value for r in inside if r.quantity == "foreign_processes"), default=0)
    if others:
        yield f"{others:.0f} other process(es) used the GPU while the case was measured"
    masks = {int(r.value) for r in inside if r.quantity == "throttle_reasons" and is_throttled(r.value)}
    if masks:
        reasons = dict.fromkeys(name for mask in sorted(masks) for name in names(mask))
        yield f"the GPU's clock was held back: {', '.join(reasons)}"
    throttled = _grown(telemetry, "cgroup", "throttled_periods")
    if throttled:
        yield f"the control group was stopped by its CPU quota in {throttled:.0f} periods of the measured phase"
    stolen, seconds = _grown(telemetry, "cgroup", "steal_time"), _between_edges(telemetry, "cgroup")
    if seconds > _TICKS_S and stolen / seconds > _STOLEN:
        yield f"a hypervisor took {stolen / seconds:.1%} of a core's time from this machine while the case was measured"
    faults = _grown(telemetry, "process", "major_faults")
    if faults:
        pages = "page was" if round(faults) == 1 else "pages were"
        yield f"{faults:.0f} {pages} read from disk in the measured phase"
    share = sampler_share(telemetry)
    if share is not None and share > _SAMPLER_BUSY:
        yield f"the sampler itself used {share:.1%} of a core"


def sampler_share(telemetry: Telemetry) -> float | None:
    """CPU time of the sampler over wall time, in cores."""
    return telemetry.sampler_cpu_s / telemetry.sampler_wall_s if telemetry.sampler_wall_s else None


def _grown(telemetry: Telemetry, sensor: str, quantity: str) -> float:
    """How much counters of all devices grew between the edges of the measured phase; 0 where they were not read."""

    def values(edge: str) -> dict[str, float]:
        taken: tuple[Reading, ...] = telemetry.snapshots.get(edge, ())
        return {r.device: r.value for r in taken if r.sensor == sensor and r.quantity == quantity}

    first, last = values("measure-start"), values("measure-end")
    return sum(last[device] - first[device] for device in first.keys() & last.keys())


def _between_edges(telemetry: Telemetry, sensor: str) -> float:
    """Seconds between the sensor's snapshots at the edges of the measured phase; 0 where one is missing."""
    stamps = [
        max((r.t_ns for r in telemetry.snapshots.get(edge, ()) if r.sensor == sensor), default=None)
        for edge in ("measure-start", "measure-end")
    ]
    return 0.0 if stamps[0] is None or stamps[1] is None else (stamps[1] - stamps[0]) * 1e-9
