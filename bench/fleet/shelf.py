"""The run folders of a fleet: one for each machine that has measured something, each an ordinary run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.fleet.messages import Announcement
from bench.record.case import Case
from bench.record.observation import Observation, Plan
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner.conduct import RunResult
from bench.runner.plan import Subject
from bench.runner.rows import row_of
from bench.runner.slower import explain_slower
from bench.store import journal, kept, transit
from bench.store.atomic import storage_error
from bench.store.manifest import Manifest, read_manifest, write_manifest

PHASE = "fleet"
"""The phase of a failure that no machine has seen: its worker was lost."""

Make = Callable[["Place", Row], Profile]


@dataclass
class Place:
    """A run folder. `manifest` is that of its machine; `cases` are on record, by id."""

    folder: Path
    manifest: Manifest
    target: str
    cases: dict[str, Case] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Its name among the runs."""
        return self.folder.name


class Shelf:
    """The run folders of the fleet in `fleet`, made beside it as they are needed.

    Args:
        fleet: the fleet's own folder, whose name is the fleet's id.
        plan: the manifest of a run of everything; see `bench.fleet.record.Fleet`.
        subjects: what is measured, by model.
    """

    def __init__(self, fleet: Path, plan: Manifest, subjects: Mapping[str, Subject]) -> None:
        self._fleet, self._plan, self._subjects = fleet, plan, subjects
        self._known = {case.id: case for case in plan.cases}
        self.places: dict[str, Place] = {}

    def reopen(self, runs: Iterable[str]) -> Iterator[tuple[Place, Observation]]:
        """What lies in the folders of a stopped fleet: the first invocation of every case on record."""
        for run_id in runs:
            folder = self._fleet.parent / run_id
            manifest = read_manifest(folder)
            place = Place(folder, manifest, str((manifest.profile or {}).get("name")))
            self.places[run_id] = place
            transit.unseal(folder)
            for seen in journal.read(folder):
                if seen.invocation == 0 and seen.case.id in self._known:
                    place.cases[seen.case.id] = seen.case
                    yield place, seen

    def plan_for(self, told: Announcement) -> Plan:
        """How a worker measures: as the suite says, with the powers that its profile gives for its machine."""
        plan = self._plan.plan
        if plan.tdp_w is not None or told.tdp_w is None:
            return plan
        return msgspec.structs.replace(plan, tdp_w=told.tdp_w, idle_w=told.idle_w)

    def place(self, told: Announcement) -> Place:
        """The folder of the worker's machine. Raises `UserError` where the disk refuses."""
        # A profile's name has no path in it; a file's could have had.
        run_id = f"{self._fleet.name}-{re.sub(r'[^A-Za-z0-9._-]', '_', told.target)}-{told.place}"
        if run_id not in self.places:
            plan = self.plan_for(told)
            folder = self._fleet.parent / run_id
            manifest = msgspec.structs.replace(
                self._plan,
                run_id=run_id,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                suite=_with_powers(self._plan.suite, plan),
                plan=plan,
                environment=told.environment,
                notes=(*self._plan.notes, *told.notes),
                profile=told.profile,
                fleet=self._fleet.name,
            )
            try:
                (folder / journal.FOLDER).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise storage_error(error, folder) from error
            write_manifest(folder, manifest)
            self.places[run_id] = Place(folder, manifest, told.target)
        return self.places[run_id]

    def put(self, place: Place, seen: Sequence[Observation]) -> Row:
        """Keep a case, at once and whole, and give its row. Raises `UserError` where the disk refuses."""
        case = seen[0].case
        # The first invocation is written last: where it is on record, all of them are.
        for each in sorted(seen, key=lambda each: -each.invocation):
            journal.append(place.folder, each)
        place.cases[case.id] = case
        return self._row(place, case, {(case.id, each.invocation): each for each in seen})

    def keep(self, place: Place, status: Literal["interrupted", "complete"], make: Make | None = None) -> RunResult:
        """Write the tables of a folder; with `make`, what is slower than it should be is profiled for a reason.

        Raises `UserError` where the disk refuses.
        """
        seen = {(each.case.id, each.invocation): each for each in journal.read(place.folder)}
        cases = tuple(case for case in self._plan.cases if (case.id, 0) in seen)
        place.manifest = msgspec.structs.replace(place.manifest, status=status, cases=cases)
        rows = [self._row(place, case, seen) for case in cases]
        if make is not None:
            why: dict[str, str] = {}
            explain_slower(place.folder, rows, place.manifest.environment, lambda row: make(place, row), why)
            rows = [msgspec.structs.replace(row, why_not_faster=why.get(row.case.id)) for row in rows]
        kept.keep(place.folder, place.manifest, rows, seen.values())
        return RunResult(folder=str(place.folder), manifest=place.manifest, rows=tuple(rows))

    def _row(self, place: Place, case: Case, seen: Mapping[tuple[str, int], Observation]) -> Row:
        subject = self._subjects[case.model]
        return row_of(case, seen, manifest=place.manifest, entry=subject.entry, artifact=subject.artifact(case))


def _with_powers(suite: dict[str, Any], plan: Plan) -> dict[str, Any]:
    return {**suite, "measure": {**suite["measure"], "tdp_w": plan.tdp_w, "idle_w": plan.idle_w}}
