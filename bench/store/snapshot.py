"""The figures of a run in columns: what comparisons read, for ten cases or ten thousand."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from bench.errors import UserError
from bench.record.codec import plain
from bench.record.environment import Environment
from bench.record.metric import METRICS
from bench.record.row import Row
from bench.store import parquet, transit
from bench.store.counted import named_machine
from bench.store.manifest import read_manifest
from bench.store.tables import CASES, SCHEMAS

CASE_SCHEMA: dict[str, Any] = {
    "case": pl.String,
    "status": pl.String,
    "reason": pl.String,
    "dataset": pl.String,
    "data": pl.String,
    "judged_by": pl.String,
    "artifact": pl.String,
    "scope": pl.String,
    "invocations": pl.Int64,
    "schema": pl.Int64,
}
"""A row a case: its name, status, the reason of a failure, evaluation data by name and by SHA-256 (None where none were
used), the task metric that `accuracy` holds, SHA-256 of the artifact, timing scope."""

FIGURE_SCHEMA: dict[str, Any] = {
    "case": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "unit": pl.String,
    "n": pl.Int64,
    "low": pl.Float64,
    "high": pl.Float64,
    "confidence": pl.Float64,
    "how": pl.String,
}
"""A row a figure: case and metric, and the fields of `bench.record.measurement.Measurement`."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The figures of one run, baseline or foreign file.

    `machine` is the fingerprint: text by key, None where it is not known (see `fingerprint`). `cases` has the columns
    of `CASE_SCHEMA`, `figures` those of `FIGURE_SCHEMA`. `folder` is the run's where there is one.
    """

    label: str
    created: str
    machine: dict[str, str | None]
    cases: pl.DataFrame
    figures: pl.DataFrame
    folder: Path | None = None
    notes: tuple[str, ...] = field(default=())

    def only(self, patterns: Sequence[str]) -> Snapshot:
        """Without the cases that fit none of these globs; all of them where none is given."""
        if not patterns:
            return self
        named = self.cases["case"].to_list()
        kept = [name for name in named if any(name == p or fnmatch.fnmatchcase(name, p) for p in patterns)]
        return replace(
            self,
            cases=self.cases.filter(pl.col("case").is_in(kept)),
            figures=self.figures.filter(pl.col("case").is_in(kept)),
        )


def fingerprint(environment: Environment) -> dict[str, str | None]:
    """Machine and software as text by key; `package:NAME` holds versions."""
    found: dict[str, str | None] = {
        "cpu_model": environment.cpu_model,
        "cpu_features": " ".join(sorted(environment.cpu_features)),
        "architecture": environment.architecture,
        "cores": " ".join(map(str, environment.cores_usable)),
        "governor": environment.governor,
        "memory_limit": _text(environment.memory_limit_bytes),
        "cpu_quota": _text(environment.cpu_quota_cores),
        "kernel": environment.kernel,
        "system": environment.system,
        "virtualisation": environment.virtualisation,
        "boot": environment.boot,
        "gpus": ", ".join(environment.gpus),
        "gpu_driver": environment.gpu_driver,
        "python": environment.python,
    }
    return found | {f"package:{name}": version for name, version in sorted(environment.packages.items())}


def read_run(folder: Path, metrics: Sequence[str] = tuple(METRICS)) -> Snapshot:
    """The figures of a kept run. Raises `UserError` where it cannot be read."""
    manifest = read_manifest(folder)
    path = folder / CASES
    if transit.is_transit(folder) and not path.exists():
        raise UserError(
            "the run is of a target that makes no tables",
            where=str(folder),
            remedy="move it out of the folder of the runs, then `bench import` it",
        )
    if not path.exists():
        raise UserError(
            "the run has no tables yet: it is going on, or was killed",
            where=str(folder),
            remedy=f"`bench run --resume {manifest.run_id}` goes on and writes them",
        )
    scan = parquet.typed(path, SCHEMAS[CASES], _CASE_COLUMNS)
    with parquet.readable(path):
        there = set(scan.collect_schema().names())
        wanted = [name for name in metrics if name in there]
        table = scan.select(*_CASE_COLUMNS, *wanted).collect()
    if table.select("name", "model", "status").null_count().row(0) != (0, 0, 0):
        raise parquet.damaged(path, "a case has no name, model or status")
    judged = {model.name: model.metric for model in manifest.models}
    figures = [
        table.select(pl.col("name").alias("case"), pl.lit(name).alias("metric"), *_fields(table, name)).select(
            *FIGURE_SCHEMA
        )
        for name in wanted
    ]
    return Snapshot(
        label=manifest.run_id,
        created=manifest.created,
        machine=fingerprint(manifest.environment),
        cases=table.select(
            *_AS_CASES,
            pl.col("model").replace_strict(judged, default=None, return_dtype=pl.String).alias("judged_by"),
        ).select(*CASE_SCHEMA),
        figures=pl.concat([pl.DataFrame(schema=FIGURE_SCHEMA), *figures]),
        folder=folder,
        notes=named_machine(manifest),
    )


def _fields(table: pl.DataFrame, name: str) -> list[pl.Expr]:
    """The fields of a figure as columns; null for those that an older version did not know."""
    figure = pl.col(name).struct
    known = {field.name for field in table.schema[name].fields}  # type: ignore[attr-defined]
    return [
        figure.field(field) if field in known else pl.lit(None, dtype=kind).alias(field)
        for field, kind in FIGURE_SCHEMA.items()
        if field not in ("case", "metric")
    ]


def from_rows(
    label: str,
    created: str,
    environment: Environment,
    rows: Sequence[Row],
    *,
    judged_by: Mapping[str, str | None] | None = None,
    folder: Path | None = None,
) -> Snapshot:
    """The figures of rows that are at hand. `judged_by` gives the task metric of each model."""
    cases = [
        {
            "case": row.case.name,
            "status": row.status,
            "reason": None if row.failure is None else row.failure.reason,
            "dataset": row.dataset,
            "data": row.facts.get("evaluation_data"),
            "judged_by": (judged_by or {}).get(row.case.model),
            "artifact": None if row.artifact is None else row.artifact.sha256,
            "scope": row.facts.get("scope"),
            "invocations": row.invocations,
            "schema": row.schema,
        }
        for row in rows
    ]
    figures = [
        {"case": row.case.name, "metric": name, **plain(figure)} for row in rows for name, figure in row.metrics.items()
    ]
    return Snapshot(
        label=label,
        created=created,
        machine=fingerprint(environment),
        cases=pl.DataFrame(cases, schema=CASE_SCHEMA),
        figures=pl.DataFrame(figures, schema=FIGURE_SCHEMA),
        folder=folder,
    )


def empty(label: str) -> Snapshot:
    """A snapshot that holds nothing: what stands for a baseline that is not there."""
    return Snapshot(
        label=label,
        created="",
        machine={},
        cases=pl.DataFrame(schema=CASE_SCHEMA),
        figures=pl.DataFrame(schema=FIGURE_SCHEMA),
    )


_CASE_COLUMNS = ("name", "model", "status", "dataset", "invocations", "schema", "artifact", "failure", "facts")
_AS_CASES = (
    pl.col("name").alias("case"),
    pl.col("status"),
    pl.col("failure").str.json_path_match("$.reason").alias("reason"),
    pl.col("dataset"),
    pl.col("facts").str.json_path_match("$.evaluation_data").alias("data"),
    pl.col("artifact").str.json_path_match("$.sha256").alias("artifact"),
    pl.col("facts").str.json_path_match("$.scope").alias("scope"),
    pl.col("invocations"),
    pl.col("schema"),
)


def _text(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"
