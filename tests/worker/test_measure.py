"""One case in one fresh process: what comes back, and what is said when the process does not come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from bench import wire
from bench.record.artifact import Bundle
from bench.record.case import Case
from bench.record.codec import pack, unpack
from bench.record.observation import Observation, Plan, Telemetry
from bench.runtimes.table import RUNTIMES
from bench.sensors.sampler import Sampler
from bench.worker.measure import measure
from bench.worker.messages import Edge, FromChild, Job

SHORT = Plan(warmup_min_s=0.05, warmup_max_s=0.5, min_s=0.2, max_s=0.6, min_samples=64, timeout_s=30)


class Watch:
    """Stands where the sampler stands and does something to the process at an edge."""

    def __init__(self, edge: str = "", act: Callable[[int], None] = lambda pid: None) -> None:
        self.edge, self.act = edge, act
        self.pid = 0
        self.edges: list[str] = []

    def watch(self, pid: int) -> None:
        self.pid = pid
        if self.edge == "start":
            self.act(pid)

    def snapshot(self, edge: str) -> None:
        self.edges.append(edge)
        if edge == self.edge:
            self.act(self.pid)

    def finish(self) -> Telemetry:
        return Telemetry()


def job_for(
    digits_bundle: tuple[Path, Bundle],
    target: str = "onnxruntime-cpu",
    variant: str = "fp32",
    *,
    plan: Plan = SHORT,
    outputs: Path | None = None,
    **case: object,
) -> Job:
    folder, bundle = digits_bundle
    runtime, _, provider = target.partition("-")
    artifact = next(a for a in bundle.artifacts if a.variant == variant and a.format in RUNTIMES[runtime].formats)
    return Job(
        case=Case(model="mnist_cnn", variant=variant, runtime=runtime, provider=provider, **case),  # type: ignore[arg-type]
        artifact=artifact,
        artifact_path=str(folder / artifact.path),
        inputs=str(folder / bundle.data.inputs),
        outputs=None if outputs is None else str(outputs),
        plan=plan,
        cores=None,
    )


@pytest.mark.parametrize(
    "target", ["onnxruntime-cpu", "litert-xnnpack", "litert-builtin", "litert-compiled-cpu", "null-none"]
)
def test_every_sample_is_kept_in_order_and_the_phases_follow_each_other(
    digits_bundle: tuple[Path, Bundle], target: str
) -> None:
    watch = Watch()
    seen = measure(job_for(digits_bundle, target), 0, watch)
    assert seen.status == "ok", seen.failure
    assert seen.samples is not None
    assert len(seen.samples.start_ns) == len(seen.samples.latency_ns) == len(seen.samples.block) >= 64
    assert (np.diff(seen.samples.start_ns) >= seen.samples.latency_ns[:-1]).all(), (
        "no call starts before the last is back"
    )
    assert (np.diff(seen.samples.block) >= 0).all()
    assert watch.edges == ["before-load", "after-load", "measure-start", "measure-end"]
    assert all(a.end_ns == b.start_ns for a, b in zip(seen.phases, seen.phases[1:], strict=False))
    phase = next(p for p in seen.phases if p.name == "measure")
    assert phase.start_ns <= seen.samples.start_ns[0]
    assert seen.samples.start_ns[-1] + seen.samples.latency_ns[-1] <= phase.end_ns


def test_the_measuring_process_never_imported_the_export_stack_or_tables(digits_bundle: tuple[Path, Bundle]) -> None:
    for target in ("onnxruntime-cpu", "litert-xnnpack", "litert-compiled-cpu"):
        maps: list[str] = []
        watch = Watch(
            "measure-end", lambda pid, maps=maps: maps.extend(m.path for m in psutil.Process(pid).memory_maps())
        )
        seen = measure(job_for(digits_bundle, target), 0, watch)
        assert seen.facts["heavy_modules"] == []
        # What the process says of itself is checked against what the kernel has mapped for it.
        for package in ("tensorflow", "h5py", "polars", "scipy", "sklearn", "tf2onnx", "pandas"):
            assert not [path for path in maps if f"/{package}/" in path], target
        assert [path for path in maps if "onnxruntime" in path or "ai_edge_litert" in path]


def test_outputs_are_written_for_every_example_whatever_the_batch(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    folder, bundle = digits_bundle
    with np.load(folder / str(bundle.data.reference)) as archive:
        reference = archive["0"]
    for batch in (1, 7):
        outputs = tmp_path / f"{batch}.npz"
        seen = measure(job_for(digits_bundle, outputs=outputs, batch=batch), 0, Watch())
        assert seen.status == "ok", seen.failure
        with np.load(outputs) as archive:
            np.testing.assert_allclose(archive["0"], reference, atol=1e-4)


def test_int8_outputs_come_back_as_real_values(digits_bundle: tuple[Path, Bundle], tmp_path: Path) -> None:
    outputs = tmp_path / "o.npz"
    job = job_for(digits_bundle, "litert-xnnpack", "int8", outputs=outputs)
    assert job.artifact.inputs[0].dtype == job.artifact.outputs[0].dtype == "int8"
    assert measure(job, 0, Watch()).status == "ok"
    with np.load(outputs) as archive:
        np.testing.assert_allclose(archive["0"].sum(axis=1), 1, atol=0.05)


def test_the_pool_of_inputs_is_larger_than_the_last_level_cache(digits_bundle: tuple[Path, Bundle]) -> None:
    seen = measure(job_for(digits_bundle), 0, Watch())
    assert ", larger than the last-level cache" in seen.facts["inputs"]


def test_measuring_stops_at_the_budget_and_says_so(digits_bundle: tuple[Path, Bundle]) -> None:
    plan = msgspec.structs.replace(SHORT, min_samples=10**9)
    seen = measure(job_for(digits_bundle, plan=plan), 0, Watch())
    assert seen.samples is not None
    assert seen.samples.stopped_by.startswith("time budget of 0.6 s")
    assert f"{len(seen.samples.start_ns)} of 1000000000 samples" in seen.samples.stopped_by


def test_a_warm_up_that_finds_no_steady_state_says_so(digits_bundle: tuple[Path, Bundle]) -> None:
    plan = msgspec.structs.replace(SHORT, warmup_min_s=0.01, warmup_max_s=0.03)
    seen = measure(job_for(digits_bundle, plan=plan), 0, Watch())
    assert seen.warmup is not None
    assert not seen.warmup.steady
    assert "no steady state" in seen.warmup.how


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, "crashed with SIGSEGV"),
        (signal.SIGABRT, "crashed with SIGABRT"),
        (signal.SIGKILL, "memory runs out"),
    ],
)
@pytest.mark.parametrize("edge", ["start", "before-load", "measure-start"])
def test_a_process_that_dies_is_one_failed_row_with_its_signal(
    digits_bundle: tuple[Path, Bundle], number: signal.Signals, words: str, edge: str
) -> None:
    watch = Watch(edge, lambda pid: os.kill(pid, number))
    seen = measure(job_for(digits_bundle), 0, watch)
    assert seen.status == "failed"
    assert seen.failure is not None
    assert words in seen.failure.reason
    assert seen.failure.signal == number.name
    assert not psutil.pid_exists(watch.pid)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_process_that_hangs_is_ended_at_its_time_out(digits_bundle: tuple[Path, Bundle]) -> None:
    watch = Watch("measure-start", lambda pid: os.kill(pid, signal.SIGSTOP))
    plan = msgspec.structs.replace(SHORT, timeout_s=3)
    began = time.monotonic()
    seen = measure(job_for(digits_bundle, plan=plan), 0, watch)
    assert time.monotonic() - began < 15
    assert seen.failure is not None
    assert "no answer within 3 s" in seen.failure.reason
    assert seen.failure.phase == "measure"
    assert not psutil.pid_exists(watch.pid)


@pytest.mark.skipif(os.name != "posix", reason="resource limits are POSIX")
def test_a_memory_limit_that_is_too_small_fails_the_case_and_not_the_harness(
    digits_bundle: tuple[Path, Bundle],
) -> None:
    plan = msgspec.structs.replace(SHORT, memory_limit_bytes=24 * 2**20)
    seen = measure(job_for(digits_bundle, plan=plan), 0, Watch())
    assert seen.status == "failed"
    assert seen.failure is not None
    assert seen.failure.reason


def test_a_runtime_that_refuses_gives_its_reason(digits_bundle: tuple[Path, Bundle], tmp_path: Path) -> None:
    broken = tmp_path / "cut.onnx"
    job = job_for(digits_bundle)
    whole = Path(job.artifact_path).read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    seen = measure(msgspec.structs.replace(job, artifact_path=str(broken)), 0, Watch())
    assert seen.failure is not None
    assert "ONNX Runtime cannot load cut.onnx" in seen.failure.reason
    assert "\n" not in seen.failure.reason
    assert seen.failure.phase == "load"


def test_memory_is_seen_from_outside_at_every_edge(digits_bundle: tuple[Path, Bundle]) -> None:
    with Sampler(["process"]) as sampler:
        seen: Observation = measure(job_for(digits_bundle), 0, sampler)
    assert seen.telemetry is not None
    rss = {
        edge: next(r.value for r in taken if r.quantity == "rss") for edge, taken in seen.telemetry.snapshots.items()
    }
    peak = next(r.value for r in seen.telemetry.snapshots["measure-end"] if r.quantity == "peak_rss")
    assert rss["before-load"] < rss["after-load"] <= peak
    assert [r for r in seen.telemetry.readings if r.quantity == "rss"]


def test_streams_of_a_runtime_that_is_not_thread_safe_have_a_session_each(digits_bundle: tuple[Path, Bundle]) -> None:
    assert not RUNTIMES["litert"].thread_safe
    job = job_for(digits_bundle, "litert-builtin", scenario="multi-stream", options={"streams": 3})
    seen = measure(job, 0, Watch())
    assert seen.status == "ok", seen.failure
    assert seen.samples is not None
    assert set(seen.samples.stream.tolist()) == {0, 1, 2}


def test_a_measuring_process_that_waits_for_a_parent_which_is_gone_ends(digits_bundle: tuple[Path, Bundle]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.worker.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        wire.send(child.stdin, pack(job_for(digits_bundle, "null-none")))
        words: list[object] = []
        while not any(isinstance(word, Edge) for word in words):
            words.append(unpack(wire.receive(child.stdout) or b"", FromChild))
        child.stdin.close()
        assert wire.receive(child.stdout) is None, "it says no more"
        assert child.wait(30) == 1


def test_two_cases_at_once_do_not_mix(digits_bundle: tuple[Path, Bundle]) -> None:
    found: dict[str, Observation] = {}

    def run(target: str) -> None:
        found[target] = measure(job_for(digits_bundle, target), 0, Watch())

    threads = [threading.Thread(target=run, args=(t,)) for t in ("onnxruntime-cpu", "litert-xnnpack")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {target: seen.case.target for target, seen in found.items()} == {t: t for t in found}
    assert {seen.status for seen in found.values()} == {"ok"}
