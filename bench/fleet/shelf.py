"""The run folders of a fleet: one for each machine that has measured something, each an ordinary run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.files import sweep
from bench.fleet.messages import Announcement
from bench.optional import need
from bench.record.case import Case
from bench.record.observation import Failure, Observation, Plan
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner.conduct import RunResult
from bench.runner.plan import Subject
from bench.runner.rows import row_of
from bench.runner.slower import explain_slower, to_profile
from bench.store import journal, kept, profiles, transit
from bench.store.atomic import storage_error
from bench.store.counted import named_machine
from bench.store.manifest import Manifest, read_manifest, write_manifest

PHASE = "fleet"
"""The phase of a failure that no machine has seen: its worker was lost."""


@dataclass
class Place:
    """A run folder. `manifest` is that of its machine; `done` cases are on record.

    `twice` cases of it are on record elsewhere too. `closed` are rows, by the id of the case, whose raw samples lie in
    the tables alone: its journal is gone.
    """

    folder: Path
    manifest: Manifest
    target: str
    done: int = 0
    twice: int = 0
    closed: dict[str, Row] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Its name among the runs."""
        return self.folder.name

    @property
    def machine(self) -> str:
        """What tells it from others of its target: see `bench.fleet.messages.Announcement.place`."""
        return self.run_id.rpartition("-")[2]

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known wherever its figures go."""
        twice = f"{self.twice} of its cases were measured on another machine of its target too; both figures are kept"
        return (*named_machine(self.manifest), *([twice] if self.twice else []))


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

    def reopen(self, runs: Iterable[str]) -> Iterator[tuple[Place, str, Failure | None]]:
        """Every case on record in the folders of a stopped fleet, by id, with its failure.

        Raises `UserError` where a folder cannot be read.
        """
        for run_id in runs:
            folder = self._fleet.parent / run_id
            manifest = read_manifest(folder)
            place = Place(folder, manifest, str((manifest.profile or {}).get("name")))
            self.places[run_id] = place
            sweep(folder)
            transit.unseal(folder)
            there = set()
            for seen in journal.read(folder):
                if seen.invocation == 0 and seen.case.id in self._known:
                    there.add(seen.case.id)
                    yield place, seen.case.id, seen.failure
            # The manifest of tables names what is in them: they are read only where the journal has less.
            if (folder / kept.CASES).exists() and not there.issuperset(case.id for case in manifest.cases):
                need("polars", "scipy")
                rows = (row for row in kept.read_rows(folder) if row.case.id in self._known)
                place.closed = {row.case.id: row for row in rows if row.case.id not in there}
                for case_id, row in place.closed.items():
                    yield place, case_id, row.failure

    def plan_for(self, told: Announcement) -> Plan:
        """How a worker measures: as the suite says, with the powers that its profile gives for its machine."""
        plan = self._plan.plan
        if plan.tdp_w is not None or told.tdp_w is None:
            return plan
        return msgspec.structs.replace(plan, tdp_w=told.tdp_w, idle_w=told.idle_w)

    def run_id(self, told: Announcement) -> str:
        """The name of the folder of the worker's machine."""
        # A profile's name has no path in it; a file's could have had.
        return f"{self._fleet.name}-{re.sub(r'[^A-Za-z0-9._-]', '_', told.target)}-{told.place}"

    def place(self, told: Announcement) -> Place:
        """The folder of the worker's machine. Raises `UserError` where the disk refuses."""
        run_id = self.run_id(told)
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

    def put(self, place: Place, seen: Sequence[Observation]) -> None:
        """Keep a case, at once and whole. Raises `UserError` where the disk refuses."""
        # The first invocation is written last: where it is on record, all of them are.
        for each in sorted(seen, key=lambda each: -each.invocation):
            journal.append(place.folder, each)

    def row(self, place: Place, case: Case, seen: Iterable[Observation]) -> Row:
        """The row of a case, from its invocations."""
        subject = self._subjects[case.model]
        known = {(case.id, each.invocation): each for each in seen}
        return row_of(case, known, manifest=place.manifest, entry=subject.entry, artifact=subject.artifact(case))

    def keep(self, place: Place, status: Literal["interrupted", "complete"]) -> tuple[RunResult, list[str]]:
        """Write the tables of a folder, and say which of its cases are to be profiled before it can be `complete`.

        Where some are, it is `interrupted` until `explain`. The journal stays until `close`. Raises `UserError` where
        the disk refuses.
        """
        made = dict(place.closed)
        for case_id, seen in _by_case(journal.read(place.folder)):
            if case_id in self._known and any(each.invocation == 0 for each in seen):
                made[case_id] = self.row(place, self._known[case_id], seen)
        rows = [made[case_id] for case_id in self._known if case_id in made]
        wanted = to_profile(place.folder, rows) if status == "complete" else []
        place.manifest = msgspec.structs.replace(
            place.manifest, status="interrupted" if wanted else status, cases=tuple(row.case for row in rows)
        )
        kept.keep(place.folder, place.manifest, rows, journal.read(place.folder), stay=place.closed, drop=False)
        return RunResult(folder=str(place.folder), manifest=place.manifest, rows=tuple(rows)), wanted

    def explain(self, place: Place, absent: str) -> RunResult:
        """Say of what is slower than it should be why, and call the folder complete; `absent` is why a profile is not.

        Raises `UserError` where the disk refuses.
        """
        why: dict[str, str] = {}
        rows = kept.read_rows(place.folder)

        def there(row: Row) -> Profile:
            known = profiles.kept(place.folder, row.case.id)
            return known or Profile(target=row.case.target, reason=absent)

        explain_slower(place.folder, rows, place.manifest.environment, there, why)
        rows = [msgspec.structs.replace(row, why_not_faster=why.get(row.case.id)) for row in rows]
        place.manifest = msgspec.structs.replace(place.manifest, status="complete")
        kept.keep_rows(place.folder, place.manifest, rows)
        return RunResult(folder=str(place.folder), manifest=place.manifest, rows=tuple(rows))


def _by_case(seen: Iterable[Observation]) -> Iterator[tuple[str, list[Observation]]]:
    """The invocations of each case; in a journal they follow each other."""
    for case_id, group in itertools.groupby(seen, lambda each: each.case.id):
        yield case_id, list(group)


def _with_powers(suite: dict[str, Any], plan: Plan) -> dict[str, Any]:
    return {**suite, "measure": {**suite["measure"], "tdp_w": plan.tdp_w, "idle_w": plan.idle_w}}
