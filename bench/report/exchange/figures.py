"""The figures that are worth following elsewhere, in units that stay the same from run to run."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Metric
from bench.record.row import Row
from bench.store.baselines import GATED

_DIGITS = 12  # enough for any clock, few enough to hide the last bit of a conversion
_SCALES = {"s": (1e9, "ns")}
"""Factor and name of the unit where it is another one: these tools compare numbers, whatever their unit says."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A figure in the unit in which it is given away; `low` and `high` are None where it has no interval."""

    metric: Metric
    measurement: Measurement
    unit: str
    value: float
    low: float | None = None
    high: float | None = None


def told(row: Row) -> Iterator[Told]:
    """The figures of a row that a gate may watch, as far as they are there."""
    for name in GATED:
        figure = row.metrics.get(name)
        if figure is None or figure.value is None or not math.isfinite(figure.value):
            continue
        factor, unit = _SCALES.get(figure.unit, (1.0, figure.unit))
        bounds = [None if bound is None else _rounded(bound * factor) for bound in (figure.low, figure.high)]
        low, high = bounds if None not in bounds else (None, None)
        yield Told(
            metric=METRICS[name],
            measurement=figure,
            unit=unit,
            value=_rounded(figure.value * factor),
            low=low,
            high=high,
        )


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
