"""One result row: everything known about one case, each figure with its provenance."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.record.artifact import Artifact
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.observation import Failure, Placement, Robustness, Status, Validity

SCHEMA = 1


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for one case. `metrics` are keyed by the names of `bench.record.metric.METRICS`.

    `warnings` are sentences that a reader of the figures has to know. `dataset` names the evaluation
    data. `validity` says whether MLPerf's rules for the scenario were met. `under_corruption` holds the task
    metric in each cell. `why_not_faster` is a line on a row that should be faster than fp32 and is not. `facts`
    are what the worker read about itself.
    """

    case: Case
    status: Status
    dataset: str
    metrics: dict[str, Measurement] = {}
    artifact: Artifact | None = None
    placement: Placement | None = None
    failure: Failure | None = None
    validity: Validity | None = None
    under_corruption: Robustness | None = None
    warnings: tuple[str, ...] = ()
    why_not_faster: str | None = None
    invocations: int = 0
    facts: dict[str, Any] = {}
    schema: int = SCHEMA

    @property
    def measured(self) -> bool:
        """Whether the case ran through, so that its figures stand; they do too where a floor then failed it."""
        return self.placement is not None
