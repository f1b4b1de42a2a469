"""Peaks and choices made by hand."""

from __future__ import annotations

from typing import Any

from bench.hardware.schema import HardwareProfile
from bench.record.artifact import Artifact, Recipe, TensorSpec
from bench.record.choice import Choice
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.peaks import MachinePeaks, Peaks

TARGET = "onnxruntime-cpu"


def figure(value: float, unit: str, spread: float = 0.0, how: str = "measured:by hand") -> Measurement:
    """A figure known to ± `spread` (a share)."""
    low, high = value * (1 - spread), value * (1 + spread)
    return Measurement(value=value, unit=unit, n=10, how=how, low=low, high=high, confidence=0.95)


def peaks(
    threads: int = 1,
    *,
    fp32: float = 1e11,
    bandwidth: float = 1e10,
    call: float | None = 1e-6,
    node: float = 1e-7,
    spread: float = 0.0,
    **more: float,
) -> Peaks:
    """Peaks of `threads` threads; `more` are those of other precisions."""
    return Peaks(
        threads=threads,
        compute={name: figure(value, "op/s", spread) for name, value in {"fp32": fp32, **more}.items()},
        bandwidth=figure(bandwidth, "B/s", spread),
        call={} if call is None else {TARGET: figure(call, "s", spread)},
        node={} if call is None else {TARGET: figure(node, "s", spread)},
    )


def machine(*by_threads: Peaks, name: str = "here") -> MachinePeaks:
    return MachinePeaks(name=name, created="2026-11-01", by_threads=by_threads or (peaks(),))


def artifact(base: str = "fp32", **fields: Any) -> Artifact:
    """A file of a million bytes that does 1,000,000 MACs for an example of 100 floats in and 10 out."""
    content: dict[str, Any] = {
        "model": "m",
        "variant": base,
        "format": "onnx",
        "path": "m.onnx",
        "sha256": "0",
        "bytes": 1_000_000,
        "inputs": (TensorSpec(name="x", dtype="float32", shape=(None, 100)),),
        "outputs": (TensorSpec(name="y", dtype="float32", shape=(None, 10)),),
        "macs": 1_000_000,
        "quantised_macs": 0.0,
        "operators": {"MatMul": 6, "Relu": 4},
        "recipe": Recipe(base),
    }
    return Artifact(**{**content, **fields})


def choice(latency: float = 1e-3, *, threads: int = 1, variant: str = "fp32", **fields: Any) -> Choice:
    """A choice whose median is `latency` (s), with all figures that it can have."""
    figures = {name: figure(1.0, metric.unit, 0.02) for name, metric in METRICS.items()}
    figures |= {
        "p50_latency": figure(latency, "s", 0.02),
        "p90_latency": figure(1.2 * latency, "s", 0.02),
        "p99_latency": figure(1.5 * latency, "s", 0.02),
        "throughput": figure(0.9 / latency, "1/s", 0.02),
        "capacity": figure(0.7 / latency, "1/s", 0.02),
    }
    content: dict[str, Any] = {
        "name": f"m/{variant}/{TARGET}/t{threads}/b1",
        "model": "m",
        "variant": variant,
        "base": variant,
        "target": TARGET,
        "threads": threads,
        "batch": 1,
        "figures": figures,
        "capacity_bound_s": 0.01,
        "artifact": artifact(variant),
    }
    return Choice(**{**content, **fields})


def profile(**fields: Any) -> HardwareProfile:
    """A machine of 4 cores."""

    def stated(value: Any) -> dict[str, Any]:
        return {"value": value, "source": "by hand", "date": "2026-11-01"}

    content: dict[str, Any] = {
        "name": "board",
        "title": "A board",
        "kind": "cpu",
        "cores": stated(4),
        "peak": {"fp32": stated(2e11), "int8": stated(8e11)},
        "memory": {"size": stated(8e9), "bandwidth": stated(2e10)},
        "power": {"tdp": stated(12.0)},
        "providers": [TARGET],
    }
    return HardwareProfile.model_validate({**content, **fields})
