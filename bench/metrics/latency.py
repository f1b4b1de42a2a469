"""Latency and throughput from raw samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.load.table import SCENARIOS
from bench.metrics.processes import over_processes
from bench.optional import NO_INTERVAL, installed
from bench.record.measurement import Measurement
from bench.record.observation import Int64s, Observation, Samples
from bench.stats.bootstrap import hierarchical_interval
from bench.stats.estimate import Estimate, TooFew
from bench.stats.interval import quantile_interval
from bench.stats.outliers import outliers
from bench.stats.percentile import min_samples

PERCENTILES = {"p50_latency": 0.5, "p90_latency": 0.9, "p99_latency": 0.99, "p999_latency": 0.999}
HOW = "measured:monotonic-clock"
_NANO = 1e-9


def figures(observations: Sequence[Observation], confidence: float) -> dict[str, Measurement]:
    """Percentiles of all samples of all invocations, mean, throughput and outliers; s and 1/s."""
    streams = [seen.samples for seen in observations if seen.samples is not None]
    found = {name: _percentile(streams, q, confidence) for name, q in PERCENTILES.items()}
    batch = observations[0].case.batch
    found["mean_latency"] = _mean(streams, confidence)
    if SCENARIOS[observations[0].case.scenario].warms_up:
        found["throughput"] = over_processes([_rate(s) * batch for s in streams], "1/s", HOW, _count(streams))
    else:
        found["throughput"] = Measurement.unavailable("1/s", "a start has no rate")
    found["outlier_share"] = _outliers(streams)
    return found


def block_medians(samples: Samples) -> npt.NDArray[np.float64]:
    """The median latency of each block, ns, in order of time."""
    edges = np.flatnonzero(np.diff(samples.block)) + 1
    return np.array([np.median(part) for part in np.split(samples.latency_ns, edges)])


def _percentile(streams: Sequence[Samples], q: float, confidence: float) -> Measurement:
    """The nearest-rank percentile with the interval of `bench.stats.interval`."""
    values, invocation, block = _pooled(streams)
    n, needed = len(values), min_samples(q)
    if n < needed:
        return TooFew(n=n, n_effective=float(n), needed=needed).measurement("s")
    why = NO_INTERVAL
    if installed("scipy"):
        estimate = quantile_interval(values, q, invocation, block, confidence=confidence)
        if isinstance(estimate, Estimate):
            return estimate.measurement("s", HOW, scale=_NANO)
        # Samples there are, but they came in bursts: the percentile stands, its interval cannot be told.
        why = f"worth {int(estimate.n_effective)} independent samples of {estimate.needed}"
    value = float(np.quantile(values, q, method="inverted_cdf"))
    return Measurement(value=value * _NANO, unit="s", n=n, how=f"{HOW}; no interval: {why}")


def _mean(streams: Sequence[Samples], confidence: float) -> Measurement:
    """The mean, its interval by resampling invocations first, then their blocks."""
    values, invocation, block = _pooled(streams)
    return hierarchical_interval(values, invocation, block, statistic="mean", confidence=confidence).measurement(
        "s", HOW, scale=_NANO
    )


def _pooled(streams: Sequence[Samples]) -> tuple[Int64s, Int64s, Int64s]:
    """All latencies (ns), with the invocation and the block that each is of."""
    return (
        np.concatenate([s.latency_ns for s in streams]),
        np.repeat(np.arange(len(streams)), [len(s.latency_ns) for s in streams]),
        np.concatenate([s.block for s in streams]),
    )


def _outliers(streams: Sequence[Samples]) -> Measurement:
    """Outliers of each invocation by its own median, over all samples: reported, never deleted."""
    counts = [outliers(s.latency_ns) for s in streams]
    n = sum(count.n for count in counts)
    return Measurement(value=sum(c.low + c.high for c in counts) / n, unit="1", n=n, how=HOW)


def _rate(samples: Samples) -> float:
    """Calls a second while they were served; what the harness does between two blocks is not the model's time."""
    if samples.span_ns is not None:
        return float(len(samples.block) / (samples.span_ns * _NANO))
    edges = np.flatnonzero(np.diff(samples.block))
    first, last = np.r_[0, edges + 1], np.r_[edges, len(samples.block) - 1]
    spans = samples.start_ns[last] + samples.latency_ns[last] - samples.start_ns[first]
    return float(len(samples.block) / (spans.sum() * _NANO))


def _count(streams: Sequence[Samples]) -> int:
    return sum(len(s.start_ns) for s in streams)
