"""Raw samples become figures: the right value, unit, count and interval, or the reason why not."""

from __future__ import annotations

import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import capacity, latency, memory
from bench.metrics.floors import Floors
from bench.metrics.row import make_row
from bench.optional import NO_INTERVAL, installed
from bench.record.case import Case
from bench.record.metric import METRICS
from bench.record.observation import (
    Capacity,
    Failure,
    Observation,
    Phase,
    Placement,
    Plan,
    Reading,
    Samples,
    SensorState,
    Telemetry,
    Validity,
    Warmup,
)
from bench.record.row import Row

CASE = Case(model="m", variant="fp32", runtime="onnxruntime", provider="cpu", batch=2)
PLAN = Plan()


def samples(values: np.ndarray, block: int = 50, pause_ns: int = 10**9) -> Samples:
    """Calls back to back in blocks, with a long pause of the harness between two blocks."""
    blocks = np.arange(len(values)) // block
    starts = np.concatenate(([0], np.cumsum(values)[:-1])) + blocks * pause_ns
    return Samples(
        start_ns=starts.astype(np.int64),
        latency_ns=values.astype(np.int64),
        block=blocks.astype(np.int64),
        stopped_by="precision: reached",
    )


def seen(values: np.ndarray, invocation: int = 0, **more: object) -> Observation:
    fields = {
        "case": CASE,
        "invocation": invocation,
        "status": "ok",
        "samples": samples(values),
        "warmup": Warmup(calls=1, seconds=0.1, steady=True, how="steady"),
        "placement": Placement(provider="CPU", nodes={"CPU": 3}, evidence="e"),
        "phases": (Phase("measure", 0, 10**9),),
        **more,
    }
    return Observation(**fields)  # type: ignore[arg-type]


def noise(n: int = 3000, level: float = 1e5) -> np.ndarray:
    return np.random.default_rng(1).lognormal(np.log(level), 0.05, n)


def test_percentiles_are_latencies_that_were_seen_with_an_interval_around_them() -> None:
    values = noise()
    found = latency.figures([seen(values)], 0.95)
    for name, q in (("p50_latency", 0.5), ("p90_latency", 0.9), ("p99_latency", 0.99)):
        figure = found[name]
        assert figure.n == 3000
        assert figure.value == pytest.approx(np.quantile(values.astype(np.int64), q, method="inverted_cdf") * 1e-9)
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= figure.value <= figure.high
    assert found["p999_latency"].how == "unavailable:too few samples (3000 of 6636)"


def test_a_percentile_needs_its_samples() -> None:
    found = latency.figures([seen(noise(100))], 0.95)
    assert found["p90_latency"].value is not None
    assert found["p99_latency"].how == "unavailable:too few samples (100 of 662)"


def test_throughput_counts_examples_and_leaves_the_pauses_of_the_harness_out() -> None:
    found = latency.figures([seen(np.full(500, 1e6))], 0.95)
    assert found["throughput"].value == pytest.approx(2 / 1e-3), "2 examples a call of 1 ms"


def test_the_mean_has_an_interval_over_blocks_and_outliers_are_counted_not_deleted() -> None:
    values = noise()
    values[100] = 1e8
    found = latency.figures([seen(values)], 0.95)
    assert found["mean_latency"].value == pytest.approx(values.astype(np.int64).mean() * 1e-9)
    assert found["mean_latency"].low is not None
    assert found["outlier_share"].value == pytest.approx(1 / 3000)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 5), st.floats(0.0, 0.1))
def test_invocations_that_differ_widen_the_interval(count: int, spread: float) -> None:
    levels = 1e5 * (1 + spread * np.linspace(-1, 1, count))
    alike = latency.figures([seen(noise(1000), at) for at in range(count)], 0.95)["p50_latency"]
    apart = latency.figures([seen(noise(1000, levels[at]), at) for at in range(count)], 0.95)["p50_latency"]
    assert alike.high is not None
    assert alike.low is not None
    assert apart.high is not None
    assert apart.low is not None
    assert apart.high - apart.low >= (alike.high - alike.low) * 0.9


def test_memory_is_taken_at_the_edges_and_the_rest_says_why_it_is_missing() -> None:
    def at(edge: str, **values: float) -> tuple[str, tuple[Reading, ...]]:
        return edge, tuple(Reading(0, "process", "tree", name, value) for name, value in values.items())

    telemetry = Telemetry(
        snapshots=dict(
            [
                at("before-load", rss=100.0),
                at("after-load", rss=150.0),
                at("measure-start", rss=160.0, peak_rss=180.0),
                at("measure-end", rss=999.0, peak_rss=999.0),
            ]
        )
    )
    found = memory.figures([seen(noise(), telemetry=telemetry, facts={"peak_reset": True})])
    value = {name: figure.value for name, figure in found.items()}
    assert value["rss_before_load"] == 100
    assert value["rss_after_load"] == 150
    assert value["rss_steady"] == 160
    assert value["rss_added"] == 60
    assert value["peak_rss"] == 180
    assert found["pss_steady"].reason
    unsure = memory.figures([seen(noise(), telemetry=telemetry)])
    assert "could not be reset" in unsure["peak_rss"].how


def test_memory_that_the_sensor_could_not_read_has_the_sensor_s_reason() -> None:
    blind = SensorState(sensor="process", source="/proc", period_s=1, available=False, reason="/proc is not there")
    telemetry = Telemetry(sensors=(blind,))
    found = memory.figures([seen(noise(), telemetry=telemetry)])
    assert {figure.how for figure in found.values()} == {"unavailable:/proc is not there"}
    assert row(seen(noise(), telemetry=telemetry)).warnings == ("no memory figures: /proc is not there",)


def test_without_scipy_a_percentile_stands_and_says_why_it_has_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = latency.figures([seen(noise())], 0.95)["p99_latency"]
    # What is None there is neither found nor imported.
    monkeypatch.setitem(sys.modules, "scipy", None)
    installed.cache_clear()
    try:
        bare = latency.figures([seen(noise())], 0.95)["p99_latency"]
    finally:
        monkeypatch.undo()
        installed.cache_clear()
    assert bare.value == whole.value
    assert (bare.low, bare.high) == (None, None)
    assert bare.how.endswith(f"no interval: {NO_INTERVAL}")


def test_a_start_has_no_rate() -> None:
    cold = msgspec.structs.replace(CASE, scenario="cold-start")
    (figure,) = {latency.figures([seen(noise(), case=cold)], 0.95)["throughput"]}
    assert figure.how == "unavailable:a start has no rate"


def row(*observations: Observation, plan: Plan = PLAN) -> Row:
    return make_row(CASE, observations, artifact=None, dataset="d", plan=plan, floors=Floors())


def test_a_row_has_every_figure_of_the_table_or_its_reason() -> None:
    made = row(seen(noise()))
    assert list(made.metrics) == list(METRICS)
    for name, figure in made.metrics.items():
        assert figure.unit == METRICS[name].unit
        assert figure.value is not None or figure.reason


def test_a_failed_invocation_makes_the_row_failed_with_its_reason_in_every_figure() -> None:
    bad = Observation(case=CASE, invocation=1, status="failed", failure=Failure(reason="it crashed", phase="load"))
    made = row(seen(noise()), bad)
    assert made.status == "failed"
    assert {figure.value for figure in made.metrics.values()} == {None}
    assert "it crashed" in made.metrics["p50_latency"].how


def test_a_row_warns_of_what_a_reader_has_to_know() -> None:
    unsteady = seen(noise(), warmup=Warmup(calls=9, seconds=3, steady=False, how="no steady state within 3 s"))
    split = seen(noise(), placement=Placement(provider="CUDA", nodes={"CUDA": 7, "CPU": 2}, evidence="e"))
    told = " | ".join(row(unsteady).warnings + row(split).warnings)
    assert "not steady: no steady state within 3 s" in told
    assert "the graph is split: 7 on CUDA, 2 on CPU" in told
    drifting = seen(noise(3000) * np.linspace(1, 1.3, 3000))
    assert any("drift: latency rose" in warning for warning in row(drifting).warnings)
    rough = row(
        seen(noise(200) * np.random.default_rng(0).choice([1, 2], 200)),
        plan=msgspec.structs.replace(PLAN, precision=1e-4),
    )
    assert any("p50 is known to" in warning for warning in rough.warnings)
    assert row(seen(noise())).warnings == ()
    # By a clock too coarse for the calls there is no share to be known closely.
    ticks = np.where(np.arange(3000) % 10, 0, 100)
    coarse = row(seen(ticks), plan=msgspec.structs.replace(PLAN, precision=1e-4))
    assert coarse.metrics["p50_latency"].value == 0
    assert not any("p50" in warning for warning in coarse.warnings)


def test_validity_holds_for_a_row_only_if_it_holds_for_every_invocation() -> None:
    good, bad = Validity(rules="MLPerf", valid=True), Validity(rules="MLPerf", valid=False, reasons=("too short",))
    made = row(seen(noise(), validity=good), seen(noise(), 1, validity=bad))
    assert made.validity == bad
    assert row(seen(noise(), validity=good)).validity == good


def test_capacity_lies_between_a_rate_that_held_and_one_that_failed() -> None:
    found = capacity.figures([seen(noise(), capacity=Capacity(bound_s=0.01, rate=100.0, low=95.0, high=110.0))])
    assert found["capacity"].value == 100
    assert (found["capacity"].low, found["capacity"].high) == (95, 110)
    none = capacity.figures([seen(noise(), capacity=Capacity(bound_s=0.01))])
    assert none["capacity"].how == "unavailable:no rate held the bound of 10 ms"
    assert "no rate was searched for" in capacity.figures([seen(noise())])["capacity"].how
