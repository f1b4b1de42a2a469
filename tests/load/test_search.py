"""The search finds the highest rate that holds a bound, and says between which rates it lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import MS, erlang_wait, virtual_crew

from bench.load import search, server
from bench.load.base import Settings, Watch
from bench.record.observation import Plan, Probe


def trial_of(limit: float, doubt: float = 1.0) -> Callable[[float], Probe]:
    """Rates up to `limit` are within bound; within a factor `doubt` of it nothing is sure."""

    def trial(rate: float) -> Probe:
        verdict: Literal["held", "failed", "open"] = "open"
        if rate <= limit / doubt:
            verdict = "held"
        elif rate > limit * doubt:
            verdict = "failed"
        return Probe(rate=rate, queries=1, late=0, within=rate <= limit, verdict=verdict)

    return trial


@given(st.floats(1 / 30, 0.8), st.floats(1e-3, 1e6), st.floats(0.01, 0.2), st.floats(1.0, 1.2))
def test_the_limit_lies_between_what_surely_held_and_what_surely_failed(
    share: float, ceiling: float, tolerance: float, doubt: float
) -> None:
    limit = share * ceiling
    found = search.capacity(trial_of(limit, doubt), ceiling, bound_s=1, tolerance=tolerance)
    assert found.rate is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.rate <= limit < found.high
    assert len(found.probes) <= search.MOST_PROBES
    if len(found.probes) < search.MOST_PROBES:
        assert limit / found.rate <= 1 + tolerance
        assert limit / doubt / found.low <= 1 + tolerance
        assert found.high / (limit * doubt) <= 1 + tolerance
    assert all(probe.rate <= ceiling for probe in found.probes)


def test_a_ceiling_that_holds_is_the_answer_at_once() -> None:
    found = search.capacity(trial_of(100), 50, bound_s=1, tolerance=0.02)
    assert (found.low, found.rate, found.high, len(found.probes)) == (50, 50, None, 1)


@pytest.mark.parametrize(("ceiling", "tolerance"), [(0, 0.02), (-1, 0.02), (100, 0), (float("nan"), 0.02)])
def test_nothing_is_searched_up_to_nothing_or_for_ever(ceiling: float, tolerance: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        search.capacity(trial_of(100), ceiling, bound_s=1, tolerance=tolerance)


def test_where_nothing_holds_there_is_no_rate() -> None:
    found = search.capacity(trial_of(0), 512, bound_s=1, tolerance=0.02)
    assert (found.low, found.rate) == (None, None)
    assert found.high == pytest.approx(1)


def true_limit(bound_services: float) -> float:
    """The load of an M/D/1 queue whose 99th percentile of latency is `bound_services` service times."""
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if erlang_wait(middle, bound_services - 1) >= 0.99 else (low, middle)
    return low


PLAN = Plan(min_s=0.001, max_s=1e6, min_samples=60_000, seed=3, timeout_s=1e9)


@pytest.mark.parametrize("bound", [3.0, 6.0])
def test_the_true_capacity_of_a_known_queue_is_found(bound: float) -> None:
    begun: list[None] = []
    found = server.measure(
        virtual_crew([[MS]]),
        PLAN,
        Settings({"rate": "search", "p99_ms": bound}, seed=PLAN.seed),
        Watch(begin=lambda: begun.append(None)),
    )
    capacity, truth = found.capacity, true_limit(bound) * 1000
    assert capacity is not None
    assert capacity.rate is not None
    assert capacity.low is not None
    assert capacity.high is not None
    assert capacity.rate == pytest.approx(truth, rel=0.03)
    assert capacity.low < truth < capacity.high
    assert capacity.high / capacity.low < 1.4
    assert found.facts["rate"] == capacity.measured_rate == capacity.low
    assert begun, "the measured run is told apart from the search"
    assert found.samples.latency_ns.size == 60_000, "the samples are those of the measured run, all of them"
    assert not any("p99" in reason for reason in found.validity.reasons)


def test_a_rate_that_the_search_was_misled_to_is_lowered_until_it_holds() -> None:
    services, begun = [MS], 0

    def slower() -> None:
        # The machine throttles as soon as the search is over.
        nonlocal begun
        services[0], begun = int(1.14 * MS), begun + 1

    found = server.measure(
        virtual_crew([services]),
        msgspec.structs.replace(PLAN, min_samples=5000),
        Settings({"rate": "search", "p99_ms": 3.0}, seed=PLAN.seed),
        Watch(begin=slower),
    ).capacity
    assert found is not None
    assert found.rate is not None
    assert found.low is not None
    *misled, last = found.probes[-begun:]
    assert misled
    assert not any(probe.verdict == "held" for probe in misled)
    assert last.verdict == "held"
    assert found.low == found.measured_rate == last.rate < misled[-1].rate


def test_a_bound_below_the_service_time_is_held_by_no_rate() -> None:
    found = server.measure(
        virtual_crew([[MS]]),
        Plan(min_s=0.1, max_s=10, min_samples=50),
        Settings({"rate": "search", "p99_ms": 0.5}),
        Watch(),
    )
    assert found.capacity is not None
    assert found.capacity.rate is None
    assert any("p99" in reason for reason in found.validity.reasons)
    assert len(found.samples.latency_ns) > 0


def test_no_rate_over_max_rate_is_tried() -> None:
    found = server.measure(
        virtual_crew([[MS]]),
        Plan(min_s=0.1, max_s=1e6, min_samples=2000, timeout_s=1e9),
        Settings({"rate": "search", "p99_ms": 20.0, "max_rate": 200}),
        Watch(),
    )
    assert found.capacity is not None
    assert found.capacity.rate == 200
    assert found.capacity.high is None
    assert all(probe.rate <= 200 for probe in found.capacity.probes)


def test_more_workers_carry_more() -> None:
    rates = []
    for workers in (1, 2):
        found = server.measure(
            virtual_crew([[MS]] * workers),
            Plan(min_s=0.1, max_s=1e6, min_samples=700, timeout_s=1e9),
            Settings({"rate": "search", "p99_ms": 4.0, "workers": workers}),
            Watch(),
        )
        assert found.capacity is not None
        assert found.capacity.rate is not None
        rates.append(found.capacity.rate)
    assert rates[1] > 1.8 * rates[0]
