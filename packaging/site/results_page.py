"""The page on every figure, column and key that a run leaves behind, made from the code that writes them."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import polars as pl
from json_schema import cell, sections, table

from bench.quality import METRICS as QUALITY
from bench.record.metric import METRICS
from bench.record.profile import Profile
from bench.record.row import Row
from bench.sensors.table import SENSORS
from bench.store.manifest import Manifest
from bench.store.tables import CASES, LATENCIES, TELEMETRY, write_cases, write_samples

TITLE = """# What a run leaves behind

Made from the code that writes it. [Results](../results.md) lists the files. Polars, pandas, DuckDB and whatever else
reads Parquet reads these tables.
"""

_CASE_COLUMNS = {
    "run_id": "the run's id; it starts with the time (UTC)",
    "case_id": "the first 12 hexadecimal digits of the SHA-256 of what the case is; it joins the three tables",
    "name": "model, variant, runtime and provider, threads, batch, scenario and options, in one readable word",
    "model": "the model's name, with its setting",
    "variant": "the variant, built in or defined in the suite",
    "runtime": "the runtime, such as `onnxruntime`",
    "provider": "the execution provider that was asked for; `placement` says what ran",
    "threads": "threads of the runtime within an operator",
    "batch": "examples in one call",
    "scenario": "how requests come",
    "status": "`ok`, `failed` or `unavailable`",
    "dataset": "the evaluation data, in words",
    "invocations": "fresh processes that were measured",
    "warnings": "sentences that a reader of the figures has to know",
    "schema": "version of this layout",
    "options": "JSON: further options of the runtime or the scenario",
    "artifact": "JSON: the file that ran, see [Artifact](#row-artifact)",
    "placement": "JSON: what really held the graph, see [Placement](#row-placement)",
    "failure": "JSON: why there are no figures, see [Failure](#row-failure); null where there are",
    "validity": "JSON: whether MLPerf's rules for the scenario were met, see [Validity](#row-validity)",
    "under_corruption": "JSON: the task metric under each corruption, see [Robustness](#row-robustness)",
    "why_not_faster": "JSON: a sentence on a row that should be faster than fp32 and is not; else null",
    "facts": "JSON: what the process read about itself, such as versions, affinity and the timing scope",
}
_FIGURE = "a figure, see [figures](#figures)"
_LATENCY_COLUMNS = {
    "case_id": "the case, as in `cases.parquet`",
    "invocation": "which fresh process, from 0",
    "block": "which run of calls without a pause, from 0 in each process",
    "stream": "which of several lanes served it; null where there is one",
    "scheduled_ns": "when it was to arrive, on the process's monotonic clock; null where there is no schedule",
    "start_ns": "when its service began, on the same clock",
    "latency_ns": "what was waited: from `scheduled_ns` where there is one, else from `start_ns`",
}
_TELEMETRY_COLUMNS = {
    "case_id": "the case, as in `cases.parquet`",
    "invocation": "which fresh process, from 0",
    "edge": "the edge of a phase where a snapshot was taken; `idle-before`, `idle-after`: at rest; else null",
    "t_ns": "when, on the clock of `latencies.parquet`",
    "sensor": "who read it; see `bench list sensors`",
    "device": "what it was read of: a process, a package, a GPU by its UUID, a zone",
    "quantity": "what was read",
    "value": "the reading, in `unit`",
    "unit": "its unit",
}
_MEASUREMENT = {
    "value": "in the unit that `unit` names; null exactly where the figure is unavailable",
    "unit": "SI, `1` for shares and counts",
    "n": "samples that it rests on",
    "low": "lower end of the interval; null where none can be given",
    "high": "upper end",
    "confidence": "of the interval, 0 to 1",
    "how": "`measured:<source>`, `estimated:<model>`, `projected:<profile>` or `unavailable:<reason>`",
}


def markdown() -> str:
    """The whole page.

    Raises:
        LookupError: there is a column without words here, or words without a column.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_cases(folder, "", [])
        write_samples(folder, [])
        cases, latencies, telemetry = (pl.read_parquet_schema(folder / name) for name in (CASES, LATENCIES, TELEMETRY))
    figure = cases[next(iter(METRICS))]
    return "\n".join(
        [
            TITLE,
            "## Figures\n\nA figure is a struct, in the tables and wherever JSON is printed:\n",
            _columns("a figure", {field.name: field.dtype for field in figure.fields}, _MEASUREMENT),
            _metrics(),
            f"## {CASES}\n\nA row a case. What is JSON is text, whole.\n",
            _columns(CASES, cases, _CASE_COLUMNS | dict.fromkeys(METRICS, _FIGURE)),
            f"## {LATENCIES}\n\nEvery raw sample of the measured phase; none is left out.\n",
            _columns(LATENCIES, latencies, _LATENCY_COLUMNS),
            f"## {TELEMETRY}\n\nEvery reading of every sensor.\n",
            _columns(TELEMETRY, telemetry, _TELEMETRY_COLUMNS),
            _sensors(),
            _records("## Records of a row", "row", Row, _ROW),
            _records("## manifest.json", "manifest", Manifest, _MANIFEST),
            _records("## profiles/CASE.json", "operators", Profile, _PROFILE),
        ]
    )


_ROW = (
    "Row",
    "Case",
    "Measurement",
    "Artifact",
    "TensorSpec",
    "Recipe",
    "Placement",
    "Failure",
    "Validity",
    "Robustness",
    "Cell",
)
_MANIFEST = ("Manifest", "Plan", "Confinement", "Case", "ModelEntry", "Training", "Epoch", "Measurement", "Environment")
_PROFILE = ("Profile", "OperatorTime")


def _records(title: str, page: str, of: type, order: tuple[str, ...]) -> str:
    (schema,), records = msgspec.json.schema_components([of], ref_template="#/$defs/{name}")
    del schema
    return f"{title}\n\n{sections({'$defs': records}, page=page, titles={}, order=order)}"


def _metrics() -> str:
    rows = [(f"`{m.name}`", m.title, f"`{m.unit}`", m.better, cell(m.about)) for m in METRICS.values()]
    judged = [(f"`{m.name}`", m.title, f"`{m.unit}`", m.better, m.judges, cell(m.about)) for m in QUALITY.values()]
    return (
        '## Metrics\n\nThe figures that a row may hold. "Better" is the direction of an improvement.\n\n'
        f"{table(('metric', 'in tables', 'unit', 'better', ''), rows)}\n"
        "`accuracy` holds the model's own metric, one of these:\n\n"
        f"{table(('metric', 'in tables', 'unit', 'better', 'judges', ''), judged)}"
    )


def _sensors() -> str:
    rows = []
    for name, place in SENSORS.items():
        module, _, attribute = place.partition(":")
        sensor = getattr(importlib.import_module(module), attribute)
        rows += [
            (f"`{name}`", f"`{quantity}`", f"`{told.unit}`", told.kind, cell(told.about))
            for quantity, told in sensor.quantities.items()
        ]
    return f"### Quantities\n\n{table(('sensor', 'quantity', 'unit', 'kind', ''), rows)}"


def _columns(name: str, schema: Mapping[str, pl.DataType], about: Mapping[str, str]) -> str:
    if set(schema) != set(about):
        raise LookupError(
            f"{name}: columns without words, or words without a column: {sorted(set(schema) ^ set(about))}"
        )
    rows = [(f"`{column}`", _type(kind), about[column]) for column, kind in schema.items()]
    return table(("column", "type", ""), rows)


def _type(kind: pl.DataType) -> str:
    return "struct" if isinstance(kind, pl.Struct) else f"`{kind}`"
