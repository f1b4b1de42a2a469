"""The most that a machine can do: what rooflines and projections are held against."""

from __future__ import annotations

import msgspec

from bench.record.measurement import Measurement

Precision = str
"""`fp32`, `tf32`, `bf16`, `fp16`, `int8` or `int4`."""


class Peaks(msgspec.Struct, frozen=True, kw_only=True):
    """With `threads` threads: `compute` in operations/s by precision (two a multiply-accumulate), `bandwidth` in B/s.

    `call` is the time of an inference that computes nothing, `node` that of one more operator in it, both in s by
    `runtime-provider`: what a runtime costs apart from the work. A figure that is not known is unavailable with its
    reason, or missing from its dictionary.
    """

    threads: int
    compute: dict[Precision, Measurement]
    bandwidth: Measurement
    call: dict[str, Measurement] = {}
    node: dict[str, Measurement] = {}


class MachinePeaks(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one machine or profile: `name` says which, a count of threads occurs once."""

    name: str
    created: str
    by_threads: tuple[Peaks, ...]

    def at(self, threads: int) -> Peaks | None:
        """Those of exactly so many threads; None where they are not known."""
        return next((peaks for peaks in self.by_threads if peaks.threads == threads), None)
