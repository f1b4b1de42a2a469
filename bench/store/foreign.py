"""Files of other tools as snapshots: the JSON of pytest-benchmark and of Google Benchmark.

pytest-benchmark (`--benchmark-json`, `--benchmark-save`): `benchmarks[].stats` in seconds a call, `data` the rounds
where they were saved, `machine_info` with py-cpuinfo's keys under `cpu`.

Google Benchmark (`--benchmark_format=json`): `benchmarks[]` holds every repetition (`run_type` "iteration": the mean
of its iterations, in `time_unit`) and statistics over them ("aggregate"). Files of versions before 1.5 lack
`run_type`; there an aggregate is known by the end of its name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from polars.exceptions import PolarsError

from bench.errors import UserError
from bench.machine.environment import FEATURES
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.row import SCHEMA as ROW_SCHEMA
from bench.stats.estimate import Estimate
from bench.stats.interval import median_interval, over_invocations
from bench.store.columns import case_columns, figure_columns
from bench.store.snapshot import Snapshot, fingerprint

CONFIDENCE = 0.95
_SECONDS = {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0}
"""How many of a unit are a second: dividing by these keeps short decimals short."""
_AGGREGATE = re.compile(r"(.+)_(mean|median|stddev|cv|min|max|BigO|RMS)")
_REMEDY = "give the JSON of pytest-benchmark (--benchmark-json) or Google Benchmark (--benchmark_format=json)"

Figures = dict[str, Measurement]
_Rounds = Annotated[int, msgspec.Meta(ge=1)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Stats(msgspec.Struct, frozen=True):
    median: float
    mean: float
    rounds: _Rounds
    iterations: int = 1
    data: list[float] | None = None


class _Pytest(msgspec.Struct, frozen=True):
    name: str
    stats: _Stats
    fullname: str | None = None


class _PytestFile(msgspec.Struct, frozen=True):
    benchmarks: list[_Pytest]
    machine_info: dict[str, Any]
    datetime: str = ""
    version: str = ""


class _Google(msgspec.Struct, frozen=True):
    name: str
    run_name: str | None = None
    run_type: Literal["iteration", "aggregate"] | None = None
    repetitions: _Count = 0
    aggregate_name: str | None = None
    time_unit: Literal["ns", "us", "ms", "s"] = "ns"
    real_time: float | None = None
    cpu_time: float | None = None
    error_occurred: bool = False
    error_message: str = ""
    skipped: bool = False
    skip_message: str = ""

    @property
    def aggregate(self) -> str | None:
        """Which statistic this is; None for a repetition."""
        if self.run_type is None:
            found = _AGGREGATE.fullmatch(self.name)
            return found[2] if found else None
        return self.aggregate_name or "" if self.run_type == "aggregate" else None

    @property
    def case(self) -> str:
        """The name without that of the statistic."""
        found = _AGGREGATE.fullmatch(self.name) if self.run_type is None else None
        return self.run_name or (found[1] if found else self.name)


class _GoogleFile(msgspec.Struct, frozen=True):
    benchmarks: list[_Google]
    context: dict[str, Any]


def read_foreign(path: Path) -> Snapshot:
    """The figures of a pytest-benchmark or Google Benchmark file, told apart by content.

    Cases carry the tool's own names, `fullname` or `run_name`, which contain the parameters. Raises `UserError` where
    the file is neither, or holds no benchmark or something that is no time.
    """
    try:
        # The standard parser: Google Benchmark writes NaN, which JSON does not have.
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read the file: {error.strerror}", where=str(path), remedy="check the path") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"the file is not JSON: {error}", where=str(path), remedy=_REMEDY) from error
    keys = set(content) if isinstance(content, dict) else set()
    if "benchmarks" not in keys or not keys & {"machine_info", "context"}:
        raise UserError(
            "the file is neither a saved baseline nor of a tool that is known here", where=str(path), remedy=_REMEDY
        )
    try:
        if "machine_info" in keys:
            return _from_pytest(msgspec.convert(content, _PytestFile), path)
        return _from_google(msgspec.convert(content, _GoogleFile), path)
    # A count may be beyond what a column holds, and JSON may escape half a character, which no column holds.
    except (msgspec.ValidationError, OverflowError, PolarsError, UnicodeEncodeError) as error:
        raise UserError(
            f"the file is damaged: {str(error).splitlines()[0]}", where=str(path), remedy=_REMEDY
        ) from error


def _from_pytest(found: _PytestFile, path: Path) -> Snapshot:
    named: dict[str, Figures] = {}
    for bench in found.benchmarks:
        case = bench.fullname or bench.name
        if case in named:
            raise UserError(f"two benchmarks are named {case!r}", where=str(path), remedy="keep one of them")
        named[case] = _rounds(bench.stats, case, path)
    info = found.machine_info
    cpu: Any = info.get("cpu")
    cpu = cpu if isinstance(cpu, dict) else {}
    machine = _machine(
        cpu_model=_word(cpu, "brand_raw") or _word(cpu, "brand"),
        flags=cpu.get("flags"),
        architecture=_word(info, "machine"),
        kernel=_word(info, "release"),
        system=_word(info, "system"),
        python=_word(info, "python_version"),
    )
    notes = [f"{path.name} is of pytest-benchmark {found.version}".rstrip()]
    node = _word(info, "node")
    notes += [f"measured on the host {node}"] if node else []
    return _snapshot(path, found.datetime, machine, {case: ("ok", None, f) for case, f in named.items()}, notes)


def _rounds(stats: _Stats, case: str, path: Path) -> Figures:
    """The median with its interval where the rounds were saved, and the mean."""
    data = np.array(stats.data or [], dtype=np.float64)
    for time in (stats.median, stats.mean, *(data if not (np.isfinite(data) & (data >= 0)).all() else ())):
        _check(time, "stats", case, path)
    how = "measured:pytest-benchmark" + (
        f"; rounds are means of {stats.iterations} iterations" if stats.iterations > 1 else ""
    )
    interval = median_interval(data, confidence=CONFIDENCE) if data.size else None
    if isinstance(interval, Estimate):
        # Theirs is halfway between two rounds, where the interval's is one of them.
        median = Measurement(
            value=stats.median,
            unit="s",
            n=stats.rounds,
            how=how,
            low=min(interval.low, stats.median),
            high=max(interval.high, stats.median),
            confidence=CONFIDENCE,
        )
    else:
        reason = "the rounds were not saved" if interval is None else interval.reason
        median = Measurement(value=stats.median, unit="s", n=stats.rounds, how=f"{how}; no interval: {reason}")
    return {
        "p50_latency": median,
        "mean_latency": Measurement(value=stats.mean, unit="s", n=stats.rounds, how=how),
    }


def _from_google(found: _GoogleFile, path: Path) -> Snapshot:
    entries: dict[str, list[_Google]] = {}
    for entry in found.benchmarks:
        entries.setdefault(entry.case, []).append(entry)
    cases = {case: _repetitions(case, each, path) for case, each in entries.items()}
    told = found.context
    notes = [f"{path.name} is of Google Benchmark {_word(told, 'library_version') or ''}".rstrip()]
    host = _word(told, "host_name")
    notes += [f"measured on the host {host}"] if host else []
    if told.get("library_build_type") == "debug":
        notes.append("Google Benchmark itself was built for debugging: its times are too long")
    if told.get("cpu_scaling_enabled") is True:
        notes.append("the CPU's frequency was free to change")
    # The context says nothing that a fingerprint holds.
    return _snapshot(path, _word(told, "date") or "", _machine(), cases, notes)


def _repetitions(case: str, entries: Sequence[_Google], path: Path) -> tuple[str, str | None, Figures]:
    """Status, reason and figures of a benchmark, from its repetitions or else from the statistics over them."""
    for entry in entries:
        if entry.error_occurred:
            return "failed", entry.error_message or "the benchmark ended with an error", {}
    for entry in entries:
        if entry.skipped:
            return "unavailable", entry.skip_message or "the benchmark was skipped", {}
    single = [entry for entry in entries if entry.aggregate is None]
    if not single:
        return "ok", None, _aggregates(case, entries, path)
    count = len(single)
    how = f"measured:google-benchmark; {count} repetition{'s' if count > 1 else ''}, each a mean of its iterations"
    real = [_time(entry.real_time, "real_time", entry, path) for entry in single]
    figures = {
        "p50_latency": _median(real, how),
        "mean_latency": Measurement(value=float(np.mean(real)), unit="s", n=count, how=how),
    }
    if all(entry.cpu_time is not None for entry in single):
        figures["cpu_time"] = _median([_time(entry.cpu_time, "cpu_time", entry, path) for entry in single], how)
    return "ok", None, figures


def _median(values: Sequence[float], how: str) -> Measurement:
    bounds = over_invocations(values, confidence=CONFIDENCE)
    low, high = bounds or (None, None)
    return Measurement(
        value=float(np.median(values)),
        unit="s",
        n=len(values),
        how=how,
        low=low,
        high=high,
        confidence=None if bounds is None else CONFIDENCE,
    )


def _aggregates(case: str, entries: Sequence[_Google], path: Path) -> Figures:
    """Median and mean as the file states them."""
    by_name = {entry.aggregate: entry for entry in entries}
    figures = {}
    for metric, statistic, field in (
        ("p50_latency", "median", "real_time"),
        ("mean_latency", "mean", "real_time"),
        ("cpu_time", "median", "cpu_time"),
    ):
        entry = by_name.get(statistic)
        if entry is None:
            figures[metric] = Measurement.unavailable("s", f"the file holds no {statistic} of {case}")
        else:
            how = f"measured:google-benchmark; {statistic} as stated, no interval: the repetitions were not saved"
            value = _time(getattr(entry, field), field, entry, path)
            figures[metric] = Measurement(value=value, unit="s", n=entry.repetitions, how=how)
    return figures


def _time(value: float | None, field: str, entry: _Google, path: Path) -> float:
    return _check(value, field, entry.name, path) / _SECONDS[entry.time_unit]


def _check(value: float | None, field: str, name: str, path: Path) -> float:
    if value is None or not math.isfinite(value) or value < 0:
        told = "missing" if value is None else f"{value:g}"
        raise UserError(f"{field} of {name!r} is no time: {told}", where=str(path), remedy="measure that one again")
    return value


def _snapshot(
    path: Path,
    created: str,
    machine: dict[str, str | None],
    cases: dict[str, tuple[str, str | None, Figures]],
    notes: Sequence[str],
) -> Snapshot:
    if not cases:
        raise UserError("the file holds no benchmark", where=str(path), remedy="run at least one")
    return Snapshot(
        label=path.name,
        created=created,
        machine=machine,
        cases=case_columns(
            [
                {"case": case, "status": status, "reason": reason, "invocations": 1, "schema": ROW_SCHEMA}
                for case, (status, reason, _) in cases.items()
            ]
        ),
        figures=figure_columns(
            (case, metric, figure) for case, (_, _, figures) in cases.items() for metric, figure in figures.items()
        ),
        notes=tuple(notes),
    )


def _machine(*, flags: Any = None, **told: str | None) -> dict[str, str | None]:
    """The fingerprint of what a file tells of its machine; None for every key that it does not tell."""
    known = {flag for flag in flags if isinstance(flag, str)} if isinstance(flags, list) else set()
    found = fingerprint(
        Environment(
            cpu_model=told.get("cpu_model"),
            cpu_features=tuple(name for name in FEATURES if name in known),
            architecture=told.get("architecture") or "",
            cores_usable=(),
            cores_logical=None,
            governor=None,
            frequency_max_hz=None,
            cache_bytes=None,
            memory_bytes=0,
            memory_limit_bytes=None,
            cpu_quota_cores=None,
            kernel=told.get("kernel") or "",
            system=told.get("system") or "",
            virtualisation="hypervisor" if "hypervisor" in known else None,
            gpus=(),
            gpu_driver=None,
            python=told.get("python") or "",
            packages={},
        )
    )
    return {key: value or None for key, value in found.items()}


def _word(table: dict[str, Any], key: str) -> str | None:
    value = table.get(key)
    return value if isinstance(value, str) and value else None
