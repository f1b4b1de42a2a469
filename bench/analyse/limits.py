"""The least time of a call by the peaks of a machine (the roofline), and what the runtime adds.

Williams, Waterman, Patterson: Roofline, an insightful visual performance model for multicore architectures,
Communications of the ACM 52 (4), 2009.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from operator import add

import msgspec

from bench.analyse.cost.quantity import Quantity, Unknown
from bench.analyse.precisions import Share
from bench.analyse.traffic import Work
from bench.record.measurement import Measurement
from bench.record.peaks import Peaks, Precision
from bench.record.roofline import Limits

Taken = Mapping[Precision, float]


def limits(work: Work, peaks: Peaks, target: str, taken: Taken | None = None) -> Limits:
    """The three times of a call of `work` on `target` with these peaks.

    Where it is not known which of some precisions it computes in, the highest known of their peaks is taken, so that
    the limit stays a limit, and a note says so. `taken` says what was taken elsewhere, to take the same here.
    """
    notes: list[str] = []
    if taken is None:
        taken = _taken(work.shares, peaks, notes)
    compute = figure("s", lambda: _compute(work, peaks, taken))
    memory = figure("s", lambda: count(work.moved) / rate(peaks.bandwidth))
    return Limits(
        compute=compute,
        memory=memory,
        overhead=figure("s", lambda: _overhead(work, peaks, target)),
        limit=figure("s", lambda: _longer(Quantity.of(compute), Quantity.of(memory))),
        taken=dict(taken),
        notes=tuple(notes),
    )


def figure(unit: str, formula: Callable[[], Quantity]) -> Measurement:
    """What the formula gives, in `unit`; unavailable with the reason where a term is not known."""
    try:
        return formula().figure(unit)
    except Unknown as why:
        return Measurement.unavailable(unit, str(why))


def count(measured: Measurement) -> Quantity:
    """Operations or bytes, which are counted and exact. Raises `Unknown`."""
    if measured.value is None:
        raise Unknown(measured.reason)
    return Quantity.exact(measured.value)


def rate(peak: Measurement) -> Quantity:
    """Operations or bytes a second. Raises `Unknown`."""
    return Quantity.of(msgspec.structs.replace(peak, unit="1/s"))


def _taken(shares: tuple[Share, ...], peaks: Peaks, notes: list[str]) -> Taken:
    """The share of the operations by the precision whose peak they are held against."""
    taken: dict[Precision, float] = {}
    for share in shares:
        known = {name: peak for name in share.candidates if (peak := _peak(peaks, name)) is not None}
        name = max(known, key=lambda one: known[one], default=share.candidates[0])
        taken[name] = taken.get(name, 0.0) + share.part
        if len(share.candidates) > 1:
            of_which = "the highest" if len(known) == len(share.candidates) else "the highest that is known"
            notes.append(
                f"it is not known whether {share.part:.0%} of it computes in {' or '.join(share.candidates)}: "
                f"held against the peak of {name}, {of_which} of them"
            )
    return taken


def _peak(peaks: Peaks, name: Precision) -> float | None:
    return peaks.compute[name].value if name in peaks.compute else None


def _compute(work: Work, peaks: Peaks, taken: Taken) -> Quantity:
    operations = count(work.operations)
    missing = [name for name in taken if _peak(peaks, name) is None]
    if missing:
        absent = peaks.compute.get(missing[0])
        raise Unknown(f"the peak of {missing[0]} is not known" + (f": {absent.reason}" if absent else ""))
    return reduce(add, (operations * part / rate(peaks.compute[name]) for name, part in taken.items()))


def _overhead(work: Work, peaks: Peaks, target: str) -> Quantity:
    """A call, and each operator of the file: more than there are once the runtime has fused some."""
    if target not in peaks.call or target not in peaks.node:
        raise Unknown(f"what a call of {target} costs apart from its work is not known")
    if work.operators is None:
        raise Unknown("the operators of the artifact could not be counted")
    return Quantity.of(peaks.call[target]) + Quantity.of(peaks.node[target]) * float(work.operators)


def _longer(one: Quantity, other: Quantity) -> Quantity:
    """The maximum of two times; its ends are the maxima of theirs."""
    ends = [None if a is None or b is None else max(a, b) for a, b in ((one.low, other.low), (one.high, other.high))]
    return replace(one + other, value=max(one.value, other.value), low=ends[0], high=ends[1])
