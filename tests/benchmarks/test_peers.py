"""The same artifact, the same threads, in turns with the vendors' own tools."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.load.base import Requests
from bench.machine.cores import share_out
from bench.machine.cpu import usable_cores
from bench.record.artifact import Bundle
from bench.record.case import Case
from bench.record.observation import Plan, Telemetry
from bench.runtimes.base import Opening
from bench.runtimes.table import RUNTIMES, open_session
from bench.stats.estimate import Estimate
from bench.stats.ratio import ratio_of_medians
from bench.worker.inputs import Pool, read_inputs
from bench.worker.measure import measure
from bench.worker.messages import Job

ROUNDS = 6
PLAN = Plan(warmup_min_s=0.2, warmup_max_s=1.0, min_s=1.0, max_s=1.5, evaluate=False)
CORES = share_out(usable_cores(), 1).measuring


class Unwatched:
    """No sampler: the peers have none either."""

    def watch(self, pid: int) -> None: ...

    def snapshot(self, edge: str) -> None: ...

    def finish(self) -> Telemetry:
        return Telemetry()


def ours(digits_bundle: tuple[Path, Bundle], target: str, variant: str) -> Callable[[], float]:
    """Median (µs) of one invocation, with the peers' scope: inputs set before, outputs not read."""
    folder, bundle = digits_bundle
    runtime, _, provider = target.partition("-")
    artifact = next(a for a in bundle.artifacts if a.variant == variant and a.format in RUNTIMES[runtime].formats)
    job = Job(
        case=Case(model="mnist_cnn", variant=variant, runtime=runtime, provider=provider, options={"scope": "invoke"}),
        artifact=artifact,
        artifact_path=str(folder / artifact.path),
        inputs=str(folder / bundle.data.inputs),
        outputs=None,
        plan=PLAN,
        cores=CORES,
    )

    def once() -> float:
        seen = measure(msgspec.structs.replace(job), 0, Unwatched())
        assert seen.samples is not None, seen.failure
        return float(np.median(seen.samples.latency_ns)) / 1e3

    return once


def pinned(*command: object) -> str:
    """What a peer prints, run on the core that our own worker measures on."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, CORES or before)
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    finally:
        os.sched_setaffinity(0, before)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# The tool rounds to 10 µs when it writes; its measurement is left as it is.
UNROUNDED = (
    "from ai_edge_litert.tools import benchmark_litert_model as tool; "
    "tool.round = lambda value, digits=None: value; tool.main()"
)


def litert_tool(model: Path, tmp_path: Path) -> Callable[[], float]:
    def once() -> float:
        result = tmp_path / "peer.json"
        runs = ["--num_runs", "15000", "--warmup_runs", "3000", "--num_threads", "1"]
        pinned(sys.executable, "-c", UNROUNDED, "--model", model, *runs, "--result_json", result)
        return float(json.loads(result.read_text())["latency"]["median_ms"]) * 1e3

    return once


def benchmark_app(model: Path) -> Callable[[], float]:
    tool = Path(sys.executable).with_name("benchmark_app")
    options = "-d CPU -hint none -nstreams 1 -nthreads 1 -api sync -t 2 -shape [1,28,28,1]"

    def once() -> float:
        told = pinned(tool, "-m", model, *options.split(" "))
        found = re.search(r"Median:\s+([\d.]+) (ms|us)", told)
        assert found, told
        return float(found[1]) * (1e3 if found[2] == "ms" else 1)

    return once


def alternate(
    benchmark: Callable[..., object], name: str, us: Callable[[], float], peer: Callable[[], float]
) -> Estimate:
    """The ratio of our median to the peer's, in turns; both go into the benchmark's record."""
    pairs: list[tuple[float, float]] = []

    def both() -> None:
        first, second = (us, peer) if len(pairs) % 2 else (peer, us)
        values = {first: first(), second: second()}
        pairs.append((values[peer], values[us]))

    benchmark.pedantic(both, rounds=ROUNDS, iterations=1)  # type: ignore[attr-defined]
    ratio = ratio_of_medians([p for p, _ in pairs], [u for _, u in pairs])
    assert isinstance(ratio, Estimate)
    medians = np.median(pairs, axis=0)
    benchmark.extra_info.update(peer=name, peer_us=medians[0], ours_us=medians[1], ratio=ratio.value)  # type: ignore[attr-defined]
    benchmark.extra_info.update(low=ratio.low, high=ratio.high)  # type: ignore[attr-defined]
    return ratio


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_litert_agrees_with_its_vendors_own_tool(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path, benchmark: Callable[..., object], variant: str
) -> None:
    folder, bundle = digits_bundle
    path = next(folder / a.path for a in bundle.artifacts if (a.variant, a.format) == (variant, "tflite"))
    us = ours(digits_bundle, "litert-compiled-cpu", variant)
    ratio = alternate(benchmark, "benchmark_litert_model", us, litert_tool(path, tmp_path))
    assert 0.95 <= ratio.value <= 1.05 or ratio.low <= 1 <= ratio.high, ratio


def inside(digits_bundle: tuple[Path, Bundle], variant: str) -> Callable[[], float]:
    """Median (µs) of OpenVINO's own timer, which is what benchmark_app reads, in our session under our load."""
    folder, bundle = digits_bundle
    artifact = next(a for a in bundle.artifacts if (a.variant, a.format) == (variant, "onnx"))
    shapes = [(1, 28, 28, 1)]
    opening = Opening(folder / artifact.path, artifact, "cpu", 1, shapes, options={"scope": "invoke"})
    pool = Pool(artifact, read_inputs(folder / bundle.data.inputs), shapes)

    def once() -> float:
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, CORES or before)
            session = open_session("openvino", opening)
            times: list[float] = []

            def call(request: object) -> None:
                session.call(request)
                times.append(session._request.latency)  # type: ignore[attr-defined]

            requests = Requests(call, lambda at: session.prepare(pool[at]), pool.count)
            requests.block(0.3)
            times.clear()
            requests.block(2.0)
            session.close()
        finally:
            os.sched_setaffinity(0, before)
        return float(np.median(times)) * 1e3

    return once


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_openvino_agrees_with_benchmark_app_where_both_read_the_same_timer(
    digits_bundle: tuple[Path, Bundle], benchmark: Callable[..., object], variant: str
) -> None:
    """benchmark_app reads a timer inside OpenVINO; a row's figure is what the caller waits, some µs of Python more."""
    folder, bundle = digits_bundle
    path = next(folder / a.path for a in bundle.artifacts if (a.variant, a.format) == (variant, "onnx"))
    waited = ours(digits_bundle, "openvino-cpu", variant)()
    ratio = alternate(benchmark, "benchmark_app", inside(digits_bundle, variant), benchmark_app(path))
    inner = benchmark.extra_info["ours_us"]  # type: ignore[attr-defined]
    benchmark.extra_info["caller_us"] = waited  # type: ignore[attr-defined]
    assert 0.95 <= ratio.value <= 1.05 or ratio.low <= 1 <= ratio.high, ratio
    assert waited > inner
