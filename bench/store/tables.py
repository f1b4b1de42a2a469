"""Rows and raw samples as Parquet, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from bench.record.artifact import Artifact
from bench.record.codec import from_json, plain
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Failure, Observation, Placement, Reading, Robustness, Validity
from bench.record.row import Row
from bench.store import parquet
from bench.store.atomic import write_through

CASES, LATENCIES, TELEMETRY = "cases.parquet", "latencies.parquet", "telemetry.parquet"

_MEASUREMENT = pl.Struct(
    {
        "value": pl.Float64,
        "unit": pl.String,
        "n": pl.Int64,
        "low": pl.Float64,
        "high": pl.Float64,
        "confidence": pl.Float64,
        "how": pl.String,
    }
)
# Records of which only a part is asked for in queries are kept whole, as JSON text.
_JSON: dict[str, Any] = {
    "options": dict[str, Any],
    "artifact": Artifact | None,
    "placement": Placement | None,
    "failure": Failure | None,
    "validity": Validity | None,
    "under_corruption": Robustness | None,
    "why_not_faster": str | None,
    "facts": dict[str, Any],
}
_CASE_SCHEMA: dict[str, Any] = {
    "run_id": pl.String,
    "case_id": pl.String,
    "name": pl.String,
    "model": pl.String,
    "variant": pl.String,
    "runtime": pl.String,
    "provider": pl.String,
    "threads": pl.Int64,
    "batch": pl.Int64,
    "scenario": pl.String,
    "status": pl.String,
    "dataset": pl.String,
    "invocations": pl.Int64,
    "warnings": pl.List(pl.String),
    "schema": pl.Int64,
    **dict.fromkeys(_JSON, pl.String),
    **dict.fromkeys(METRICS, _MEASUREMENT),
}
_CASE_FIELDS = ("model", "variant", "runtime", "provider", "threads", "batch", "scenario")
_ROW_FIELDS = ("status", "dataset", "warnings", "invocations", "schema")


def write_cases(folder: Path, run_id: str, rows: Sequence[Row]) -> None:
    """`cases.parquet`: a row a case; each figure is a struct of value, unit, n, low, high, confidence and how."""
    records = [_record(run_id, row) for row in rows]
    _write(folder / CASES, pl.DataFrame(records, schema=_CASE_SCHEMA))


def read_cases(folder: Path) -> list[Row]:
    """The rows of `cases.parquet`. Raises `UserError` where it is missing or damaged."""
    path = folder / CASES
    table = parquet.typed(path, _CASE_SCHEMA, [*_CASE_FIELDS, *_ROW_FIELDS, "options"])
    with parquet.readable(path):
        records = table.collect().to_dicts()
    try:
        return [_row(record) for record in records]
    except (TypeError, msgspec.MsgspecError) as error:
        raise parquet.damaged(path, str(error)) from error


def write_samples(folder: Path, observations: Iterable[Observation], stay: Collection[str] = ()) -> None:
    """`latencies.parquet` (every raw sample) and `telemetry.parquet` (every sensor reading).

    What is in them of the cases whose ids are in `stay` stays. Raises `UserError` where that cannot be read.
    """
    latencies = [_LATENCY_NONE, *_staying(folder / LATENCIES, stay)]
    telemetry = [_TELEMETRY_NONE, *_staying(folder / TELEMETRY, stay)]
    for seen in observations:
        latencies.append(_latencies(seen))
        telemetry.append(_telemetry(seen))
    _write(folder / LATENCIES, pl.concat(latencies))
    _write(folder / TELEMETRY, pl.concat(telemetry))


def _staying(path: Path, stay: Collection[str]) -> list[pl.DataFrame]:
    """What the table has of those cases, with the columns of this version."""
    if not stay or not path.exists():
        return []
    schema = SCHEMAS[path.name]
    with parquet.readable(path):
        there = parquet.typed(path, schema, ["case_id"]).filter(pl.col("case_id").is_in(list(stay))).collect()
    missing = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in there.columns]
    return [there.with_columns(missing).select(schema.names())]


_LATENCY_NONE = pl.DataFrame(
    schema={
        "case_id": pl.String,
        "invocation": pl.Int64,
        "block": pl.Int64,
        "stream": pl.Int64,
        "scheduled_ns": pl.Int64,
        "start_ns": pl.Int64,
        "latency_ns": pl.Int64,
    }
)
_TELEMETRY_NONE = pl.DataFrame(
    schema={
        "case_id": pl.String,
        "invocation": pl.Int64,
        "edge": pl.String,
        "t_ns": pl.Int64,
        "sensor": pl.String,
        "device": pl.String,
        "quantity": pl.String,
        "value": pl.Float64,
        "unit": pl.String,
    }
)

SCHEMAS: dict[str, pl.Schema] = {
    CASES: pl.Schema(_CASE_SCHEMA),
    LATENCIES: _LATENCY_NONE.schema,
    TELEMETRY: _TELEMETRY_NONE.schema,
}
"""Columns of each table as this version writes it; older versions knew fewer."""


def _latencies(seen: Observation) -> pl.DataFrame:
    if seen.samples is None:
        return _LATENCY_NONE
    samples = seen.samples
    names = [name for name in _LATENCY_NONE.columns if getattr(samples, name, None) is not None]
    known = {"case_id": pl.lit(seen.case.id), "invocation": pl.lit(seen.invocation)} | {n: pl.col(n) for n in names}
    frame = pl.DataFrame({name: getattr(samples, name) for name in names})
    return frame.select(
        known.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in _LATENCY_NONE.schema.items()
    )


def _telemetry(seen: Observation) -> pl.DataFrame:
    if seen.telemetry is None:
        return _TELEMETRY_NONE
    units = {(state.sensor, name): unit for state in seen.telemetry.sensors for name, unit in state.quantities.items()}

    def line(reading: Reading, edge: str | None) -> tuple[Any, ...]:
        unit = units.get((reading.sensor, reading.quantity))
        told = (reading.t_ns, reading.sensor, reading.device, reading.quantity, reading.value, unit)
        return (seen.case.id, seen.invocation, edge, *told)

    lines = [line(reading, None) for reading in seen.telemetry.readings]
    for name, rest in zip(("idle-before", "idle-after"), seen.idle, strict=False):
        lines += [line(reading, name) for reading in rest.readings]
        lines += [line(reading, f"{name}:{edge}") for edge, taken in rest.snapshots.items() for reading in taken]
    lines += [line(reading, edge) for edge, taken in seen.telemetry.snapshots.items() for reading in taken]
    return pl.DataFrame(lines, schema=_TELEMETRY_NONE.schema, orient="row")


def _record(run_id: str, row: Row) -> dict[str, Any]:
    case = {name: getattr(row.case, name) for name in _CASE_FIELDS}
    kept = {name: msgspec.json.encode(plain(getattr(row, name))).decode() for name in _JSON if name != "options"}
    absent = {name: Measurement.unavailable(metric.unit, "not part of this row") for name, metric in METRICS.items()}
    return {
        "run_id": run_id,
        "case_id": row.case.id,
        "name": row.case.name,
        **case,
        "status": row.status,
        "dataset": row.dataset,
        "invocations": row.invocations,
        "warnings": list(row.warnings),
        "schema": row.schema,
        "options": msgspec.json.encode(row.case.options).decode(),
        **kept,
        **{name: plain(figure) for name, figure in (absent | row.metrics).items()},
    }


def _row(record: dict[str, Any]) -> Row:
    # What an older version did not know has no column.
    parsed: dict[str, Any] = {n: from_json(record[n], kind) for n, kind in _JSON.items() if n in record}
    metrics = {
        name: record[name]
        if record.get(name) is not None
        else Measurement.unavailable(metric.unit, "the run was made by a version that did not know this figure")
        for name, metric in METRICS.items()
    }
    case = {name: record[name] for name in _CASE_FIELDS} | {"options": parsed.pop("options")}
    return msgspec.convert(
        {"case": case, "metrics": metrics, **{name: record[name] for name in _ROW_FIELDS}, **parsed}, Row
    )


def _write(path: Path, frame: pl.DataFrame) -> None:
    write_through(path, lambda file: frame.write_parquet(file, compression="zstd"))
