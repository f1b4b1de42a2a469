"""Observations of a case become its result row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.metrics import capacity, conditions, energy, latency, memory, quality, start
from bench.metrics.floors import Floors, judge
from bench.record.artifact import Artifact
from bench.record.case import Case
from bench.record.codec import plain
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Failure, Observation, Plan, Validity
from bench.record.row import Row
from bench.stats.steady import drifted


def make_row(
    case: Case,
    observations: Sequence[Observation],
    *,
    artifact: Artifact | None,
    dataset: str,
    plan: Plan,
    floors: Floors,
) -> Row:
    """The row of a case from all its invocations; a failed one makes the row failed, with its reason.

    So does a floor that has to be reached and is not, but then the figures stay.
    """
    bad = next((seen for seen in observations if seen.status != "ok"), None)
    of_file = _of_artifact(artifact)
    if bad is not None:
        failure = bad.failure or Failure(reason="no reason was recorded", phase="unknown")
        reason = f"the case {'failed' if bad.status == 'failed' else 'could not be made'}: {failure.reason}"
        absent = {name: Measurement.unavailable(metric.unit, reason) for name, metric in METRICS.items()}
        return Row(
            case=case,
            status=bad.status,
            dataset=dataset,
            metrics=absent | (of_file if artifact else {}),
            artifact=artifact,
            failure=failure,
            invocations=len(observations),
        )
    figures = (
        latency.figures(observations, plan.confidence)
        | start.figures(observations)
        | capacity.figures(observations)
        | memory.figures(observations)
        | energy.figures(observations)
        | _quality(observations)
        | of_file
    )
    missed, below = judge(floors, case.variant, figures)
    return Row(
        case=case,
        status="ok" if missed is None else "failed",
        dataset=dataset,
        metrics={name: figures[name] for name in METRICS},
        artifact=artifact,
        placement=observations[0].placement,
        failure=missed,
        warnings=tuple(dict.fromkeys(_warnings(observations, figures, plan) + below)),
        validity=_validity(observations),
        under_corruption=next((seen.under_corruption for seen in observations if seen.under_corruption), None),
        invocations=len(observations),
        facts=observations[0].facts | _facts(observations),
    )


def _validity(observations: Sequence[Observation]) -> Validity | None:
    """Valid where every invocation was; all that speaks against it, each said once."""
    verdicts = [seen.validity for seen in observations if seen.validity is not None]
    if not verdicts:
        return None
    reasons = tuple(dict.fromkeys(reason for verdict in verdicts for reason in verdict.reasons))
    return Validity(rules=verdicts[0].rules, valid=all(v.valid for v in verdicts), reasons=reasons)


def _facts(observations: Sequence[Observation]) -> dict[str, Any]:
    """What the parent knows of the invocations, beside what the worker said of itself."""
    return {
        "stopped_by": [o.samples.stopped_by for o in observations if o.samples],
        "sampler_cores": [conditions.sampler_share(o.telemetry) for o in observations if o.telemetry],
        # By sensor: why it gave nothing, or not all that it could.
        "silent_sensors": {
            state.sensor: state.reason
            for o in observations
            if o.telemetry
            for state in o.telemetry.sensors
            if state.reason
        },
        "phases": [{p.name: (p.start_ns, p.end_ns) for p in o.phases} for o in observations],
        "cold_starts": [plain(o.cold_start) for o in observations if o.cold_start],
        "searches": [plain(o.capacity) for o in observations if o.capacity],
    }


def _of_artifact(artifact: Artifact | None) -> dict[str, Measurement]:
    """What the file is, whoever runs it."""
    if artifact is None:
        return {name: Measurement.unavailable(METRICS[name].unit, "there is no artifact") for name in ("size", "macs")}
    macs = Measurement.unavailable("1", "an operator of the graph has work that is not counted")
    if artifact.macs is not None:
        macs = Measurement(value=float(artifact.macs), unit="1", n=1, how="measured:graph")
    return {"size": Measurement(value=float(artifact.bytes), unit="B", n=1, how="measured:file-size"), "macs": macs}


def _quality(observations: Sequence[Observation]) -> dict[str, Measurement]:
    """The evaluation is made once, in the first invocation that was asked for it."""
    return next((seen.quality for seen in observations if seen.quality), quality.missing(quality.NOT_ASKED))


def _precision(median: Measurement, observations: Sequence[Observation], plan: Plan) -> list[str]:
    """Whether the median is known less closely than was asked for, and what ended the measuring."""
    if not median.value or median.low is None or median.high is None:
        return []  # none, or nothing by a clock too coarse for it
    half = (median.high - median.low) / 2 / median.value
    stops = "; ".join(dict.fromkeys(o.samples.stopped_by for o in observations if o.samples is not None))
    # Only closed loops are asked for a precision; other scenarios end by their own rules.
    if half <= plan.precision or not stops.startswith(("precision", "time budget")):
        return []
    known = f"±{half:.1%} only" if half < 1 else "no closer than its own size"
    return [f"p50 is known to {known}, ±{plan.precision:.1%} was asked for; measuring ended by {stops}"]


def _parity(seen: Observation) -> list[str]:
    """Outputs beyond their precision, with the precision that the runtime says it computed in."""
    computed = seen.facts.get("inference_precision", "f32")
    why = f"; the runtime computes in {computed}" if computed != "f32" else ""
    return [warning + why for warning in seen.facts.get("evaluation_warnings", [])]


def _warnings(
    observations: Sequence[Observation],
    figures: dict[str, Measurement],
    plan: Plan,
) -> list[str]:
    """What a reader of the figures has to know."""
    told = _precision(figures["p50_latency"], observations, plan)
    for seen in observations:
        told += _parity(seen)
        if seen.warmup is not None and not seen.warmup.steady:
            told.append(f"not steady: {seen.warmup.how}")
        if seen.samples is not None:
            verdict = drifted(latency.block_medians(seen.samples))
            if verdict.drifted:
                told.append(f"drift: {verdict.sentence}")
        told += seen.facts.get("stillness", ())
        told += conditions.warnings(seen)
        if seen.facts.get("heavy_modules"):
            told.append(f"the measuring process had imported {', '.join(seen.facts['heavy_modules'])}")
        for state in seen.telemetry.sensors if seen.telemetry else ():
            if not state.available and state.sensor == "process":
                told.append(f"no memory figures: {state.reason}")
    placement = observations[0].placement
    if placement is not None and len(placement.nodes) > 1:
        split = ", ".join(f"{count} on {name}" for name, count in placement.nodes.items())
        told.append(f"the graph is split: {split}")
    return told
