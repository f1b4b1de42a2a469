"""Which rows should be faster than fp32, and whether they are. Nothing else decides that."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from bench.record.measurement import Measurement
from bench.record.row import Row

BASELINE = "fp32"
SCENARIO = "single-stream"
"""The scenario in which a row's median is the time of one inference and nothing else."""

Promise = Literal["half", "integer", "weights", "sparse", "smaller"]

SHOULD_BE_FASTER: dict[str, Promise] = {
    "fp16": "half",
    "bf16": "half",
    "int8": "integer",
    "int8-dynamic": "integer",
    "int8-qat": "integer",
    "int4": "weights",
    "pruned": "sparse",
    "pruned-nm": "sparse",
    "pruned-int8": "integer",
    "pruned-channels": "smaller",
    "pruned-channels-int8": "integer",
}
"""What each base variant promises to make an inference shorter by. One that is not here promises size or accuracy."""


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """How many times as fast as fp32 a row is: above 1 it is faster. The bounds are None where no interval is known."""

    value: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None

    @property
    def sure(self) -> bool:
        """Whether the row is faster beyond its noise: the interval lies above 1."""
        return self.low is not None and self.low > 1


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A row that should be faster, its fp32 sibling, and what came of it."""

    row: Row
    reference: Row
    gain: Gain


def base(row: Row) -> str:
    """The built-in variant that the row's own is made from."""
    return row.artifact.recipe.base if row.artifact is not None else row.case.variant


def promise(row: Row) -> Promise | None:
    """What the row's variant promises to be faster by, None where it promises nothing of the kind."""
    return SHOULD_BE_FASTER.get(base(row))


def pairs(rows: Iterable[Row]) -> list[Pair]:
    """Every measured single-stream row that should be faster and has a measured fp32 sibling."""
    there = [row for row in rows if row.measured and row.case.scenario == SCENARIO]
    baselines: dict[str, Row] = {}
    for row in there:
        if row.case.variant == BASELINE:
            baselines.setdefault(row.case.id, row)
    found = []
    for row in there:
        if promise(row) is None or row.case.variant == BASELINE:
            continue
        # The fp32 row of the same model, target, threads, batch, scenario and options.
        reference = baselines.get(msgspec.structs.replace(row.case, variant=BASELINE).id)
        if reference is None:
            continue
        gain = speed_up(row.metrics["p50_latency"], reference.metrics["p50_latency"])
        if gain is not None:
            found.append(Pair(row=row, reference=reference, gain=gain))
    return found


def speed_up(latency: Measurement, reference: Measurement) -> Gain | None:
    """The ratio reference / latency of two medians with its interval, None where one of them is absent.

    The bounds come from those of the two medians on the log scale (the method of variance estimates recovery:
    Zou and Donner, Statistics in Medicine 27, 2008), which takes the two as independent.
    """
    if not latency.value or not reference.value:
        return None
    value = reference.value / latency.value
    bounds = (latency.low, latency.high, reference.low, reference.high)
    if any(bound is None or bound <= 0 for bound in bounds):
        return Gain(value=value)
    low, high, reference_low, reference_high = (math.log(bound) for bound in bounds if bound is not None)
    middle, reference_middle = math.log(latency.value), math.log(reference.value)
    down = math.hypot(reference_middle - reference_low, high - middle)
    up = math.hypot(reference_high - reference_middle, middle - low)
    return Gain(
        value=value,
        low=value * math.exp(-down),
        high=value * math.exp(up),
        confidence=latency.confidence,
    )
