"""How long a chain of products takes: the worker of any case, without a sensor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import psutil

from bench import wire
from bench.machine.cores import keep_to, share_out
from bench.machine.cpu import last_level_cache, usable_cores
from bench.machine.environment import memory_limit
from bench.process import ChildProcess
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.observation import Int64s, Plan, Samples
from bench.runner.peaks.chains import Chain, Written, write
from bench.runner.unwatched import Unwatched
from bench.stats.estimate import Estimate
from bench.stats.interval import median_interval, quantile_interval
from bench.worker.measure import measure
from bench.worker.messages import Job, ProfileJob
from bench.worker.profile import profile_case
from bench.worker.stream import BYTES_AN_ELEMENT

_PLAN = Plan(warmup_min_s=0.1, warmup_max_s=0.3, min_s=0.2, max_s=0.6, min_samples=20, evaluate=False, timeout_s=60)
FAST = 0.1
"""A peak is what is reached undisturbed: the slowest of the fastest tenth tells it, where STREAM takes the one best."""
_FEWEST = 5
_STREAM_S = 0.5
_CACHES = 4
"""STREAM asks for arrays of at least four times the last-level cache each."""
_MEMORY_SHARE = 1 / 16
_PROFILE_S = 0.05
BUSY = "other work kept the machine"
"""In the `how` of a figure of a machine that was not at rest."""
_REST_S, _QUIET = 0.3, 0.1
"""How long to look at the machine before, and which share of it other work may take unmentioned."""
_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "int4": "int4"}
_PRODUCTS = ("MatMul", "Gemm", "FullyConnected", "FULLY_CONNECTED")


class GaugeError(Exception):
    """Why there is no figure, in a sentence."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Operations/s or B/s from `n` samples; without bounds where these came in bursts."""

    value: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    n: int

    def measurement(self, unit: str, how: str) -> Measurement:
        """As a figure."""
        return Measurement(
            value=self.value, unit=unit, n=self.n, how=how, low=self.low, high=self.high, confidence=self.confidence
        )


class Gauge:
    """Measures in fresh processes on the last cores. `folder` keeps the files of the chains.

    `progress` is told what is measured. Every method raises `GaugeError` for what cannot be.
    """

    def __init__(self, folder: Path, progress: Callable[[str], None]) -> None:
        self._folder, self._progress = folder, progress
        self._written: dict[Chain, Written] = {}
        self._usable = usable_cores()
        busy = other_work()
        self.disturbed = f"; {BUSY} {busy:.0%} busy" if busy else ""
        """What to add to a figure of a machine that was not at rest."""
        if self.disturbed:
            progress(f"peaks: other work keeps this machine {busy:.0%} busy, so they will come out too low")

    def seconds(self, chain: Chain, target: str, threads: int) -> Estimate:
        """The median time of an inference in one fresh process, s."""
        samples = self._samples(chain, target, threads)
        found = median_interval(samples.latency_ns * 1e-9, block=samples.block)
        if not isinstance(found, Estimate):
            raise GaugeError(found.reason)
        return found

    def rate(self, chain: Chain, target: str, threads: int) -> Rate:
        """Operations/s of the fastest tenth of the inferences in one fresh process."""
        samples = self._samples(chain, target, threads)
        return _fast(samples.latency_ns, samples.block, chain.operations)

    def bandwidth(self, threads: int) -> Rate:
        """B/s of the fastest tenth of the passes in one fresh process; see `bench.worker.stream`."""
        self._progress(f"peaks: {threads_text(threads)}: memory bandwidth")
        cores = share_out(self._usable, threads)
        job = {"threads": threads, "cores": cores.measuring, "elements": stream_elements(), "seconds": _STREAM_S}
        with keep_to(cores.harness), ChildProcess("bench.worker.stream", environment={"OMP_NUM_THREADS": "1"}) as child:
            child.send(json.dumps(job).encode())
            try:
                frame = child.receive(_PLAN.timeout_s)
            except (TimeoutError, wire.WireError) as error:
                raise GaugeError(f"the stream gave no answer: {error or 'too late'}") from error
            if frame is None:
                raise GaugeError(f"the stream ended without an answer: {(child.tail() or 'silent').splitlines()[-1]}")
        passes = np.array(json.loads(frame)["passes_ns"])
        return _fast(passes, np.arange(len(passes)), stream_elements() // threads * threads * BYTES_AN_ELEMENT)

    def computes_in(self, chain: Chain, target: str) -> str:
        """The precision in which the runtime computes the products of the chain, by its own profiler."""
        self._progress(f"peaks: {target}: what it computes a {chain.kind} file in")
        written = self._made(chain)
        profile = profile_case(
            ProfileJob(
                case=_case(chain, target, 1),
                artifact=written.artifact,
                artifact_path=str(written.path),
                inputs=str(written.inputs),
                seconds=_PROFILE_S,
                timeout_s=_PLAN.timeout_s,
                cores=share_out(self._usable, 1).measuring,
            )
        )
        if profile.reason is not None:
            raise GaugeError(profile.reason)
        told = [each.precision for each in profile.operators if any(name in each.type for name in _PRODUCTS)]
        if not told or told[0] not in _DTYPES:
            raise GaugeError(f"the profiler of {target} does not tell what it computes a {chain.kind} file in")
        return _DTYPES[told[0]]

    def _samples(self, chain: Chain, target: str, threads: int) -> Samples:
        self._progress(f"peaks: {threads_text(threads)}, {target}: {chain.kind}, {chain.about}")
        written = self._made(chain)
        cores = share_out(self._usable, threads)
        job = Job(
            case=_case(chain, target, threads),
            artifact=written.artifact,
            artifact_path=str(written.path),
            inputs=str(written.inputs),
            outputs=None,
            plan=_PLAN,
            cores=cores.measuring,
        )
        with keep_to(cores.harness):
            seen = measure(job, 0, Unwatched())
        if seen.samples is None:
            raise GaugeError(seen.failure.reason if seen.failure else "no samples")
        return seen.samples

    def _made(self, chain: Chain) -> Written:
        if chain not in self._written:
            self._written[chain] = write(chain, self._folder)
        return self._written[chain]


def other_work() -> float:
    """The share of the machine that is busy now (0..1); 0 where it is at rest but for little."""
    busy = psutil.cpu_percent(_REST_S) / 100
    return busy if busy > _QUIET else 0.0


def stream_elements() -> int:
    """Elements of one of the three arrays: four times the last-level cache, as far as the memory allows."""
    aim = _CACHES * last_level_cache()[0]
    available = psutil.virtual_memory().available
    return int(min(aim, min(available, memory_limit() or available) * _MEMORY_SHARE)) // 8


def _case(chain: Chain, target: str, threads: int) -> Case:
    runtime, _, provider = target.partition("-")
    return Case(model="peak", variant=chain.kind, runtime=runtime, provider=provider, threads=threads)


def _fast(taken_ns: Int64s, block: Int64s, amount: int) -> Rate:
    """`amount` over the time that the fastest tenth keeps within; what bounds the time above bounds the rate below."""
    if len(taken_ns) < _FEWEST:
        raise GaugeError(f"too few samples ({len(taken_ns)} of {_FEWEST})")
    found = quantile_interval(taken_ns, FAST, block=block)
    value = float(np.quantile(taken_ns, FAST, method="inverted_cdf"))
    rate = Rate(value=amount / value * 1e9, n=len(taken_ns))
    if not isinstance(found, Estimate):
        return rate
    return msgspec.structs.replace(
        rate, low=amount / found.high * 1e9, high=amount / found.low * 1e9, confidence=found.confidence
    )


def threads_text(count: int) -> str:
    """A count of threads in words."""
    return f"{count} thread{'' if count == 1 else 's'}"
