"""Operations a second by precision: the best runtime at its best size, twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from bench.hardware.stated import OPERATIONS
from bench.record.artifact import Format
from bench.record.measurement import Measurement
from bench.record.peaks import Precision
from bench.runner.peaks.chains import Chain, Kind
from bench.runner.peaks.gauge import Gauge, GaugeError, Rate
from bench.runtimes.table import unavailable

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8")
UNQUIET = "the machine was not quiet"
"""In the `how` of a rate that was not got twice."""
FAILED = "it was tried and failed"
"""In the reason of a rate that may be had another time."""
AGREEMENT = 0.05
"""A rate stands when two processes come so close to each other."""
_MOST = 4
_SMALL, _LARGE = (256, 512), (512, 1024)
"""Rows a thread, and width: what fits the cache of a core near it, and what has more work for each byte."""


class _Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Which files a runtime is tried with, and whether its own profiler has to prove what it computes them in.

    ONNX Runtime has no kernel but that of the data type of fp32 and int8 products, nor has XNNPACK by default.
    """

    format: Format
    certain: tuple[Kind, ...] = ()
    to_prove: tuple[Kind, ...] = ()


_RUNTIMES = {
    "onnxruntime-cpu": _Runtime(format="onnx", certain=("fp32", "int8"), to_prove=("fp16",)),
    "openvino-cpu": _Runtime(format="onnx", to_prove=("fp32", "int8")),
    "litert-xnnpack": _Runtime(format="tflite", certain=("fp32", "int8")),
}


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime that computes files of this kind in some precision."""

    target: str
    kind: Kind
    format: Format

    def chain(self, threads: int, size: tuple[int, int]) -> Chain:
        """One product with work for every thread."""
        return Chain(kind=self.kind, format=self.format, rows=size[0] * threads, width=size[1])


class Offers(msgspec.Struct, frozen=True):
    """By precision: who offers it, and why others do not."""

    by_precision: dict[Precision, list[Offer]]
    reasons: dict[Precision, list[str]]


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The highest rate of `processes` fresh processes; `short` is by how much the next best one stayed below it."""

    found: Rate
    processes: int
    short: float

    def about(self, what: str) -> str:
        """How it was got, and whether it was got twice."""
        told = f"fastest tenth of {self.found.n} {what}, best of {self.processes} processes"
        if self.short > AGREEMENT:
            told += f"; the next best stayed {self.short:.0%} below it: {UNQUIET}"
        return told


def find_offers(gauge: Gauge) -> Offers:
    """What every CPU runtime here computes in, proven by its profiler where the file does not settle it."""
    offers: dict[Precision, list[Offer]] = {precision: [] for precision in PRECISIONS}
    reasons: dict[Precision, list[str]] = {precision: [] for precision in PRECISIONS}
    for target, runtime in _RUNTIMES.items():
        absent = unavailable(target)
        if absent:
            for told in reasons.values():
                told.append(f"{target}: {absent}")
            continue
        for kind in (*runtime.certain, *runtime.to_prove):
            offer = Offer(target=target, kind=kind, format=runtime.format)
            try:
                computed = kind if kind in runtime.certain else gauge.computes_in(offer.chain(1, _SMALL), target)
            except GaugeError as error:
                reasons[kind].append(f"{target}: {error}")
                continue
            if computed != kind:
                reasons[kind].append(f"{target} computes a file of it in {computed}")
            if all(known.target != target for known in offers.setdefault(computed, [])):
                offers[computed].append(offer)
    return Offers(offers, reasons)


def compute(gauge: Gauge, offers: Offers, threads: int) -> dict[Precision, Measurement]:
    """Operations/s by precision with so many threads; unavailable where no runtime here computes in it."""
    return {
        precision: _peak(gauge, given, offers.reasons.get(precision, ()), threads)
        for precision, given in offers.by_precision.items()
    }


def best_of(measure: Callable[[], Rate], first: Sequence[Rate] = ()) -> Best:
    """The highest rate: from the `first` ones on, measured again until two agree or there were four.

    Raises:
        GaugeError: it cannot be measured.
    """
    found = list(first)
    while len(found) < 2 or (_short(found) > AGREEMENT and len(found) < _MOST):
        found.append(measure())
    return Best(found=max(found, key=lambda each: each.value), processes=len(found), short=_short(found))


def _short(found: Sequence[Rate]) -> float:
    *_, second, first = sorted(each.value for each in found)
    return 1 - second / first


def _peak(gauge: Gauge, offers: Sequence[Offer], reasons: Sequence[str], threads: int) -> Measurement:
    """Every runtime at the small size, the best of them at the large one too, and what was best until two agree."""
    seen: list[tuple[Rate, Offer, Chain]] = []
    failed: list[str] = []

    def once(offer: Offer, size: tuple[int, int]) -> None:
        chain = offer.chain(threads, size)
        try:
            seen.append((gauge.rate(chain, offer.target, threads), offer, chain))
        except GaugeError as error:
            failed.append(f"{offer.target}: {error}")

    for offer in offers:
        once(offer, _SMALL)
    if seen:
        once(max(seen, key=_value)[1], _LARGE)
    if not seen:
        told = [f"{FAILED}: {'; '.join(failed)}"] if failed else []
        return Measurement.unavailable(OPERATIONS, "; ".join([*told, *reasons]) or "no runtime here computes in it")
    first, offer, chain = max(seen, key=_value)
    try:
        best = best_of(lambda: gauge.rate(chain, offer.target, threads), [first])
    except GaugeError as error:
        return Measurement.unavailable(OPERATIONS, f"{FAILED}: {offer.target}: {error}")
    return best.found.measurement(
        OPERATIONS, f"measured:{offer.target}, {chain.about}, {best.about('calls')}{gauge.disturbed}"
    )


def _value(seen: tuple[Rate, Offer, Chain]) -> float:
    return seen[0].value
