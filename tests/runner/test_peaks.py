"""The peaks of this machine, held against NumPy's own product and a loop in C on the same core."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest
from filelock import FileLock

from bench.errors import UserError
from bench.machine.cores import share_out
from bench.machine.cpu import usable_cores
from bench.machine.environment import read_environment
from bench.record.codec import json_bytes
from bench.record.measurement import Measurement
from bench.record.peaks import MachinePeaks, Peaks
from bench.runner.peaks import gauge as gauge_module
from bench.runner.peaks import machine as peaks_module
from bench.runner.peaks.chains import Chain
from bench.runner.peaks.gauge import Gauge, GaugeError, Rate, stream_elements
from bench.runner.peaks.machine import doubts, machine_peaks, measure_peaks, rising
from bench.runner.peaks.overheads import _steady, line
from bench.runner.peaks.rates import Offer, Offers, best_of, compute, find_offers
from bench.stats.estimate import Estimate
from tests.analyse.machines import machine

WITHIN = 0.15
ROUNDS = 8
GEMM = """
import sys, time
import numpy as np
rates = []
for n in (512, 1024):
    a, b, c = np.ones((n, n), "f4"), np.ones((n, n), "f4"), np.empty((n, n), "f4")
    times = []
    for _ in range(3):
        np.matmul(a, b, out=c)
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        before = time.perf_counter()
        np.matmul(a, b, out=c)
        times.append(time.perf_counter() - before)
    rates.append(2 * n**3 / float(np.quantile(times, 0.1)))
print(max(rates))
"""
STREAM = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
static int order(const void *a, const void *b) { return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b); }
/* In large pages where the system has them, as NumPy's arrays lie; and each at an offset of its own, as STREAM's OFFSET
   has it: arrays that begin alike meet in the same banks of the memory. Either costs a fifth and more. */
static double *array(long n, long offset) {
    double *made = mmap(0, 8 * (n + offset), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
#ifdef MADV_HUGEPAGE
    madvise(made, 8 * (n + offset), MADV_HUGEPAGE);
#endif
    return made + offset;
}
int main(int count, char **words) {
    long n = atol(words[1]);
    double *restrict a = array(n, 0), *restrict b = array(n, 520), *restrict c = array(n, 1040), times[30];
    for (long i = 0; i < n; i++) { a[i] = 1; b[i] = 2; c[i] = 0; }
    for (int pass = 0; pass < 30; pass++) {
        double before = now();
        for (long i = 0; i < n; i++) c[i] = a[i] + b[i];
        times[pass] = now() - before;
        if (c[pass] != 3) return 1;
    }
    qsort(times, 30, sizeof *times, order);
    printf("%f\\n", 24.0 * n / times[2]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def gauge(tmp_path_factory: pytest.TempPathFactory) -> Gauge:
    return Gauge(tmp_path_factory.mktemp("chains"), lambda text: None)


@pytest.fixture(scope="module")
def measured() -> tuple[MachinePeaks, list[str]]:
    """Everything, with one thread, once."""
    told: list[str] = []
    return measure_peaks([1], ["onnxruntime-cpu", "litert-xnnpack", "onnxruntime-cuda"], told.append), told


def on_the_same_core(command: list[str]) -> float:
    """What the command prints, run on the core where one thread is measured, with one thread of BLAS."""
    cores = share_out(usable_cores(), 1).measuring
    pin = partial(os.sched_setaffinity, 0, cores) if cores is not None and hasattr(os, "sched_setaffinity") else None
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pin, env=environment)
    return float(done.stdout)


def agree(first: float, ours: Callable[[], float], theirs: Callable[[], float]) -> str | None:
    """None as soon as the best of ours (the `first` too) and of theirs, in turn, are within 15 %; else both."""
    ours_best, theirs_best = first, 0.0
    for _ in range(ROUNDS):
        theirs_best = max(theirs_best, theirs())
        if abs(ours_best / theirs_best - 1) <= WITHIN:
            return None
        ours_best = max(ours_best, ours())
        if abs(ours_best / theirs_best - 1) <= WITHIN:
            return None
    return f"{ours_best / 1e9:.1f} G against {theirs_best / 1e9:.1f} G"


def test_the_fp32_peak_is_within_15_percent_of_numpys_own_product(gauge, measured):
    offers = [
        Offer(target="onnxruntime-cpu", kind="fp32", format="onnx"),
        Offer(target="litert-xnnpack", kind="fp32", format="tflite"),
    ]

    def ours() -> float:
        return compute(gauge, Offers({"fp32": offers}, {}), 1)["fp32"].value or 0.0

    assert (
        agree(measured[0].at(1).compute["fp32"].value, ours, lambda: on_the_same_core([sys.executable, "-c", GEMM]))
        is None
    )


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc)")
def test_the_bandwidth_is_within_15_percent_of_a_stream_in_c(gauge, measured, tmp_path: Path):
    (tmp_path / "stream.c").write_text(STREAM)
    subprocess.run(["cc", "-O3", "-march=native", "-o", tmp_path / "stream", tmp_path / "stream.c"], check=True)
    command = [str(tmp_path / "stream"), str(stream_elements())]
    first = measured[0].at(1).bandwidth.value
    assert agree(first, lambda: gauge.bandwidth(1).value, lambda: on_the_same_core(command)) is None


def test_every_figure_is_measured_or_says_why_not(measured):
    peaks, progress = measured
    one = peaks.at(1)
    assert one is not None
    assert peaks.at(2) is None
    assert one.compute["fp32"].value > 1e9
    assert one.compute["int8"].value > 1e9
    assert one.bandwidth.value > 1e8
    for figure in (*one.compute.values(), one.bandwidth):
        assert figure.reason or figure.how.startswith("measured:")
        assert figure.low is None or figure.low <= figure.value <= figure.high
    assert "a product of" in one.compute["fp32"].how
    assert "no write-allocate" in one.bandwidth.how
    assert any("onnxruntime-cpu: int8" in line for line in progress)


def test_a_runtime_that_computes_a_file_in_another_precision_does_not_count_for_it(measured):
    compute = measured[0].at(1).compute
    if compute["fp16"].value is None:
        assert "onnxruntime-cpu computes a file of it in fp32" in compute["fp16"].reason
    assert compute["bf16"].value is None or "openvino" in compute["bf16"].how


def test_a_call_costs_more_than_a_node_and_an_absent_provider_says_why(measured):
    one = measured[0].at(1)
    assert one.call["onnxruntime-cpu"].value > one.node["onnxruntime-cpu"].value > 0
    assert one.call["litert-xnnpack"].value > one.node["litert-xnnpack"].value > 0
    assert "CUDAExecutionProvider" in one.call["onnxruntime-cuda"].reason


@pytest.mark.parametrize(("target", "kept"), [("onnxruntime-cpu", "onnx"), ("litert-xnnpack", "tflite")])
def test_no_layer_of_a_chain_is_fused_or_folded_away(gauge, target, kept):
    short, long = (
        gauge.seconds(Chain(kind="fp32", format=kept, layers=layers, rows=64, width=256), target, 1)
        for layers in (2, 12)
    )
    assert long.value > 3 * short.value


def test_a_runtime_that_refuses_a_chain_is_a_reason_and_no_crash(gauge):
    with pytest.raises(GaugeError, match="CUDAExecutionProvider"):
        gauge.seconds(Chain(kind="fp32", format="onnx", width=8), "onnxruntime-cuda", 1)
    broken = Offers({"fp32": [Offer(target="onnxruntime-cuda", kind="fp32", format="onnx")]}, {})
    assert "CUDAExecutionProvider" in (compute(gauge, broken, 1)["fp32"].reason or "")


def estimate(value: float, share: float = 0.01) -> Estimate:
    low, high = value * (1 - share), value * (1 + share)
    return Estimate(value=value, low=low, high=high, confidence=0.95, n=9, n_effective=9, method="")


def test_a_machine_at_rest_is_not_mentioned_and_a_busy_one_in_every_figure(tmp_path, monkeypatch):
    for busy, note in ((4.0, ""), (40.0, "; other work kept the machine 40% busy")):
        told: list[str] = []
        monkeypatch.setattr(psutil, "cpu_percent", lambda interval, busy=busy: busy)
        assert Gauge(tmp_path, told.append).disturbed == note
        assert len(told) == bool(note)


def test_a_process_that_ends_without_an_answer_is_a_reason_and_no_crash(gauge, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(GaugeError, match="the stream ended without an answer: silent"):
        gauge.bandwidth(1)


def test_too_few_samples_are_a_reason(gauge, monkeypatch):
    brief = msgspec.structs.replace(
        gauge_module._PLAN, warmup_min_s=0.0, warmup_max_s=0.001, min_s=0.0001, max_s=0.0002, min_samples=1
    )
    monkeypatch.setattr(gauge_module, "_PLAN", brief)
    long = Chain(kind="fp32", format="onnx", layers=40, rows=256, width=512)
    for measure in (gauge.seconds, gauge.rate):
        with pytest.raises(GaugeError, match="too few samples"):
            measure(long, "onnxruntime-cpu", 1)


def test_what_a_runtime_computes_in_is_told_by_its_profiler_or_not_at_all(gauge):
    chain = Chain(kind="fp16", format="onnx", width=8)
    assert gauge.computes_in(chain, "onnxruntime-cpu") in ("fp32", "fp16")
    with pytest.raises(GaugeError, match="CUDAExecutionProvider"):
        gauge.computes_in(chain, "onnxruntime-cuda")
    with pytest.raises(GaugeError, match="does not tell what it computes a fp32 file in"):
        gauge.computes_in(Chain(kind="fp32", format="tflite", width=8), "litert-xnnpack")


def test_a_runtime_that_is_not_installed_offers_nothing_and_is_a_reason(gauge, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else found(name))
    offers = find_offers(gauge)
    assert all("openvino" not in offer.target for given in offers.by_precision.values() for offer in given)
    assert all(any("openvino-cpu: OpenVINO" in told for told in reasons) for reasons in offers.reasons.values())


def test_a_time_that_was_disturbed_is_taken_again_three_times_at_most():
    times = iter([estimate(3.0, 0.2), estimate(2.0, 0.1), estimate(2.5, 0.3), estimate(1.0)])
    assert _steady(lambda: next(times)).value == 2.0
    assert next(times).value == 1.0
    calm = iter([estimate(3.0, 0.2), estimate(2.0), estimate(1.0)])
    assert _steady(lambda: next(calm)).value == 2.0


def test_the_best_rate_is_measured_until_two_agree():
    rates = iter([50.0, 100.0, 97.0, 200.0])
    best = best_of(lambda: Rate(value=next(rates), n=9))
    assert (best.found.value, best.processes) == (100.0, 3)
    assert "not quiet" not in best.about("calls")
    falling = iter([100.0, 10.0, 20.0, 40.0, 50.0])
    alone = best_of(lambda: Rate(value=next(falling), n=9))
    assert (alone.found.value, alone.processes) == (100.0, 4)
    assert "60% below it: the machine was not quiet" in alone.about("calls")


def test_call_and_node_are_the_line_through_the_chains():
    found = line([estimate(5e-6 + layers * 3e-7) for layers in (1, 16, 64)], "measured:x")
    assert found.call.value == pytest.approx(5e-6)
    assert found.node.value == pytest.approx(3e-7)
    for figure in (found.call, found.node):
        assert figure.low < figure.value < figure.high
    flat = line([estimate(5e-6)] * 3, "measured:x")
    assert flat.call.value == 5e-6
    assert flat.node.value is None


def test_more_threads_are_never_told_to_have_less():
    def with_(threads: int, rate: float, bandwidth: float) -> Peaks:
        return Peaks(
            threads=threads,
            compute={"fp32": Measurement(value=rate, unit="op/s", n=1, how="measured:a")},
            bandwidth=Measurement(value=bandwidth, unit="B/s", n=1, how="measured:b"),
        )

    one, two, four = rising([with_(1, 10, 5), with_(2, 8, 6), with_(4, 30, 1)])
    assert (one.compute["fp32"].value, two.compute["fp32"].value, four.compute["fp32"].value) == (10, 10, 30)
    assert "got with 1 thread," in two.compute["fp32"].how
    assert four.bandwidth.value == 6


def test_peaks_are_kept_and_extended_and_never_taken_for_those_of_another_machine(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    here = read_environment()
    known = measured[0]
    asked: list[tuple[object, ...]] = []

    def recorded(*given: object) -> MachinePeaks:
        asked.append(given)
        return known

    monkeypatch.setattr(peaks_module, "_extended", recorded)
    targets = ["onnxruntime-cpu", "litert-xnnpack"]
    for _ in range(2):
        assert machine_peaks(here, [1], targets, print) == known
    assert len(asked) == 1, "the second time they are read"
    assert (tmp_path / "peaks").is_dir()
    machine_peaks(here, [1, 2], targets, print)
    assert len(asked) == 2
    assert asked[1][0] == known, "what is known is not measured again"
    machine_peaks(here, [1], targets, print, anew=True)
    assert asked[2][0] is None
    other = msgspec.structs.replace(here, cpu_model="Another CPU")
    with pytest.raises(UserError, match="it is not this one: cpu_model was Another CPU"):
        machine_peaks(other, [1], targets, print)
    older = msgspec.structs.replace(here, packages=here.packages | {"onnxruntime": "1.0"})
    assert machine_peaks(older, [1], targets, print) == known, "this machine, with what it has now"


def test_of_known_peaks_only_what_is_lacking_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    here = read_environment()
    path = peaks_module._path(here)
    path.parent.mkdir(parents=True)
    path.write_bytes(json_bytes(machine()))
    told: list[str] = []
    found = machine_peaks(here, [1], ["onnxruntime-cpu", "onnxruntime-cuda"], told.append)
    assert found.at(1).compute == machine().at(1).compute
    assert "CUDAExecutionProvider" in found.at(1).call["onnxruntime-cuda"].reason
    assert not [line for line in told if "thread" in line]


def test_peaks_that_another_process_has_measured_meanwhile_are_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    here = read_environment()
    path = peaks_module._path(here)
    path.parent.mkdir(parents=True)
    other = FileLock(path.with_suffix(".lock"))
    other.acquire()

    def waited(told: str) -> None:
        assert "another process is measuring them" in told
        path.write_bytes(json_bytes(machine()))
        other.release()

    assert machine_peaks(here, [1], ["onnxruntime-cpu"], waited) == machine()


def test_peaks_of_a_busy_machine_are_warned_of_and_measured_again_when_it_rests(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    here = read_environment()
    sound = Measurement(value=1e11, unit="op/s", n=1, how="measured:a")
    busy = msgspec.structs.replace(sound, how="measured:a; other work kept the machine 40% busy")
    late = Measurement.unavailable("B/s", "it was tried and failed: too late")

    def known(created: str, **figures: Measurement) -> MachinePeaks:
        of = {"compute": {"fp32": figures.get("fp32", sound)}, "bandwidth": figures.get("bandwidth", sound)}
        return MachinePeaks(name="x", created=created, by_threads=(Peaks(threads=1, **of),))

    assert doubts(known("2026-01-01T00:00:00+00:00"), [1]) == ()
    (warning,) = doubts(known("2026-01-01T00:00:00+00:00", fp32=busy), [1])
    assert "`bench profile detect` measures anew" in warning

    again: list[object] = []
    monkeypatch.setattr(peaks_module, "_extended", lambda known, *rest: (again.append(known), whole)[1])
    monkeypatch.setattr(peaks_module, "other_work", lambda: 0.0)
    old, now = "2026-01-01T00:00:00+00:00", datetime.now(UTC).isoformat(timespec="seconds")
    whole = known(now)
    path = peaks_module._path(here)
    path.parent.mkdir(parents=True)
    for kept, times in (
        (known(old), 0),
        (known(now, fp32=busy), 0),
        (known(old, fp32=busy), 1),
        (known(old, bandwidth=late), 1),
    ):
        again.clear()
        path.write_bytes(json_bytes(kept))
        machine_peaks(here, [1], [], print)
        assert len(again) == times, kept
    monkeypatch.setattr(peaks_module, "other_work", lambda: 0.4)
    path.write_bytes(json_bytes(known(old, fp32=busy)))
    machine_peaks(here, [1], [], print)
    assert len(again) == 1, "it is not at rest yet"
