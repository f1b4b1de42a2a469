"""Snapshots made by hand."""

from __future__ import annotations

from typing import Any

import polars as pl

from bench.store.snapshot import CASE_SCHEMA, FIGURE_SCHEMA, Snapshot

MACHINE: dict[str, str | None] = {
    "cpu_model": "A",
    "cores": "0 1",
    "kernel": "6.1",
    "virtualisation": None,
    "boot": "one",
    "package:onnxruntime": "1.32.0",
    "package:ai-edge-litert": "2.3.0",
}
CASE = "m/int8/onnxruntime-cpu/t1/b1/single-stream"


def figure(value: float | None, half: float | None = None, *, n: int = 1000, how: str = "measured:x") -> dict[str, Any]:
    """A figure with an interval of `half` (a share of it) to both sides."""
    bounds = {} if half is None or value is None else {"low": value / (1 + half), "high": value * (1 + half)}
    return {"value": value, "unit": "s", "n": n, "how": how, "confidence": 0.95 if bounds else None, **bounds}


def snapshot(
    label: str,
    figures: dict[str, dict[str, dict[str, Any]]],
    *,
    machine: dict[str, str | None] | None = None,
    cases: dict[str, dict[str, Any]] | None = None,
    invocations: int = 5,
) -> Snapshot:
    """Figures by case and metric; `cases` gives fields of CASE_SCHEMA that differ from an ordinary row."""
    usual = {"status": "ok", "dataset": "d", "data": "d1", "artifact": label, "scope": "s", "schema": 1}
    rows = [{"case": c, "invocations": invocations, **usual, **(cases or {}).get(c, {})} for c in figures]
    told = [{"case": c, "metric": m, **f} for c, by_metric in figures.items() for m, f in by_metric.items()]
    return Snapshot(
        label=label,
        created="2026-01-01T00:00:00+00:00",
        machine={**MACHINE, **(machine or {})},
        cases=pl.DataFrame(rows, schema=CASE_SCHEMA),
        figures=pl.DataFrame(told, schema=FIGURE_SCHEMA),
    )


def latency(label: str, value: float, half: float | None = 0.005, **more: Any) -> Snapshot:
    """One case with one latency."""
    return snapshot(label, {CASE: {"p50_latency": figure(value, half)}}, **more)
