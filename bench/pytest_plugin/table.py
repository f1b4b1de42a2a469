"""Raw samples of a case into pytest-benchmark's session: from there they are its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pytest_benchmark.session import BenchmarkSession
from pytest_benchmark.stats import Metadata

from bench.record.observation import Plan
from bench.record.row import Row
from bench.runner.conduct import Step

NS_PER_S = 1e9


class _Measured(msgspec.Struct, kw_only=True):
    """What pytest-benchmark reads of the fixture that measured."""

    name: str
    fullname: str
    group: str
    extra_info: dict[str, Any]
    param: str | None = None
    params: dict[str, Any] | None = None
    cprofile_stats: None = None
    has_error: bool = False


def session(config: pytest.Config) -> BenchmarkSession:
    """The session of pytest-benchmark: `skip` and `disabled` are what its options say."""
    found = config.pluginmanager.get_plugin("pytest-benchmark")
    assert isinstance(found, BenchmarkSession)
    return found


def add(to: BenchmarkSession, step: Step, plan: Plan, name: str, fullname: str) -> None:
    """One benchmark with a round for every sample (s), under how it was measured and not how its own timer would."""
    case = step.row.case
    measured = _Measured(
        name=name,
        fullname=fullname,
        group=f"{case.model} b{case.batch} {case.scenario}",
        extra_info=_facts(step.row),
    )
    told: Any = Metadata(measured, iterations=1, options=msgspec.to_builtins(plan))  # type: ignore[no-untyped-call]
    for seen in step.seen:
        for latency_ns in [] if seen.samples is None else seen.samples.latency_ns.tolist():
            told.update(latency_ns / NS_PER_S)
    measured.extra_info["samples"] = told.stats.rounds
    to.benchmarks.append(told)


def _facts(row: Row) -> dict[str, Any]:
    """What the samples do not say."""
    accuracy, memory = row.metrics.get("accuracy"), row.metrics.get("peak_rss")
    return {
        "case": row.case.name,
        "unit": "s",
        "provider": None if row.placement is None else row.placement.provider,
        "accuracy": None if accuracy is None else accuracy.value,
        "peak_rss": None if memory is None else memory.value,
        "warnings": list(row.warnings),
    }
