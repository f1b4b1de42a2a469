"""Single-stream, multi-stream and offline: who is in flight when, and that nothing seen is thrown away."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import MS, virtual_crew

from bench.load import multi_stream, offline, single_stream
from bench.load.base import Measured, Requests, Settings, Watch, quiet_collector
from bench.load.crew import Crew
from bench.load.warmup import warm_up
from bench.record.observation import Plan

SERVICES = st.lists(st.integers(MS // 10, 5 * MS), min_size=1, max_size=6)
PLAN = Plan(min_s=0.05, max_s=0.2, min_samples=20, block_s=0.02, precision=0.01)


def most_in_flight(found: Measured, stream: int | None = None) -> int:
    samples = found.samples
    mine = slice(None) if stream is None else samples.stream == stream
    starts = samples.start_ns[mine]
    ends = starts + samples.latency_ns[mine]
    # One that ends where another starts has made room for it.
    steps = sorted([(int(t), 1) for t in starts] + [(int(t), -1) for t in ends])
    return int(np.cumsum([step for _, step in steps]).max())


@given(SERVICES)
def test_single_stream_sends_one_at_a_time_and_keeps_every_sample(services: list[int]) -> None:
    crew = virtual_crew([services])
    found = single_stream.measure(crew, PLAN, Settings(), Watch())
    assert most_in_flight(found) == 1
    wanted = np.resize(services, len(found.samples.latency_ns))
    assert (found.samples.latency_ns == wanted).all(), "each latency is that call's service time, in order"
    assert found.samples.span_ns == found.samples.latency_ns.sum(), "in simulated time nothing lies between calls"


def test_a_steady_stream_stops_by_precision_and_a_short_budget_by_time() -> None:
    steady = single_stream.measure(virtual_crew([[MS]]), PLAN, Settings(), Watch())
    assert steady.samples.stopped_by.startswith("precision")
    wild = [int(MS * (1 + 9 * (i % 7 == 0) + i / 50)) for i in range(50)]
    late = single_stream.measure(virtual_crew([wild]), PLAN, Settings(), Watch())
    assert late.samples.stopped_by.startswith("time budget of 0.2 s")
    few = single_stream.measure(virtual_crew([[100 * MS]]), PLAN, Settings(), Watch())
    assert "2 of 20 samples" in few.samples.stopped_by


def test_the_onlooker_is_called_between_blocks_and_before_the_first() -> None:
    told: list[tuple[str, float]] = []
    crew = virtual_crew([[MS, 3 * MS]])
    single_stream.measure(
        crew,
        Plan(min_s=0.1, max_s=0.1, min_samples=1, block_s=0.02, precision=1e-9),
        Settings(),
        Watch(lambda: told.append(("begin", 0)), lambda count, median: told.append(("block", median))),
    )
    assert told[0] == ("begin", 0)
    assert len(told) > 3
    assert all(1e-3 <= median <= 3e-3 for _, median in told[1:])


@settings(max_examples=25, deadline=None)
@given(st.lists(SERVICES, min_size=1, max_size=4))
def test_each_stream_has_one_query_in_flight_and_all_go_on_at_once(lanes: list[list[int]]) -> None:
    found = multi_stream.measure(virtual_crew(lanes), PLAN, Settings(), Watch())
    samples = found.samples
    assert samples.stream is not None
    assert most_in_flight(found) == len(lanes)
    for stream, services in enumerate(lanes):
        assert most_in_flight(found, stream) == 1
        mine = samples.latency_ns[samples.stream == stream]
        assert (mine == np.resize(services, len(mine))).all()
    for block in np.unique(samples.block):
        assert (np.diff(samples.start_ns[samples.block == block]) >= 0).all(), "in order of time within a block"
    assert (np.diff(samples.block) >= 0).all()


def test_streams_that_do_not_hinder_each_other_add_up() -> None:
    rates = []
    for streams in (1, 3):
        found = multi_stream.measure(virtual_crew([[MS]] * streams), PLAN, Settings(), Watch())
        assert found.samples.span_ns is not None
        rates.append(len(found.samples.latency_ns) / found.samples.span_ns)
    assert rates[1] == pytest.approx(3 * rates[0], rel=0.01)


@settings(max_examples=25, deadline=None)
@given(st.lists(SERVICES, min_size=1, max_size=4))
def test_offline_completes_what_was_issued_and_keeps_the_lanes_full(lanes: list[list[int]]) -> None:
    found = offline.measure(virtual_crew(lanes), PLAN, Settings(batch=4), Watch())
    assert len(found.samples.latency_ns) == found.facts["issued"] >= 1
    assert most_in_flight(found) == min(len(lanes), found.facts["issued"])
    assert found.samples.span_ns is not None
    ends = found.samples.start_ns + found.samples.latency_ns
    assert found.samples.span_ns == ends.max() - found.samples.start_ns.min()
    enough = len(ends) >= PLAN.min_samples and found.samples.span_ns >= 0.05e9
    assert enough or found.samples.stopped_by.startswith("time budget")


def test_the_throughput_of_offline_is_lanes_over_service_time() -> None:
    plan = Plan(min_s=2, max_s=3, min_samples=10)
    for lanes in (1, 2, 4):
        found = offline.measure(virtual_crew([[MS]] * lanes), plan, Settings(), Watch())
        assert found.samples.span_ns is not None
        assert len(found.samples.latency_ns) / found.samples.span_ns * MS == pytest.approx(lanes, rel=0.01)


def sleeping(lanes: int) -> list[Requests]:
    return [Requests(lambda _: time.sleep(0.002), lambda i: i, 3) for _ in range(lanes)]


def test_real_threads_overlap() -> None:
    plan = Plan(min_s=0.4, max_s=0.4, min_samples=1)
    counts = []
    for lanes in (1, 4):
        with Crew(sleeping(lanes)) as crew:
            counts.append(len(offline.measure(crew, plan, Settings(), Watch()).samples.latency_ns))
    assert counts[1] > 2 * counts[0]


def test_a_crew_leaves_no_thread_and_no_setting_behind() -> None:
    before, switch = threading.active_count(), sys.getswitchinterval()
    with Crew(sleeping(3)) as crew:
        crew.block(0.01)
        assert threading.active_count() == before + 3
        assert sys.getswitchinterval() < switch
    assert threading.active_count() == before
    assert sys.getswitchinterval() == switch


def test_a_lane_keeps_its_thread() -> None:
    with Crew(sleeping(3)) as crew:
        first, second = (crew.together(lambda number, lane: threading.get_ident()) for _ in range(2))
    assert first == second
    assert len(set(first)) == 3


def test_the_error_of_one_lane_is_raised_when_all_are_back() -> None:
    back: list[int] = []

    def work(number: int, lane: Requests) -> None:
        if number == 1:
            raise RuntimeError("lane 1 broke")
        time.sleep(0.02)
        back.append(number)

    with Crew(sleeping(3)) as crew:
        with pytest.raises(RuntimeError, match="lane 1 broke"):
            crew.together(work)
        assert sorted(back) == [0, 2]
        assert crew.together(lambda number, lane: number) == [0, 1, 2], "the crew can still be used"


def test_somebody_is_told_while_the_lanes_work() -> None:
    ticks: list[None] = []
    with Crew(sleeping(2)) as crew:
        crew.together(lambda number, lane: time.sleep(0.15), lambda: ticks.append(None), tick_s=0.02)
    assert len(ticks) >= 2


def test_a_crew_of_one_calls_in_the_caller_s_thread() -> None:
    threads: set[int] = set()
    lane = Requests(lambda _: threads.add(threading.get_ident()), lambda i: i, 1)
    with Crew([lane]) as crew:
        crew.block(0.001)
        single_stream.measure(crew, Plan(min_s=0.01, max_s=0.01, min_samples=1, block_s=0.005), Settings(), Watch())
    assert threads == {threading.get_ident()}


def test_lanes_warm_up_together_until_steady() -> None:
    falling = [int(MS * (1 + 4 / (1 + i))) for i in range(400)]
    crew = virtual_crew([falling, falling])
    found = warm_up(crew, Plan(warmup_min_s=0.0, warmup_max_s=3.0))
    assert found.steady
    assert found.calls > 20
    restless = warm_up(
        virtual_crew([[MS + i * MS // 10 for i in range(500)]]), Plan(warmup_min_s=0.0, warmup_max_s=0.5)
    )
    assert not restless.steady
    assert "no steady state within 0.5 s" in restless.how


@given(st.integers(1, 7), st.integers(0, 20))
def test_requests_are_taken_in_turn_from_a_place_of_the_lane_s_own(count: int, first: int) -> None:
    lane = Requests(lambda _: None, lambda i: i, count, first=first)
    assert [lane.take() for _ in range(2 * count)] == [(first + i) % count for i in range(2 * count)]


def test_no_garbage_is_collected_while_it_is_quiet() -> None:
    import gc

    with quiet_collector():
        assert not gc.isenabled()
        with quiet_collector():
            pass
        assert not gc.isenabled(), "it is left as it was found"
    assert gc.isenabled()


def test_load_needs_something_to_call() -> None:
    with pytest.raises(ValueError, match="nothing to call"):
        Requests(lambda _: None, lambda i: i, 0)
    with pytest.raises(ValueError, match="needs a lane"):
        Crew([])


def test_the_generator_s_own_time_is_not_in_the_latency() -> None:
    """A request that takes 2 ms to make and 0 to answer."""
    lane = Requests(lambda _: None, lambda i: time.sleep(0.002), 3)
    with Crew([lane]) as crew:
        plan = Plan(min_s=0.1, max_s=0.1, min_samples=1, block_s=0.05)
        for scenario in (single_stream, multi_stream, offline):
            found = scenario.measure(crew, plan, Settings(), Watch())
            assert np.median(found.samples.latency_ns) < 0.1 * 2 * MS
