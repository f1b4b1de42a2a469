"""A run of hundreds of cases, made from a small real one: its rows, samples and readings under many names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from msgspec.structs import replace

from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Failure, Observation, Reading, Samples, SensorState, Telemetry, Validity
from bench.record.row import Row
from bench.store import profiles, tables
from bench.store.manifest import ModelEntry, read_manifest, write_manifest

HOSTILE = (
    "<script>alert(1)</script>",
    "a|b",
    "\"quoted\" & 'single'",
    "models/" + "long/" * 36 + "path.onnx",
    '=HYPERLINK("http://example.invalid","x")',
    "right\u202eto-left\u202c",
    "two\nlines\tand a tab",
    "</script><img src=x onerror=alert(2)>",
    "\x1b[31mred\x1b[0m `code` *bold* {{ 7 * 7 }}",
    "模型-модель-🧪",
    "plain",
)
"""Names of models that break what does not escape them."""
THREADS, SCENARIOS = (1, 2, 4), ("single-stream", "multi-stream", "offline", "server")
FAILED_EVERY, UNAVAILABLE_EVERY, ABSENT_EVERY = 37, 53, 5
TELLING = '</script><b onmouseover="alert(3)">warned</b> a|b'


def keep_many(results: Path, source: Path, count: int, samples: int = 1500) -> Path:
    """A run of `count` cases in `results`, from the cases of `source` in turn; the same each time.

    Times differ from copy to copy by a factor. At most `samples` raw samples are kept of a case, in each copy others.
    """
    manifest = read_manifest(source)
    few = tables.read_cases(source)
    seen = _Seen(source)
    rows, observations = [], []
    folder = results / f"20260101-000000-many-{count}"
    for index in range(count):
        copy, which = divmod(index, len(few))
        factor = 1.07**copy
        old = few[which]
        case = replace(
            old.case,
            model=HOSTILE[copy % len(HOSTILE)],
            threads=THREADS[copy % len(THREADS)],
            batch=2 ** (copy // len(HOSTILE)),
            scenario=SCENARIOS[copy % len(SCENARIOS)],
        )
        row = _changed(replace(old, case=case), index, factor)
        rows.append(row)
        if row.measured:
            observations.append(seen.again(old.case.id, case, copy, factor, samples))
            operators = profiles.kept(source, old.case.id)
            if operators is not None and index < 100:
                profiles.keep(folder, case.id, operators)
    names = dict.fromkeys(row.case.model for row in rows)
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(
        folder,
        replace(
            manifest,
            run_id=folder.name,
            cases=tuple(row.case for row in rows),
            models=tuple(_entry(manifest.models[0], name) for name in names),
        ),
    )
    tables.write_cases(folder, folder.name, rows)
    tables.write_samples(folder, observations)
    return folder


def _entry(known: ModelEntry, name: str) -> ModelEntry:
    return replace(known, given=name, name=name)


def _changed(row: Row, index: int, factor: float) -> Row:
    """The row at `factor` times the latency; every so often one that failed, or that lacks figures."""
    if index % FAILED_EVERY == 1 or index % UNAVAILABLE_EVERY == 2:
        status = "failed" if index % FAILED_EVERY == 1 else "unavailable"
        why = Measurement.unavailable
        return replace(
            row,
            status=status,
            metrics={name: why(metric.unit, f"the case {status}: {TELLING}") for name, metric in METRICS.items()},
            placement=None,
            failure=Failure(reason=TELLING, phase="load", signal="SIGSEGV", tail=f"{TELLING}\n\x1b[31mend\x1b[0m"),
            artifact=None,
            validity=None,
            under_corruption=None,
            warnings=(),
        )
    metrics = {name: _scaled(figure, factor) for name, figure in row.metrics.items()}
    p50 = metrics["p50_latency"].value
    if p50 is not None and index % 3 == 0:
        metrics["energy"] = Measurement(value=p50 * 15, unit="J", n=1, how="estimated:tdp (15 W of the processor)")
    if index % ABSENT_EVERY == 3:
        for name in ("accuracy", "p99_latency", "peak_rss"):
            metrics[name] = Measurement.unavailable(METRICS[name].unit, TELLING)
    told = (TELLING,) if index % 29 == 0 else ()
    valid = Validity(rules="MLPerf server", valid=False, reasons=(TELLING,)) if row.case.scenario == "server" else None
    return replace(row, metrics=metrics, warnings=row.warnings + told, validity=valid)


def _scaled(figure: Measurement, factor: float) -> Measurement:
    by = {"s": factor, "1/s": 1 / factor}.get(figure.unit, 1.0)
    return replace(figure, **{k: v * by for k in ("value", "low", "high") if (v := getattr(figure, k)) is not None})


class _Seen:
    """What the first invocation of each case saw, read back from the run's tables."""

    def __init__(self, source: Path) -> None:
        latencies = pl.read_parquet(source / tables.LATENCIES).filter(invocation=0)
        telemetry = pl.read_parquet(source / tables.TELEMETRY).filter(pl.col("edge").is_null(), invocation=0)
        self._samples = latencies.partition_by("case_id", as_dict=True)
        self._readings = telemetry.partition_by("case_id", as_dict=True)

    def again(self, case_id: str, case: Case, copy: int, factor: float, most: int) -> Observation:
        """The invocation as that of `case`; copies take samples from different places, and readings differ a little."""
        frame, readings = self._samples.get((case_id,)), self._readings.get((case_id,))
        samples = telemetry = None
        if frame is not None:
            step = max(1, -(-len(frame) // most))
            frame = frame.gather_every(step, offset=copy % step)
            samples = Samples(
                start_ns=frame["start_ns"].to_numpy(),
                latency_ns=(frame["latency_ns"].to_numpy() * factor).astype(np.int64),
                block=frame["block"].to_numpy(),
                stopped_by="time budget",
            )
        if readings is not None:
            noise = np.random.default_rng(copy).normal(1, 0.01, len(readings))
            telemetry = _telemetry(readings.with_columns(pl.col("value") * noise))
        return Observation(case=case, invocation=0, status="ok", samples=samples, telemetry=telemetry)


def _telemetry(readings: pl.DataFrame) -> Telemetry:
    columns = ("t_ns", "sensor", "device", "quantity", "value")
    units: dict[str, dict[str, str]] = {}
    for sensor, quantity, unit in readings.select("sensor", "quantity", "unit").unique().iter_rows():
        units.setdefault(sensor, {})[quantity] = unit
    return Telemetry(
        sensors=tuple(
            SensorState(sensor=name, source="kept", period_s=0.1, available=True, quantities=kinds)
            for name, kinds in units.items()
        ),
        readings=tuple(Reading(*line) for line in readings.select(columns).iter_rows()),
    )
