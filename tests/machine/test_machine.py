"""Cores are shared out, kept to and given back; the fingerprint says what it could not read."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.cores import keep_to, share_out
from bench.machine.cpu import last_level_cache, usable_cores
from bench.machine.environment import read_environment
from bench.machine.noise import measure_noise


@given(st.lists(st.integers(0, 255), min_size=1, unique=True).map(sorted), st.integers(1, 64))
def test_measuring_and_harness_never_share_a_core_where_there_are_enough(usable: list[int], threads: int) -> None:
    cores = share_out(usable, threads)
    if threads < len(usable):
        assert cores.measuring is not None
        assert cores.harness is not None
        assert len(cores.measuring) == threads
        assert sorted(cores.measuring + cores.harness) == usable
        assert min(cores.harness) < min(cores.measuring), "core 0 takes most interrupts"
    else:
        assert cores.measuring is None
        assert cores.harness is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_every_thread_keeps_to_the_cores_and_gets_the_others_back() -> None:
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("there is one core")
    stop, seen = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (seen.set(), stop.wait()))
    thread.start()
    seen.wait()
    first = [min(before)]
    with keep_to(first):
        assert os.sched_getaffinity(0) == set(first)
        assert thread.native_id is not None
        assert os.sched_getaffinity(thread.native_id) == set(first)
    assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(thread.native_id) == before
    stop.set()
    thread.join()


def test_the_fingerprint_names_what_it_read_and_why_the_rest_is_missing() -> None:
    found = read_environment()
    assert found.memory_bytes > 2**28
    assert set(found.cores_usable) == set(usable_cores())
    for field in ("governor", "frequency_max_hz"):
        assert getattr(found, field) is not None or found.unread[field]
    assert found.gpus or found.unread.get("gpus")
    assert "onnxruntime" in found.packages


def test_the_cache_is_read_or_said_to_be_assumed() -> None:
    size, source = last_level_cache()
    assert size >= 2**18
    assert source == "sysfs" or source.startswith("assumed")


def test_noise_is_seen_where_it_is_made() -> None:
    """A clock that jumps by a millisecond now and then is a core that is taken away now and then."""
    import time

    calls = 0

    def jumpy() -> int:
        nonlocal calls
        calls += 1
        return time.perf_counter_ns() + calls // 1000 * 1_000_000

    quiet, noisy = measure_noise(0.2), measure_noise(0.2, jumpy)
    assert noisy.stolen_share > quiet.stolen_share
    assert noisy.longest_gap_ns >= 1_000_000
    assert quiet.timer_overhead_ns < 10_000
