"""pytest-benchmark's JSON, with every raw sample, so that its `compare` and histograms take a run.

The statistics are those of pytest-benchmark: a round is one query, in seconds; the median is the middle one or
halfway between two, quartiles are Tukey's hinges (the quantiles of Hazen), outliers lie beyond a standard deviation
from the mean, or beyond 1.5 interquartile ranges from the quartiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.record.environment import Environment
from bench.record.row import Row
from bench.store import parquet
from bench.store.manifest import Manifest
from bench.store.tables import LATENCIES

VERSION = "5.3.0"
"""The version of pytest-benchmark whose form this is."""
_NANO = 1e9


def document(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> dict[str, Any]:
    """The cases that have samples. Raises `UserError` where those cannot be read."""
    samples = _samples(folder)
    plan = manifest.plan
    options = {
        "timer": "monotonic clock",
        "min_rounds": plan.min_samples,
        "min_time": plan.min_s,
        "max_time": plan.max_s,
    }
    return {
        "machine_info": _machine(manifest.environment),
        "commit_info": {"id": "unversioned", "time": None, "author_time": None, "branch": "(unknown)"},
        "benchmarks": [
            _benchmark(manifest.run_id, row, samples[row.case.id]) | {"options": options}
            for row in rows
            if row.case.id in samples
        ],
        "datetime": manifest.created,
        "version": VERSION,
    }


def _samples(folder: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Latencies (s) by case id."""
    parts = parquet.read(folder / LATENCIES, ["case_id", "latency_ns"]).partition_by("case_id", as_dict=True)
    return {str(case): part["latency_ns"].to_numpy() / _NANO for (case,), part in parts.items()}


def _benchmark(run: str, row: Row, samples: npt.NDArray[np.float64]) -> dict[str, Any]:
    case = row.case
    names = ("model", "variant", "target", "threads", "batch", "scenario")
    figures = {name: figure.value for name, figure in row.metrics.items() if figure.value is not None}
    return {
        "group": case.model,
        "name": case.name,
        "fullname": case.name,
        "params": {name: getattr(case, name) for name in names} | case.options,
        "param": None,
        "extra_info": {"run": run, "status": row.status, "dataset": row.dataset, "figures": figures},
        "stats": _stats(samples),
    }


def _stats(x: npt.NDArray[np.float64]) -> dict[str, Any]:
    """What pytest-benchmark computes from the rounds `x` (n,), n > 0."""
    mean, deviation = float(x.mean()), float(x.std(ddof=1)) if x.size > 1 else 0.0
    q1, median, q3 = map(float, np.quantile(x, (0.25, 0.5, 0.75), method="hazen"))
    iqr = q3 - q1
    fence = (x >= q1 - 1.5 * iqr) & (x <= q3 + 1.5 * iqr)
    far = int(((x < mean - deviation) | (x > mean + deviation)).sum())
    out = int((~fence).sum())
    total = float(x.sum())
    return {
        "min": float(x.min()),
        "max": float(x.max()),
        "mean": mean,
        "stddev": deviation,
        "rounds": x.size,
        "median": median,
        "iqr": iqr,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": out,
        "stddev_outliers": far,
        "outliers": f"{far};{out}",
        "ld15iqr": float(x[fence].min()),
        "hd15iqr": float(x[fence].max()),
        "ops": x.size / total if total else 0.0,
        "total": total,
        "data": x.tolist(),
        "iterations": 1,
    }


def _machine(environment: Environment) -> dict[str, Any]:
    """Its keys, as far as the fingerprint knows them."""
    return {
        "machine": environment.architecture,
        "processor": environment.architecture,
        "python_version": environment.python,
        "release": environment.kernel,
        "system": environment.system,
        "cpu": {
            "brand_raw": environment.cpu_model,
            "count": environment.cores_logical,
            "flags": sorted(
                [*environment.cpu_features, *([environment.virtualisation] if environment.virtualisation else [])]
            ),
        },
    }
