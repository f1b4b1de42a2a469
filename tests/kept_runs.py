"""Run folders made by hand, in milliseconds: a manifest, rows and raw samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.machine.environment import read_environment
from bench.metrics.latency import figures
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Failure, Observation, Placement, Plan, Samples
from bench.record.row import Row
from bench.store import tables
from bench.store.manifest import Manifest, write_manifest

ABSENT = "no such counter"
SAMPLES = 200


def observed(variant: str, latency_us: float, seed: int = 0, **case: object) -> Observation:
    """One invocation of a case whose latencies scatter by a few per cent."""
    fields = {"model": "m", "variant": variant, "runtime": "onnxruntime", "provider": "cpu", **case}
    latency = np.random.default_rng(seed).lognormal(np.log(latency_us * 1e3), 0.03, SAMPLES).astype(np.int64)
    return Observation(
        case=Case(**fields),  # type: ignore[arg-type]
        invocation=0,
        status="ok",
        samples=Samples(
            start_ns=np.r_[0, np.cumsum(latency)[:-1]].astype(np.int64),
            latency_ns=latency,
            block=np.arange(SAMPLES, dtype=np.int64) // 10,
            stopped_by="precision",
        ),
    )


def row_of(seen: Observation) -> Row:
    """The row of what was seen: latencies, a size, and nothing else."""
    metrics = {name: Measurement.unavailable(metric.unit, ABSENT) for name, metric in METRICS.items()}
    metrics |= figures([seen], 0.95)
    metrics["size"] = Measurement(value=2048.0, unit="B", n=1, how="measured:file-size")
    return Row(
        case=seen.case,
        status="ok",
        dataset="digits",
        metrics=metrics,
        placement=Placement(provider="CPUExecutionProvider", nodes={}, evidence="by hand"),
        invocations=1,
        facts={"scope": "session.run"},
    )


def failed(variant: str) -> Row:
    """A case that gave no figure."""
    return Row(
        case=Case(model="m", variant=variant, runtime="onnxruntime", provider="cpu"),
        status="failed",
        dataset="digits",
        metrics={name: Measurement.unavailable(metric.unit, "it crashed") for name, metric in METRICS.items()},
        failure=Failure(reason="it crashed", phase="load"),
        invocations=1,
    )


def keep(
    results: Path, run_id: str, rows: Sequence[Row], seen: Sequence[Observation] = (), status: str = "complete"
) -> Path:
    """A run folder in `results`."""
    folder = results / run_id
    folder.mkdir(parents=True)
    manifest = Manifest(
        run_id=run_id,
        created=f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T00:00:00+00:00",
        command=("bench", "run"),
        status=status,  # type: ignore[arg-type]
        suite={"name": "s"},
        request={},
        plan=Plan(),
        cases=tuple(row.case for row in rows),
        models=(),
        environment=read_environment(),
    )
    write_manifest(folder, manifest)
    tables.write_cases(folder, run_id, rows)
    tables.write_samples(folder, seen)
    return folder


def keep_small(results: Path, run_id: str, latency_us: float = 80.0) -> Path:
    """A run of two measured cases and a failed one."""
    seen = [observed("fp32", latency_us), observed("int8", latency_us / 2, seed=1)]
    return keep(results, run_id, [*map(row_of, seen), failed("pruned")], seen)
