"""A run as a table of strings, whatever it is then drawn with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.analyse.kinds import better_by
from bench.optional import NO_INTERVAL
from bench.quality import METRICS as QUALITY
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction
from bench.record.row import Row
from bench.report.training import trained
from bench.report.units import digits, scale_for, spread
from bench.store.manifest import Manifest

ABSENT = "–"
LAST = 99
"""Priority of a column without a figure: it only costs width, and its reason stands below the table."""


@dataclass(frozen=True)
class Column:
    """`priority` 0 is never dropped; the highest goes first where the width is too small.

    Cells with a `legend` are small pictures, drawn as they are; it says below the table what they mean.
    """

    title: str
    cells: tuple[str, ...]
    priority: int = 0
    numeric: bool = False
    best: frozenset[int] = frozenset()
    legend: str = ""


@dataclass(frozen=True)
class Table:
    """What a reader sees of one model: columns of equal length, and the notes under them."""

    title: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = field(default=())
    model: str = ""


@dataclass(frozen=True)
class _Figure:
    metric: str
    title: str
    priority: int
    spread: bool = False
    places: int | None = None


_FIGURES = (
    _Figure("accuracy", "accuracy", 1, places=4),
    _Figure("robustness", "robust", 3, places=3),
    _Figure("robustness_worst", "worst", 5, places=3),
    _Figure("calibration_error", "ECE", 6, places=3),
    _Figure("p50_latency", "p50", 0, spread=True),
    _Figure("p90_latency", "p90", 5),
    _Figure("p99_latency", "p99", 2),
    _Figure("throughput", "rate", 8),
    _Figure("load_time", "load", 7),
    _Figure("first_inference", "first", 9),
    _Figure("capacity", "capacity", 2),
    _Figure("cold_start", "cold start", 4),
    _Figure("rss_added", "RSS added", 3),
    _Figure("peak_rss", "peak RSS", 6),
    _Figure("energy", "energy", 4),
    _Figure("size", "size", 2),
)

_AGREEMENT = (
    _Figure("parity_agreement", "agree", 1, places=4),
    _Figure("clear_agreement", "agree clearly", 2, places=4),
    _Figure("parity_cosine", "cosine", 3, places=4),
)

_ONLY_IN = {"capacity": "server", "cold_start": "cold-start"}
"""The scenario without which a figure is not shown."""


def tables(manifest: Manifest, rows: Sequence[Row]) -> list[Table]:
    """A table for each model of the run, in the order of the suite."""
    made = []
    for model in manifest.models:
        mine = [row for row in rows if row.case.model == model.name]
        if mine:
            title = f"{model.name} · {model.dataset}"
            told = _notes(mine) + ([trained(model.training)] if model.training else [])
            made.append(Table(title, tuple(_columns(mine, model.metric)), tuple(told), model.name))
    return made


def run_notes(manifest: Manifest, rows: Sequence[Row]) -> list[str]:
    """What holds for the whole run: machine, method, what was left out."""
    told = [_machine(manifest.environment)]
    plan = manifest.plan
    counts = [row.metrics["p50_latency"].n for row in rows if row.measured]
    if counts:
        processes = f"{_range([row.invocations for row in rows if row.measured])} process invocation(s)"
        told.append(
            f"{_range(counts)} samples a case from {processes}; "
            f"{_interval(rows, plan.confidence)}; inputs in turn from a pool"
        )
    told += [f"timed, {', '.join(targets)}: {scope}" for scope, targets in _scopes(rows).items()]
    told += manifest.notes
    if manifest.status != "complete":
        told.append(
            f"{len(rows)} of {len(manifest.cases)} cases done: go on with `bench run --resume {manifest.run_id}`"
        )
    return told


def _interval(rows: Sequence[Row], confidence: float) -> str:
    if any(row.metrics["p50_latency"].how.endswith(NO_INTERVAL) for row in rows):
        return f"p50 without its interval ({NO_INTERVAL})"
    return f"p50 with its {confidence:.0%} interval"


def _scopes(rows: Sequence[Row]) -> dict[str, list[str]]:
    """What the timed call covers, with the runtimes for which it does."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if "scope" in row.facts:
            found.setdefault(str(row.facts["scope"]), {})[row.case.target] = None
    return {scope: list(targets) for scope, targets in found.items()}


def _machine(environment: Environment) -> str:
    packages = environment.packages
    versions = ", ".join(f"{name} {packages[name]}" for name in ("onnxruntime", "ai-edge-litert") if name in packages)
    gpus = ", ".join(environment.gpus) or "no GPU"
    cpu = environment.cpu_model or environment.architecture
    return f"{cpu}, {len(environment.cores_usable)} cores, {gpus}; {versions}"


def _columns(rows: Sequence[Row], metric: str | None) -> list[Column]:
    columns = [
        Column("variant", tuple(row.case.variant for row in rows)),
        Column("runtime", tuple(row.case.target for row in rows)),
    ]
    varying: tuple[tuple[str, Callable[[Row], str]], ...] = (
        ("threads", lambda row: str(row.case.threads)),
        ("batch", lambda row: str(row.case.batch)),
        ("scenario", lambda row: row.case.scenario),
        ("options", lambda row: " ".join(f"{k}={v}" for k, v in sorted(row.case.options.items()))),
    )
    for title, cell in varying:
        cells = tuple(cell(row) for row in rows)
        if len(set(cells)) > 1:
            columns.append(Column(title, cells))
    columns += [_figure_column(figure, rows, metric) for figure in _shown(rows)]
    columns.append(Column("ran on", tuple(placed(row) for row in rows), priority=4))
    if any(row.status != "ok" for row in rows):
        columns.append(Column("status", tuple(row.status for row in rows)))
    return columns


def _shown(rows: Sequence[Row]) -> list[_Figure]:
    """The figures of the table: those of a scenario only where it was run."""
    scenarios = {row.case.scenario for row in rows}
    shown = [f for f in _FIGURES if _ONLY_IN.get(f.metric) in scenarios | {None}]
    if any(row.metrics["accuracy"].value is not None for row in rows):
        return shown
    # Without labels agreement with the source is all there is to say of quality.
    agreed = [f for f in _AGREEMENT if any(row.metrics[f.metric].value is not None for row in rows)]
    return [*agreed, *shown]


def _figure_column(figure: _Figure, rows: Sequence[Row], metric: str | None) -> Column:
    found = [row.metrics[figure.metric] for row in rows]
    known = [m.value for m in found if m.value is not None]
    spec = METRICS[figure.metric]
    factor, unit = scale_for(spec.unit, known)
    named = QUALITY[metric].title if figure.metric == "accuracy" and metric else figure.title
    title = f"{named} {unit}".strip()
    cells = tuple(_cell(m, factor, figure) for m in found)
    better = better_by(figure.metric, metric) or spec.better
    best = best_rows(rows, [m.value for m in found], lambda _: better)
    return Column(title, cells, figure.priority if known else LAST, numeric=True, best=best)


def best_rows(
    rows: Sequence[Row],
    values: Sequence[float | None],
    better: Callable[[Sequence[int]], Direction],
    runs: Sequence[int] | None = None,
) -> frozenset[int]:
    """Places of the best of each group that may be compared: alike in run, model, threads, batch, scenario, options.

    `values` are one a row, None where it is not to be ranked; `better` says of the places of a group which way is an
    improvement; `runs` is the run of each row, where there are several. Only rows that are ok are in it, and only
    where they differ.
    """
    groups: dict[tuple[object, ...], dict[int, float]] = {}
    for at, (row, value) in enumerate(zip(rows, values, strict=True)):
        if value is not None and math.isfinite(value) and row.status == "ok":
            case = row.case
            options = str(sorted(case.options.items()))
            key = (runs[at] if runs else 0, case.model, case.threads, case.batch, case.scenario, options)
            groups.setdefault(key, {})[at] = value
    found: set[int] = set()
    for group in groups.values():
        way = better(list(group))
        if way != "neither" and len(set(group.values())) > 1:
            top = min(group.values()) if way == "lower" else max(group.values())
            found |= {at for at, value in group.items() if value == top}
    return frozenset(found)


def _cell(measurement: Measurement, factor: float, figure: _Figure) -> str:
    if measurement.value is None:
        return ABSENT
    value = measurement.value / factor
    shown = f"{value:.{figure.places}f}" if figure.places is not None else digits(value)
    if measurement.is_estimate:
        shown = f"≈{shown} est."
    if figure.spread and measurement.low is not None and measurement.high is not None and measurement.value:
        shown += f" {spread((measurement.high - measurement.low) / 2 / measurement.value)}"
    return shown


def placed(row: Row) -> str:
    """Who held how many nodes of the graph; the provider where nothing is counted by node."""
    if row.placement is None:
        return ABSENT
    counts = " + ".join(
        f"{name.removesuffix('ExecutionProvider')} {count}" for name, count in row.placement.nodes.items()
    )
    return counts or row.placement.provider


def _notes(rows: Sequence[Row]) -> list[str]:
    """Why a figure is absent, what failed and what to know, each said once with the cases it holds for."""
    told: dict[str, list[str]] = {}
    name = _namer(rows)
    for row in rows:
        for sentence in _sentences(row, rows):
            told.setdefault(sentence, []).append(name(row))
    everywhere = {name(row) for row in rows if row.measured}
    lines = [
        s if len(everywhere) > 1 and everywhere <= set(where) else f"{s} ({', '.join(where)})"
        for s, where in told.items()
    ]
    return lines + _not_faster(rows, name) + _validity(rows)


def _not_faster(rows: Sequence[Row], name: Callable[[Row], str]) -> list[str]:
    """Why a row that should be faster than fp32 is not, a line each."""
    return [f"why not faster, {name(row)}: {row.why_not_faster}" for row in rows if row.why_not_faster is not None]


def _sentences(row: Row, rows: Sequence[Row]) -> list[str]:
    failed = [] if row.failure is None else [f"{row.status}: {row.failure.reason}"]
    if not row.measured:
        return failed
    absent: dict[str, list[str]] = {}
    for figure in _shown(rows):
        reason = row.metrics[figure.metric].reason
        if reason is not None and row.case.scenario == _ONLY_IN.get(figure.metric, row.case.scenario):
            absent.setdefault(reason, []).append(figure.title)
    missing = [f"{', '.join(titles)}: unavailable, {reason}" for reason, titles in absent.items()]
    return failed + missing + list(row.warnings)


def _validity(rows: Sequence[Row]) -> list[str]:
    """One line a scenario on MLPerf's rules; the reasons of each row stand in its `validity`."""
    told = []
    for scenario in dict.fromkeys(row.case.scenario for row in rows):
        verdicts = [row.validity for row in rows if row.case.scenario == scenario and row.validity is not None]
        against = [verdict for verdict in verdicts if not verdict.valid]
        if against:
            told.append(
                f"{scenario}: {len(against)} of {len(verdicts)} rows do not meet MLPerf's rules; the first: "
                f"{against[0].reasons[0]} (all reasons: --json)"
            )
    return told


def _namer(rows: Sequence[Row]) -> Callable[[Row], str]:
    """Short names: variant and runtime, and whatever else differs between the rows."""
    parts: tuple[Callable[[Row], str], ...] = (
        lambda row: f"t{row.case.threads}",
        lambda row: f"b{row.case.batch}",
        lambda row: row.case.scenario,
        lambda row: " ".join(f"{key}={value}" for key, value in sorted(row.case.options.items())),
    )
    varying = [part for part in parts if len({part(row) for row in rows}) > 1]
    return lambda row: " ".join(filter(None, (row.case.variant, row.case.target, *(part(row) for part in varying))))


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
