"""Whether the process stood still, on systems and in threads where less can be told of it."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest

from bench.load.still import Disturbed, Still


def test_a_mac_that_slept_is_seen_by_the_clock_that_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    awake, everything, slept_ns = 8, 6, 0
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(time, "CLOCK_UPTIME_RAW", awake, raising=False)
    monkeypatch.setattr(time, "CLOCK_MONOTONIC", everything, raising=False)

    def clock(which: int) -> int:
        return time.perf_counter_ns() + {awake: 0, everything: slept_ns}[which]

    monkeypatch.setattr(time, "clock_gettime_ns", clock, raising=False)
    still = Still()
    still.check()
    slept_ns = 60 * 10**9
    with pytest.raises(Disturbed, match="the machine slept for 60 s"):
        still.check()
    still.check()


def test_elsewhere_nothing_is_told_of_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(time, "clock_gettime_ns", raising=False)
    Still().check()
    assert Still().undisturbed(lambda: "made", pytest.fail) == "made"


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="nobody can stop a process here")
def test_a_thread_leaves_the_handlers_of_signals_to_the_main_one() -> None:
    before, inside = signal.getsignal(signal.SIGCONT), []

    def look() -> None:
        with Still() as still:
            inside.append(signal.getsignal(signal.SIGCONT))
            still.check()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert inside == [before]
    assert signal.getsignal(signal.SIGCONT) == before
