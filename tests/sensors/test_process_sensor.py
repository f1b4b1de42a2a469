"""The process sensor on real children."""

from __future__ import annotations

import functools
import os
import sys
import time
from typing import Any

import psutil
import pytest

from bench.sensors import process as process_sensor
from bench.sensors.process import ProcessSensor

LINUX = sys.platform.startswith("linux")
MB = 1 << 20


def taken(sensor: ProcessSensor) -> dict[str, float]:
    return {r.quantity: r.value for r in sensor.snapshot()}


def watching(pid: int) -> ProcessSensor:
    sensor = ProcessSensor()
    assert sensor.probe() is None
    sensor.watch(pid)
    return sensor


def test_memory_follows_what_the_child_takes(child: Any) -> None:
    process = child("""
        print("up", flush=True)
        input()
        block = bytearray(b"x") * (50 << 20)
        print("full", flush=True)
        input()
        del block
        print("free", flush=True)
        input()
    """)
    sensor = watching(process.pid)
    process.stdout.readline()
    before = taken(sensor)
    process.stdin.write("\n")
    process.stdout.readline()
    full = taken(sensor)
    (light,) = sensor.read()
    process.stdin.write("\n")
    process.stdout.readline()
    free = taken(sensor)
    for quantity in ("rss", "uss"):
        assert 49 * MB <= full[quantity] - before[quantity] <= 60 * MB
        assert free[quantity] < full[quantity] - 40 * MB
    assert light.value == pytest.approx(full["rss"], rel=0.05)
    if LINUX:
        assert full["uss"] <= full["pss"] <= full["rss"] * 1.05
        assert free["peak_rss"] >= full["rss"] * 0.95
        assert full["minor_faults"] > before["minor_faults"]


def test_descendants_count_and_counters_never_fall(child: Any) -> None:
    process = child("""
        import subprocess, sys
        work = "x = bytearray(b'x') * (30 << 20)\\nfor _ in range(3_000_000): pass\\nprint('up', flush=True); input()"
        one = subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE)
        input()
        one.communicate(b"\\n")
        print("gone", flush=True)
        input()
    """)
    sensor = watching(process.pid)
    alone = taken(sensor)
    process.stdout.readline()
    both = taken(sensor)
    process.stdin.write("\n")
    process.stdout.readline()
    after = taken(sensor)
    assert (both["processes"], after["processes"]) == (2, 1)
    assert both["rss"] > alone["rss"] + 29 * MB
    assert after["rss"] < both["rss"] - 29 * MB
    for counter in ("cpu_time", "voluntary_switches", *(("minor_faults",) if LINUX else ())):
        assert alone[counter] <= both[counter] <= after[counter]
    assert after["cpu_time"] > 0


def test_switches_and_threads_of_all_threads(child: Any) -> None:
    process = child("""
        import threading, time
        def nap():
            while True: time.sleep(0.001)
        for _ in range(3): threading.Thread(target=nap, daemon=True).start()
        print("up", flush=True)
        input()
    """)
    sensor = watching(process.pid)
    process.stdout.readline()
    first = taken(sensor)
    time.sleep(0.3)
    second = taken(sensor)
    assert first["threads"] == 4
    # The first thread waits for input all the while: what is counted are the naps of the others.
    assert second["voluntary_switches"] - first["voluntary_switches"] > 30


def test_vanished_process_gives_nothing(child: Any) -> None:
    process = child("input()")
    sensor = watching(process.pid)
    assert sensor.read()
    process.kill()
    # Not waited for: a zombie has an entry in /proc and no memory. It is no reading of zero bytes.
    deadline = time.monotonic() + 5
    while sensor.read() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sensor.read() == []
    assert sensor.snapshot() == []
    process.wait()
    assert sensor.read() == []
    assert "had ended" in sensor.state().reason
    sensor.watch(process.pid)
    assert sensor.read() == []


def test_reads_nothing_before_it_is_told_whom_to_watch() -> None:
    sensor = ProcessSensor()
    assert sensor.read() == []
    assert sensor.snapshot() == []
    sensor.watch(os.getpid())
    assert sensor.read()[0].value > MB


def test_what_only_linux_tells_is_absent_elsewhere_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_sensor, "LINUX", False)
    sensor = watching(os.getpid())
    found = taken(sensor)
    assert found["rss"] > MB
    assert found["threads"] >= 1
    assert found["cpu_time"] > 0
    assert found["voluntary_switches"] > 0
    missing = {"pss", "peak_rss", "minor_faults", "major_faults"}
    assert not missing & found.keys()
    assert not missing & sensor.state().quantities.keys()
    assert "no pss: only Linux tells" in sensor.state().reason
    (light,) = sensor.read()
    assert light.value == pytest.approx(found["rss"], rel=0.2)


class TestRefused:
    """A system that does not let another user's process be looked at, as macOS does without root."""

    def refuse(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        for name in names:
            real = getattr(psutil.Process, name)

            @functools.wraps(real)
            def answer(process: psutil.Process, real: Any = real) -> Any:
                if process.pid == os.getpid():
                    return real(process)
                raise psutil.AccessDenied(process.pid)

            monkeypatch.setattr(psutil.Process, name, answer)

    def test_the_resident_set(self, child: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process_sensor, "LINUX", False)
        self.refuse(monkeypatch, "memory_info")
        process = child("input()")
        sensor = watching(process.pid)
        assert sensor.read() == []
        assert sensor.snapshot() == []
        # It has not ended: that would be the wrong reason.
        assert f"no rss: the system refuses a look at process {process.pid}" in sensor.state().reason
        assert "had ended" not in sensor.state().reason

    def test_the_memory_map_and_the_switches(self, child: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process_sensor, "LINUX", False)
        self.refuse(monkeypatch, "memory_full_info", "num_ctx_switches")
        process = child("input()")
        sensor = watching(process.pid)
        found = taken(sensor)
        assert found["rss"] > 0
        assert not {"uss", "voluntary_switches", "involuntary_switches"} & found.keys()
        assert "uss" not in sensor.state().quantities
        assert f"the system refuses the memory map of process {process.pid}" in sensor.state().reason

    def test_everything(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(process: psutil.Process) -> None:
            raise psutil.AccessDenied(process.pid)

        monkeypatch.setattr(psutil.Process, "memory_info", refuse)
        assert "does not let a process be looked at" in str(ProcessSensor().probe())


@pytest.mark.parametrize("answer", [None, NotImplementedError("no cpufreq")])
def test_a_machine_that_does_not_tell_its_clock(monkeypatch: pytest.MonkeyPatch, answer: Exception | None) -> None:
    def frequency() -> None:
        if answer is not None:
            raise answer

    monkeypatch.setattr(psutil, "cpu_freq", frequency)
    sensor = watching(os.getpid())
    found = taken(sensor)
    assert found["rss"] > 0
    assert "cpu_frequency" not in found.keys() | sensor.state().quantities.keys()
    assert "does not tell its CPU clock" in sensor.state().reason


@pytest.mark.skipif(not LINUX, reason="what a zombie shows differs between systems")
def test_a_zombie_in_the_tree_is_no_process_of_it(child: Any) -> None:
    process = child("""
        import os, time
        if os.fork() == 0:
            os._exit(0)
        print("up", flush=True)
        input()
    """)
    process.stdout.readline()
    root = psutil.Process(process.pid)
    deadline = time.monotonic() + 5
    while [c.status() for c in root.children()] != [psutil.STATUS_ZOMBIE] and time.monotonic() < deadline:
        time.sleep(0.01)
    found = taken(watching(process.pid))
    assert (found["processes"], found["threads"]) == (1, 1)
    assert found["rss"] > MB


def test_a_process_that_was_never_there_is_told_as_ended(child: Any) -> None:
    process = child("")
    process.wait()
    sensor = watching(process.pid)
    assert sensor.read() == []
    assert sensor.snapshot() == []
    assert f"process {process.pid} had ended" in sensor.state().reason
