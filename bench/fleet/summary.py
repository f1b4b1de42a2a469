"""What became of a fleet, in lines for people and as one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.fleet.record import Fleet, as_it_is
from bench.record.codec import plain


def lines(fleet: Fleet) -> list[dict[str, str]]:
    """A line for each run: its target, its cases of how many, and how many of them were lost."""
    planned = {target: len(cases) for target, cases in fleet.cells().items()}
    lost = Counter(each.run for each in fleet.lost)
    told = []
    for run_id in fleet.runs:
        target = _target_of(fleet, run_id)
        done = fleet.done.get(run_id, 0) - lost[run_id]
        told.append(
            {
                "target": target,
                "measured": f"{done} of {planned.get(target, 0)}",
                "lost": str(lost[run_id]),
                "run": run_id,
            }
        )
    somewhere = {line["target"] for line in told}
    nowhere = [target for target in fleet.targets if target not in somewhere]
    return [*told, *({"target": t, "measured": f"0 of {planned[t]}", "lost": "0", "run": "none"} for t in nowhere)]


def sentences(fleet: Fleet) -> list[str]:
    """How the fleet stands, and each case that was given up."""
    cells = sum(len(cases) for cases in fleet.cells().values())
    on_record = sum(fleet.done.values())
    names = {case.id: case.name for case in fleet.plan.cases}
    told = [f"fleet {fleet.fleet_id}: {fleet.status}, {on_record} of {cells} cases on record, {len(fleet.lost)} lost"]
    told += [f"lost: {names.get(each.case, each.case)} on {each.target}: {each.reason}" for each in fleet.lost]
    told += [f"failed: {names.get(each.case, each.case)} on {each.target}: {each.reason}" for each in fleet.failed]
    told += [f"{run}: {note}" for run, notes in fleet.notes.items() for note in notes]
    if fleet.why:
        told.append(fleet.why)
    return told


def document(fleet: Fleet) -> dict[str, Any]:
    """What `--json` prints: the record, without the plan's own manifest, and its table."""
    told: dict[str, Any] = plain(fleet)
    del told["plan"]
    return {**told, "table": lines(fleet)}


def _target_of(fleet: Fleet, run_id: str) -> str:
    """A run is called after its fleet, its target and its machine."""
    return run_id.removeprefix(f"{fleet.fleet_id}-").rpartition("-")[0]


def listed(folders: Sequence[Path]) -> list[dict[str, str]]:
    """A line for each fleet."""
    told = []
    for folder in folders:
        fleet = as_it_is(folder)
        cells = sum(len(cases) for cases in fleet.cells().values())
        on_record = f"{sum(fleet.done.values())} of {cells}"
        targets = ", ".join(fleet.targets)
        told.append({"fleet": fleet.fleet_id, "status": fleet.status, "cases": on_record, "targets": targets})
    return told
