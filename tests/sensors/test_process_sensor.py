"""The process sensor on real children."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import pytest

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
