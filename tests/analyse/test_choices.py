"""Rows of several scenarios folded into choices."""

from __future__ import annotations

from typing import Any

import pytest

from bench.analyse.choices import choices
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Failure, Placement
from bench.record.row import Row


def row(scenario: str = "single-stream", *, failure: str | None = None, measured: bool = True, **more: Any) -> Row:
    """A row with the figures that are given by name; every other one is unavailable."""
    values = {name: more.pop(name) for name in METRICS if name in more}
    options = more.pop("options", {})
    warnings = more.pop("warnings", ())
    case = Case(
        **{"model": "m", "variant": "int8", "runtime": "onnxruntime", "provider": "cpu"} | more,
        scenario=scenario,
        options=options,
    )
    return Row(
        case=case,
        status="ok" if failure is None else "failed",
        dataset="digits",
        metrics={
            name: Measurement(value=values[name], unit=metric.unit, n=9, how="measured:clock")
            if name in values
            else Measurement.unavailable(metric.unit, "not here")
            for name, metric in METRICS.items()
        },
        failure=None if failure is None else Failure(reason=failure, phase="measure"),
        placement=Placement(provider="cpu", nodes={}, evidence="by hand") if measured else None,
        warnings=warnings,
    )


def search(p99_ms: float, capacity: float, **more: Any) -> Row:
    """A server row with the highest rate under a bound."""
    return row(
        "server", capacity=capacity, options={"rate": "search", "p99_ms": p99_ms, **more.pop("options", {})}, **more
    )


def test_rows_that_differ_in_the_scenario_alone_are_one_choice():
    (found,) = choices(
        [
            row(p50_latency=1e-4, throughput=9_000.0, peak_rss=5e7, accuracy=0.98, size=1024.0, warnings=("a", "b")),
            row("offline", throughput=12_000.0, p50_latency=3.0, warnings=("b",)),
            search(10.0, 7_000.0, p50_latency=2.0),
            row("cold-start", cold_start=0.5),
        ],
        {"m": "accuracy"},
    )
    assert found.name == "m/int8/onnxruntime-cpu/t1/b1"
    assert {name: figure.value for name, figure in found.figures.items() if figure.value is not None} == {
        "p50_latency": 1e-4,
        "throughput": 12_000.0,
        "peak_rss": 5e7,
        "accuracy": 0.98,
        "size": 1024.0,
        "capacity": 7_000.0,
        "cold_start": 0.5,
    }
    assert found.offline
    assert found.figures["throughput"].how.endswith("offline")
    assert (found.capacity_bound_s, found.judged_by, found.warnings) == (0.01, "accuracy", ("a", "b"))
    assert len(found.cases) == 4


def test_options_of_the_runtime_make_another_choice_and_those_of_the_scenario_do_not():
    found = choices([row(options={"arena": False}), search(10.0, 5.0, options={"arena": False}), row(threads=2), row()])
    assert [each.name for each in found] == [
        "m/int8/onnxruntime-cpu/t1/b1/arena=False",
        "m/int8/onnxruntime-cpu/t2/b1",
        "m/int8/onnxruntime-cpu/t1/b1",
    ]
    assert [each.figures["capacity"].value for each in found] == [5.0, None, None]


@pytest.mark.parametrize(
    ("p99_s", "bound_s", "capacity"),
    [(None, 0.005, 100.0), (0.01, 0.01, 200.0), (0.015, 0.01, 200.0), (1.0, 0.02, 300.0), (0.001, 0.005, 100.0)],
)
def test_of_several_bounds_the_largest_within_the_one_asked_for_counts_else_the_tightest(p99_s, bound_s, capacity):
    rows = [search(10.0, 200.0), search(5.0, 100.0), search(20.0, 300.0)]
    (found,) = choices(rows, p99_s=p99_s)
    assert found.capacity_bound_s == bound_s
    assert found.figures["capacity"].value == capacity


def test_a_capacity_of_several_workers_is_not_that_of_one_process():
    (found,) = choices([row(p50_latency=1.0), search(10.0, 900.0, options={"workers": 4})])
    assert found.figures["capacity"].value is None
    assert found.capacity_bound_s is None
    assert any("more than one lane" in warning for warning in found.warnings)


def test_what_was_not_run_is_missing_with_its_reason():
    (found,) = choices([search(10.0, 900.0)])
    assert found.figures["p50_latency"].reason == "no row of the scenario single-stream"
    assert found.figures["cold_start"].reason == "no row of the scenario cold-start"
    (other,) = choices([row(p50_latency=1.0)])
    assert "no rate was searched for" in (other.figures["capacity"].reason or "")


@pytest.mark.parametrize(
    ("rows", "failure"),
    [
        ([row(failure="accuracy is below its floor", p50_latency=1.0)], "accuracy is below its floor"),
        ([row(failure="it crashed", measured=False)], "it crashed"),
        ([row(p50_latency=1.0), row("server", failure="timed out", measured=False)], None),
        ([row("server", failure="timed out", measured=False)], "timed out"),
        ([row(p50_latency=1.0)], None),
    ],
)
def test_a_choice_failed_where_it_does_not_run_or_missed_a_floor(rows, failure):
    (found,) = choices(rows)
    assert found.failure == failure


def test_the_reason_of_a_failed_scenario_stands_in_its_figures():
    (found,) = choices(
        [
            row(p50_latency=1.0),
            row("server", failure="timed out", measured=False, options={"rate": "search", "p99_ms": 5.0}),
        ]
    )
    assert found.figures["capacity"].reason == "server: timed out"
