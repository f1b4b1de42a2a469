"""Choices made by hand, for the front and the recommendation."""

from __future__ import annotations

from typing import Any

from bench.record.choice import Choice
from bench.record.measurement import Measurement
from bench.record.metric import METRICS

Figure = float | tuple[float, float, float] | None
"""A value, a value with its ends, or a figure that is missing."""


def measured(metric: str, figure: Figure, n: int = 100) -> Measurement:
    """A figure of a metric; a value alone has no interval."""
    unit = METRICS[metric].unit
    if figure is None:
        return Measurement.unavailable(unit, "no such counter")
    value, low, high = figure if isinstance(figure, tuple) else (figure, None, None)
    confidence = None if low is None else 0.95
    return Measurement(value=value, unit=unit, n=n, how="measured:clock", low=low, high=high, confidence=confidence)


def around(value: float, half: float = 0.01) -> Figure:
    """Known to ± `half`, a share."""
    return value, value * (1 - half), value * (1 + half)


def choice(variant: str, *, n: int = 100, target: str = "onnxruntime-cpu", **more: Any) -> Choice:
    """A choice with the figures that are given by the names of `METRICS`."""
    figures = {name: measured(name, more.pop(name), n) for name in METRICS if name in more}
    threads = more.get("threads", 1)
    fields = {"base": variant, "threads": 1, "batch": 1, "dataset": "digits", "judged_by": "accuracy"} | more
    return Choice(
        name=f"m/{variant}/{target}/t{threads}/b1", model="m", variant=variant, target=target, figures=figures, **fields
    )
