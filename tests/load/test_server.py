"""Queries arrive at random; their latency counts from when they were due, and the queue is the textbook's."""

from __future__ import annotations

import heapq
import math
import time
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import MS, erlang_wait, virtual_crew

from bench.load import server
from bench.load.base import REAL, OptionError, Requests, Settings, Watch
from bench.load.crew import Crew
from bench.load.queueing import poisson, serve
from bench.record.observation import Plan

LONG = Plan(min_s=0.001, max_s=1e9, min_samples=300_000, block_s=1.0)


@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
def test_waits_are_those_of_an_m_d_1_queue(load: float) -> None:
    """Pollaczek-Khinchine: the mean wait is rho D / (2 (1 - rho)). The same code serves a real session."""
    service = MS
    # The nearer to full, the longer a burst lasts and the more arrivals a mean takes.
    count = 2_000_000 if load > 0.8 else 300_000
    plan = msgspec.structs.replace(LONG, min_samples=count)
    served = serve(virtual_crew([[service]]), poisson(load / 1e-3, seed=0, plan=plan), cut_s=1e9)
    wait = served.start_ns - served.scheduled_ns
    assert len(wait) == count
    assert wait.mean() == pytest.approx(load * service / (2 * (1 - load)), rel=0.05)
    for services in (1.0, 3.0):
        assert (wait <= services * service).mean() == pytest.approx(erlang_wait(load, services), abs=0.01)


def test_a_busier_queue_waits_longer_on_the_same_luck() -> None:
    means = []
    for rate in (300, 600, 900, 990):
        served = serve(virtual_crew([[MS]]), poisson(rate, 0, msgspec.structs.replace(LONG, min_samples=5000)), cut_s=9)
        means.append(served.latency_ns.mean())
    assert means == sorted(means)


def first_come_first_served(arrivals: list[int], services: list[list[int]]) -> list[tuple[int, int]]:
    """(start, end) of each arrival when the lane that is free first takes it; lanes have service times of their own."""
    free = [(0, lane) for lane in range(len(services))]
    heapq.heapify(free)
    used = [0] * len(services)
    found = []
    for due in arrivals:
        at, lane = heapq.heappop(free)
        start = max(at, due)
        end = start + services[lane][used[lane] % len(services[lane])]
        used[lane] += 1
        found.append((start, end))
        heapq.heappush(free, (end, lane))
    return found


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 5 * MS), min_size=1, max_size=25),
    st.lists(st.integers(1, 4 * MS), min_size=1, max_size=5),
    st.integers(1, 3),
)
def test_several_workers_serve_in_the_order_of_arrival(gaps: list[int], services: list[int], workers: int) -> None:
    arrivals = np.cumsum(gaps).astype(np.int64)
    served = serve(virtual_crew([services] * workers), arrivals, cut_s=1e9)
    # Lanes are alike, so whichever of two free ones takes a query, as many queries run at each moment.
    if len(set(services)) == 1:
        expected = first_come_first_served((arrivals + served.begin_ns).tolist(), [services] * workers)
        assert list(zip(served.start_ns.tolist(), served.end_ns.tolist(), strict=True)) == expected
    assert (served.scheduled_ns == arrivals + served.begin_ns).all()
    assert (served.scheduled_ns <= served.ready_ns).all()
    assert (served.ready_ns <= served.start_ns).all()
    assert (served.start_ns <= served.end_ns).all()
    assert (served.latency_ns >= min(services)).all(), "no answer comes faster than its service"
    assert (np.diff(served.start_ns) >= 0).all(), "nobody jumps the queue"
    assert most_at_once(served.start_ns, served.end_ns) <= workers
    assert served.unserved == 0


def most_at_once(starts: np.ndarray, ends: np.ndarray) -> int:
    steps = sorted([(int(t), 1) for t in starts] + [(int(t), -1) for t in ends])
    return int(np.cumsum([step for _, step in steps]).max())


def test_what_the_harness_adds_is_told_apart_and_makes_the_run_invalid() -> None:
    late, prompt = (
        server.measure(virtual_crew([[MS]], overshoot), short(500), Settings({"rate": 100, "p99_ms": 50.0}), Watch())
        for overshoot in (MS // 2, 0)
    )
    assert late.facts["lag_mean_s"] > 0.8 * 0.5e-3
    assert prompt.facts["lag_max_s"] == 0
    assert any("late on average" in reason for reason in late.validity.reasons)
    assert not any("late on average" in reason for reason in prompt.validity.reasons)
    difference = late.samples.latency_ns - prompt.samples.latency_ns
    assert difference.mean() > 0.4 * MS, "the lateness is in the latency, not hidden"


def short(samples: int, min_s: float = 0.001) -> Plan:
    return Plan(min_s=min_s, max_s=1e6, min_samples=samples)


def test_a_rate_over_capacity_is_cut_and_said_to_be() -> None:
    plan = Plan(min_s=2.0, max_s=2.0, min_samples=1)
    found = server.measure(virtual_crew([[MS]]), plan, Settings({"rate": 3000, "p99_ms": 10.0}), Watch())
    issued = len(poisson(3000, 0, plan))
    assert len(found.samples.latency_ns) + found.facts["unserved"] == issued
    assert found.facts["unserved"] > 0.3 * issued
    assert any("still waiting" in reason and "lower rate" in reason for reason in found.validity.reasons)
    assert not found.validity.valid


def test_a_run_that_meets_every_rule_is_valid() -> None:
    plan = Plan(min_s=600, max_s=700, min_samples=662)
    found = server.measure(virtual_crew([[MS]]), plan, Settings({"rate": 50, "p99_ms": 5.0}), Watch())
    assert found.validity.valid, found.validity.reasons
    assert found.validity.rules == "MLPerf Server"
    assert found.samples.stopped_by.startswith("enough")
    assert found.samples.scheduled_ns is not None
    assert found.samples.span_ns is not None
    assert len(found.samples.latency_ns) / (found.samples.span_ns / 1e9) == pytest.approx(50, rel=0.02)
    assert found.facts["utilisation"] == pytest.approx(0.05, rel=0.05)
    assert (np.diff(found.samples.block) >= 0).all()


@given(st.integers(0, 2**32), st.floats(0.5, 1e5))
def test_arrivals_are_seeded_sorted_and_within_the_plan(seed: int, rate: float) -> None:
    plan = Plan(min_s=0.05, max_s=0.2, min_samples=20)
    arrivals = poisson(rate, seed, plan)
    assert (arrivals == poisson(rate, seed, plan)).all()
    assert (np.diff(arrivals) >= 0).all()
    assert len(arrivals) == 1 or arrivals[-1] <= 0.2e9
    assert len(arrivals) >= 1


def test_gaps_between_arrivals_are_exponential() -> None:
    gaps = np.diff(poisson(1000, 3, msgspec.structs.replace(LONG, min_samples=50_000))) / 1e6
    assert gaps.mean() == pytest.approx(1.0, rel=0.02)
    assert gaps.std() == pytest.approx(1.0, rel=0.03)
    assert (gaps > 2.0).mean() == pytest.approx(math.exp(-2), rel=0.05)


def test_the_same_seed_is_the_same_luck_at_another_rate() -> None:
    slow, fast = (poisson(rate, 7, short(1000))[:1000] for rate in (100, 1000))
    np.testing.assert_allclose(slow, fast * 10, atol=10)
    assert (poisson(100, 8, short(1000))[:1000] != slow).any()


def test_the_real_clock_never_wakes_early() -> None:
    for _ in range(20):
        due = REAL.now() + 700_000
        assert REAL.wait_until(due) >= due
    past = REAL.now() - 5
    assert REAL.wait_until(past) > past


def test_a_real_callable_behind_a_real_queue() -> None:
    """Two workers that sleep 3 ms: latencies hold the service, and the queries come at the asked rate."""
    plan = Plan(min_s=1.0, max_s=1.0, min_samples=1)
    with Crew([Requests(lambda _: time.sleep(0.003), lambda i: i, 5) for _ in range(2)]) as crew:
        found = server.measure(crew, plan, Settings({"rate": 100, "workers": 2}), Watch())
    samples = found.samples
    assert samples.scheduled_ns is not None
    assert samples.stream is not None
    assert (samples.latency_ns >= 3 * MS).all()
    assert (samples.start_ns >= samples.scheduled_ns).all()
    assert len(samples.latency_ns) == len(poisson(100, 0, plan))
    assert any("set p99_ms" in reason for reason in found.validity.reasons)
    for stream in (0, 1):
        mine = samples.stream == stream
        ends = samples.scheduled_ns[mine] + samples.latency_ns[mine]
        assert all(end <= start for end, start in pairwise_times(ends, samples.start_ns[mine]))


def pairwise_times(ends: np.ndarray, starts: np.ndarray) -> list[tuple[int, int]]:
    return [(int(end), int(start)) for (end, _), (_, start) in pairwise(zip(ends, starts, strict=True))]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs rate"),
        ({"rate": "fast"}, "needs rate"),
        ({"rate": 0}, "above 0"),
        ({"rate": "search"}, "needs p99_ms"),
        ({"rate": 5, "p99_ms": -1}, "p99_ms"),
        ({"rate": 5, "workers": 0}, "workers"),
        ({"rate": 5, "workers": True}, "workers"),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        server.options(Settings(options))  # type: ignore[arg-type]


def test_the_error_of_one_worker_ends_the_serving_of_all() -> None:
    def work(request: int) -> None:
        if request == 0:
            raise RuntimeError("the runtime broke")

    begin = time.monotonic()
    with (
        Crew([Requests(work, lambda i: i, 2, first=first) for first in (0, 1)]) as crew,
        pytest.raises(RuntimeError, match="the runtime broke"),
    ):
        server.measure(crew, Plan(min_s=60, max_s=60, min_samples=60), Settings({"rate": 50, "workers": 2}), Watch())
    assert time.monotonic() - begin < 30, "nobody waits for the queries that are still to come"
