"""What a run from elsewhere cannot hold, whatever its checksums say: they only tell that it came as it was sent.

Each function gives what is wrong as a sentence, or None.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt

from bench.load.table import SCENARIOS
from bench.quality import METRICS as QUALITIES
from bench.record.measurement import Measurement
from bench.record.observation import Observation, Plan
from bench.record.row import Row
from bench.runner.rows import invocations
from bench.store.manifest import Manifest

MOST_INVOCATIONS = 10_000
"""Of a case in a run. A plan of more would hold up whoever counts through them."""


def of_manifest(manifest: Manifest) -> str | None:
    """Of what the run says of itself."""
    plan, models = manifest.plan, {entry.name: entry for entry in manifest.models}
    if not 0.0 < plan.confidence < 1.0:
        return f"it gives intervals at a confidence of {plan.confidence}"
    if not 1 <= plan.invocations <= MOST_INVOCATIONS:
        return f"it plans {plan.invocations:,} invocations of a case, of {MOST_INVOCATIONS:,} at most"
    scenarios = sorted({case.scenario for case in manifest.cases} - SCENARIOS.keys())
    if scenarios:
        return f"it has a scenario that this version does not know: {scenarios[0]}"
    metrics = sorted({entry.metric for entry in models.values() if entry.metric is not None} - QUALITIES.keys())
    if metrics:
        return f"it judges a model by a metric that this version does not know: {metrics[0]}"
    return None


def of_observation(seen: Observation, plan: Plan) -> str | None:
    """Of one invocation of a case. The plan is one that is in order."""
    if not 0 <= seen.invocation < invocations(seen.case, plan):
        return f"it is of invocation {seen.invocation} of {invocations(seen.case, plan)}"
    for name, value in _durations(seen):
        if value is not None and value < 0:
            return f"{name} is negative: {value} ns"
    if seen.samples is not None and (found := of_latencies(seen.samples.latency_ns)) is not None:
        return found
    return _of_figures(seen.quality)


def of_latencies(latency_ns: npt.NDArray[np.generic]) -> str | None:
    """Of raw latencies: whole nanoseconds, none negative."""
    if latency_ns.ndim != 1 or latency_ns.dtype.kind != "i":
        return f"latencies are {latency_ns.ndim}-dimensional {latency_ns.dtype}, and not a row of whole nanoseconds"
    if latency_ns.size and latency_ns.min() < 0:
        return f"a latency is negative: {latency_ns.min()} ns"
    return None


def of_rows(rows: Collection[Row]) -> str | None:
    """Of result rows: that each is of its own case's artifact, and its figures are numbers."""
    for row in rows:
        artifact = row.artifact
        if artifact is not None and artifact.variant != row.case.variant:
            return f"the row of {row.case.name} has the artifact of another variant: {artifact.variant}"
        if artifact is not None and artifact.bytes < 0:
            return f"the row of {row.case.name} has an artifact of {artifact.bytes} bytes"
        if (found := _of_figures(row.metrics)) is not None:
            return f"the row of {row.case.name}: {found}"
    return None


def _durations(seen: Observation) -> Iterator[tuple[str, int | None]]:
    yield "load_ns", seen.load_ns
    yield "first_ns", seen.first_ns
    yield "span_ns", None if seen.samples is None else seen.samples.span_ns
    start = seen.cold_start
    for name in ("process_start_ns", "import_ns", "load_ns", "first_ns"):
        yield f"the cold start's {name}", None if start is None else getattr(start, name)
    for phase in seen.phases:
        yield f"the phase {phase.name}", phase.end_ns - phase.start_ns


def _of_figures(figures: dict[str, Measurement]) -> str | None:
    # A figure without a value is no number either, but says why.
    wrong = [name for name, found in figures.items() if found.value is not None and not math.isfinite(found.value)]
    return None if not wrong else f"{wrong[0]} is {figures[wrong[0]].value}, which no measurement gives"
