"""From nothing to the first answer: the parts of a start, and their sum."""

from __future__ import annotations

from collections.abc import Sequence

from bench.metrics.processes import over_processes
from bench.record.measurement import Measurement
from bench.record.observation import ColdStart, Observation

HOW = "measured:monotonic-clock"
_PARTS = {
    "cold_start": "total_ns",
    "process_start": "process_start_ns",
    "import_time": "import_ns",
    "load_time": "load_ns",
    "first_inference": "first_ns",
}


def figures(observations: Sequence[Observation]) -> dict[str, Measurement]:
    """Medians over the invocations, s. The page cache is as the run before left it: warm."""
    starts = [seen.cold_start for seen in observations if seen.cold_start is not None]
    return {name: _median(starts, part) for name, part in _PARTS.items()}


def _median(starts: Sequence[ColdStart], part: str) -> Measurement:
    if not starts:
        return Measurement.unavailable("s", "no invocation was timed from its start")
    values = [getattr(start, part) * 1e-9 for start in starts]
    return over_processes(values, "s", HOW)
