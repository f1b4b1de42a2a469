"""Cores are shared out, kept to and given back; the fingerprint says what it could not read."""

from __future__ import annotations

import os
import platform
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.cores import keep_to, share_out
from bench.machine.cpu import FALLBACK_CACHE, last_level_cache, usable_cores
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


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str | None]], None]:
    """Put a text in the place of files of the kernel by the start of their path; None: they are not there."""
    real = Path.read_text

    def show(texts: dict[str, str | None]) -> None:
        def read(path: Path, *given: Any, **more: Any) -> str:
            for start, text in texts.items():
                if str(path).startswith(start):
                    if text is None:
                        raise FileNotFoundError(path)
                    return text
            return real(path, *given, **more)

        monkeypatch.setattr(Path, "read_text", read)

    return show


def test_a_cache_in_a_form_that_is_not_known_is_assumed(files: Callable[[dict[str, str | None]], None]) -> None:
    files({"/sys/devices/system/cpu/cpu0/cache": "plenty"})
    size, source = last_level_cache()
    assert size == FALLBACK_CACHE
    assert source.startswith("assumed")


def test_where_a_process_has_no_cores_of_its_own_it_may_use_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores() == [0, 1, 2]


@pytest.mark.parametrize("answer", [None, NotImplementedError()])
def test_a_system_that_tells_nothing_of_its_processor(
    files: Callable[[dict[str, str | None]], None], monkeypatch: pytest.MonkeyPatch, answer: Exception | None
) -> None:
    def frequency() -> None:
        if answer is not None:
            raise answer

    files({"/proc/cpuinfo": None, "/sys/devices/system/cpu/cpu0/cpufreq": None, "/proc/device-tree": None})
    monkeypatch.setattr(psutil, "cpu_freq", frequency)
    found = read_environment()
    assert (found.cpu_features, found.governor, found.frequency_max_hz) == ((), None, None)
    assert {"cpu_features", "governor", "frequency_max_hz"} <= found.unread.keys()
    assert found.virtualisation is None


def test_the_highest_clock_is_told_where_the_system_knows_it(
    files: Callable[[dict[str, str | None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    files({"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n"})
    monkeypatch.setattr(psutil, "cpu_freq", lambda: type("Clock", (), {"max": 3500.0}))
    found = read_environment()
    assert (found.governor, found.frequency_max_hz) == ("performance", 3.5e9)
    assert not {"governor", "frequency_max_hz"} & found.unread.keys()


@pytest.mark.parametrize(
    ("cpuinfo", "board", "named"),
    [
        ("processor : 0\nFeatures : asimd\n", "Raspberry Pi 5 Model B\0", "Raspberry Pi 5 Model B"),
        ("model name : ARMv8 Processor rev 1 (v8l)\n", "Jetson AGX Orin\0", "Jetson AGX Orin"),
        ("model name : ARMv8 Processor rev 1 (v8l)\n", None, "ARMv8 Processor rev 1 (v8l)"),
        ("model name : Some CPU @ 3 GHz\n\nmodel name : another\n", "A board\0", "Some CPU @ 3 GHz"),
    ],
)
def test_a_processor_without_a_name_goes_by_that_of_its_board(
    files: Callable[[dict[str, str | None]], None], cpuinfo: str, board: str | None, named: str
) -> None:
    files({"/proc/cpuinfo": cpuinfo, "/proc/device-tree/model": board})
    assert read_environment().cpu_model == named


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (subprocess.CompletedProcess([], 0, "Apple M2\n", ""), "Apple M2"),
        (subprocess.CompletedProcess([], 1, "", "unknown oid"), "arm"),
        (OSError("no sysctl"), "arm"),
        (subprocess.TimeoutExpired("sysctl", 5), "arm"),
    ],
)
def test_the_processor_of_a_mac_has_the_name_that_its_kernel_tells(
    files: Callable[[dict[str, str | None]], None], monkeypatch: pytest.MonkeyPatch, answer: object, named: str
) -> None:
    def run(command: list[str], **more: Any) -> object:
        assert command[-1] == "machdep.cpu.brand_string"
        if isinstance(answer, Exception):
            raise answer
        return answer

    files({"/proc": None})
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setattr(subprocess, "run", run)
    assert read_environment().cpu_model == named


@pytest.mark.parametrize(
    ("group", "memory", "cores"),
    [
        ({"memory.max": "1073741824\n", "cpu.max": "150000 100000\n"}, 2**30, 1.5),
        ({"memory.max": "max\n", "cpu.max": "max 100000\n"}, None, None),
        (
            {
                "memory/memory.limit_in_bytes": "536870912\n",
                "cpu/cpu.cfs_quota_us": "50000\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            2**29,
            0.5,
        ),
        (
            {
                "memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
            None,
        ),
        ({}, None, None),
    ],
)
def test_limits_of_the_control_group_of_either_version(
    files: Callable[[dict[str, str | None]], None], group: dict[str, str], memory: int | None, cores: float | None
) -> None:
    files({**{f"/sys/fs/cgroup/{name}": text for name, text in group.items()}, "/sys/fs/cgroup": None})
    found = read_environment()
    assert (found.memory_limit_bytes, found.cpu_quota_cores) == (memory, cores)


@pytest.mark.alone
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
