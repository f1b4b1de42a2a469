"""Rows and raw samples as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bench.errors import UserError
from bench.record.metric import METRICS
from bench.record.row import Row
from bench.store import parquet
from bench.store.tables import LATENCIES, TELEMETRY

if TYPE_CHECKING:
    import pandas as pd

_CASE: dict[str, Any] = {
    "case": pl.String,
    "run": pl.String,
    "case_id": pl.String,
    "model": pl.String,
    "variant": pl.String,
    "runtime": pl.String,
    "provider": pl.String,
    "threads": pl.Int64,
    "batch": pl.Int64,
    "scenario": pl.String,
    "options": pl.String,
    "status": pl.String,
    "reason": pl.String,
    "dataset": pl.String,
    "invocations": pl.Int64,
    "warnings": pl.List(pl.String),
}
_FIGURE: dict[str, Any] = {
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "confidence": pl.Float64,
    "n": pl.Int64,
    "how": pl.String,
}


def of_rows(run: str, rows: Sequence[Row]) -> pl.DataFrame:
    """A row a case; see `bench.Run.to_polars`."""
    schema = _CASE | {_column(metric, field): kind for metric in METRICS for field, kind in _FIGURE.items()}
    return pl.DataFrame([_case(run, row) | _figures(row) for row in rows], schema=schema)


def _case(run: str, row: Row) -> dict[str, Any]:
    case = row.case
    return {
        "case": case.name,
        "run": run,
        "case_id": case.id,
        "model": case.model,
        "variant": case.variant,
        "runtime": case.runtime,
        "provider": case.provider,
        "threads": case.threads,
        "batch": case.batch,
        "scenario": case.scenario,
        "options": " ".join(f"{key}={value}" for key, value in sorted(case.options.items())),
        "status": row.status,
        "reason": None if row.failure is None else row.failure.reason,
        "dataset": row.dataset,
        "invocations": row.invocations,
        "warnings": list(row.warnings),
    }


def _figures(row: Row) -> dict[str, Any]:
    return {
        _column(metric, field): getattr(row.metrics[metric], field)
        for metric in METRICS
        if metric in row.metrics
        for field in _FIGURE
    }


def _column(metric: str, field: str) -> str:
    return metric if field == "value" else f"{metric}_{field}"


def as_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """The same for pandas, column by column: what Polars itself offers needs pyarrow too. Raises `UserError`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise UserError(
            "pandas is not installed here", where="to_pandas", remedy="pip install pandas, or use to_polars"
        ) from error
    return pd.DataFrame({each.name: each.to_numpy() if each.dtype.is_numeric() else each.to_list() for each in frame})


def latencies(folder: Path, rows: Sequence[Row]) -> pl.DataFrame:
    """Every raw sample, with the name of its case. Raises `UserError`."""
    return _named(folder / LATENCIES, rows)


def telemetry(folder: Path, rows: Sequence[Row]) -> pl.DataFrame:
    """Every reading of a sensor, with the name of its case. Raises `UserError`."""
    return _named(folder / TELEMETRY, rows)


def _named(path: Path, rows: Sequence[Row]) -> pl.DataFrame:
    names = {row.case.id: row.case.name for row in rows}
    if not path.exists():
        raise UserError(
            "the run keeps no raw samples here", where=str(path), remedy="use the folder in which it was measured"
        )
    name = pl.col("case_id").replace_strict(names, default=None, return_dtype=pl.String)
    return parquet.read(path).select(name.alias("case"), pl.all())
