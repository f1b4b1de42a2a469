"""What can be put into service: a variant on a runtime, with all that the rows of its scenarios say."""

from __future__ import annotations

import msgspec

from bench.record.artifact import Artifact
from bench.record.case import Option
from bench.record.measurement import Measurement


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A case without its scenario. `options` are those of the runtime.

    `figures` are keyed by the names of `bench.record.metric.METRICS`: latency of single-stream, capacity of the server
    scenario, quality of whichever has it. `capacity_bound_s` is the p99 bound under which the capacity was found.
    `offline`: the throughput is that of the offline scenario, not of the same calls as the other figures.
    `cases` are the names of the rows behind it; `failure` is set where one that matters failed. `warnings` are those
    of its rows. `projected` names the target that the figures are projected to; None: all are measured.
    """

    name: str
    model: str
    variant: str
    base: str
    target: str
    threads: int
    batch: int
    options: dict[str, Option] = {}
    figures: dict[str, Measurement] = {}
    capacity_bound_s: float | None = None
    offline: bool = False
    artifact: Artifact | None = None
    dataset: str = ""
    judged_by: str | None = None
    cases: tuple[str, ...] = ()
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    projected: str | None = None
