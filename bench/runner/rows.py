"""The row of a case of a run, from what its manifest says and what was seen. The same wherever it is made."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bench.load.table import SCENARIOS
from bench.metrics.floors import Floors
from bench.metrics.row import make_row
from bench.record.artifact import Artifact
from bench.record.case import Case
from bench.record.observation import Observation, Plan
from bench.record.row import Row
from bench.store.manifest import Manifest, ModelEntry

Key = tuple[str, int]
"""The id of a case and the number of an invocation."""


def row_of(
    case: Case,
    seen: Mapping[Key, Observation],
    *,
    manifest: Manifest,
    entry: ModelEntry,
    artifact: Artifact | None,
    why_not_faster: str | None = None,
) -> Row:
    """The row of a case whose first invocation is in `seen`."""
    row = make_row(
        case,
        [seen[case.id, at] for at in range(invocations(case, manifest.plan)) if (case.id, at) in seen],
        artifact=artifact,
        dataset=entry.dataset,
        plan=manifest.plan,
        floors=Floors(
            metric=entry.metric,
            quality=entry.quality_floor,
            agreement=entry.agreement_floor,
            about=entry.floor_about,
            missed=manifest.suite.get("floors", "warn"),
        ),
    )
    return msgspec.structs.replace(row, why_not_faster=why_not_faster)


def invocations(case: Case, plan: Plan) -> int:
    """As many as the suite asks for, or as the scenario needs for a figure."""
    return max(plan.invocations, SCENARIOS[case.scenario].invocations)
