"""How near a case comes to the most that its machine can do."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.record.measurement import Measurement
from bench.record.peaks import MachinePeaks, Precision

Device = Literal["cpu", "gpu"]
Bound = Literal["compute", "memory", "overhead", "unknown"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The least time of one call by what it has to do, s; each is unavailable with its reason where it is not known.

    `compute`: its operations at the peak of their precisions; `memory`: its bytes at the peak bandwidth; `limit`: the
    longer of the two, as they may overlap. `overhead`: what the runtime takes for such a call apart from the work.
    `taken` are the shares (0..1) of the operations by the precision whose peak they are held against.
    """

    compute: Measurement
    memory: Measurement
    overhead: Measurement
    limit: Measurement
    taken: dict[Precision, float] = {}
    notes: tuple[str, ...] = ()


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One case against the roofline of its machine; figures are of one call of `batch` examples.

    `operations` are two a multiply-accumulate; `moved` the bytes that at least have to come from or go to memory;
    `intensity` their quotient, the highest there can be. `measured` is the median latency (s), `rate` the operations
    a second in it, `share` the part of the limit that was reached: limit / measured. `bound` names the longest of the
    three times of `limits`. `warnings` say where a figure has to be wrong.
    """

    case: str
    id: str
    threads: int
    batch: int
    operations: Measurement
    moved: Measurement
    intensity: Measurement
    limits: Limits
    measured: Measurement
    rate: Measurement
    share: Measurement
    bound: Bound
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Roofline(msgspec.Struct, frozen=True, kw_only=True):
    """The points of a run in its order, the peaks that they are held against, and what holds for all of them.

    `warnings` say why these peaks may not be those to hold the run against.
    """

    peaks: MachinePeaks
    device: Device
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
