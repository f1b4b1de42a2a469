"""The parent of a fleet: plans, exports once, hands out cases, keeps each result as it comes."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from bench.errors import UserError
from bench.fleet import station
from bench.fleet.book import Lost
from bench.fleet.link import MACHINE, TARGET, Ended, Link, SchedulerLost
from bench.fleet.messages import Announcement, Order, Unreadable, answer, outcome
from bench.fleet.parcels import PIECE_BYTES, Parcel, pack_parcels
from bench.fleet.planning import book_of, plan_fleet
from bench.fleet.record import Fleet, create, read_fleet, write_fleet
from bench.fleet.roll import Member, Roll
from bench.fleet.shelf import PHASE, Place, Shelf
from bench.record.case import Case
from bench.record.codec import pack
from bench.record.observation import Failure, Observation
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner.conduct import RunResult, manifest_of, subjects_again
from bench.runner.events import Events
from bench.runner.interrupt import Interrupts
from bench.runner.plan import Request, Subject, make_subjects
from bench.runner.rows import invocations
from bench.store import journal, kept, profiles
from bench.store import runs as run_folders
from bench.store.lock import alone
from bench.store.manifest import NAME as MANIFEST
from bench.store.manifest import Manifest, read_manifest

POLL_S = 0.5
Publish = Callable[[RunResult], object]
"""Is shown each run of a fleet once its tables are written; nothing holds on to the rows of a thousand runs."""
_FAILURES = 3
"""A worker that fails with so many different cases and succeeds with none in between is given nothing more."""
_SLOW_WRITE = 50
"""`fleet.json` is written when so many times as long has passed as writing it took: that stays a share of the time."""


class FleetResult(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet as it stands: its folder, its record, and the folders of its machines' runs.

    `failed` counts the failed rows in them. `stopped` by Ctrl-C.
    """

    folder: str
    fleet: Fleet
    runs: tuple[str, ...]
    failed: int = 0
    stopped: bool = False


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Patience, s: for a worker of a target where there is none, and for a sign of life of one that is there."""

    wait_s: float = 60.0
    lost_after_s: float = 60.0


def start_fleet(
    request: Request,
    targets: Sequence[str],
    link: Link,
    results: Path,
    events: Events,
    terms: Terms,
    publish: Publish = lambda run: None,
) -> FleetResult:
    """Measure a suite on every target: those named, or those of the workers that are there.

    Raises:
        UserError: a named target has no worker, nothing fits, or a model cannot be used; nothing is left then.
        KeyboardInterrupt: stopped before the first case was handed out; nothing is left then either.
    """
    roll = Roll(link, events.stage, lost_after_s=terms.lost_after_s)
    try:
        told = _meet(roll, link, targets, terms.wait_s)
    except SchedulerLost as error:
        raise UserError(f"the scheduler is gone: {error}", where="--scheduler", remedy="start it again") from None
    planned, scopes = plan_fleet(request, told)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, contextlib.ExitStack() as stack:
        subjects = make_subjects(planned, Path(scratch), events)
        folder = create(results, planned.suite.name)
        try:
            stack.enter_context(alone(folder))
            plan = manifest_of(folder.name, planned, subjects)
            fleet = Fleet(fleet_id=folder.name, created=plan.created, status="running", targets=scopes, plan=plan)
            write_fleet(folder, fleet)
            parcels = pack_parcels(subjects, Path(scratch))
        except BaseException:
            run_folders.remove(folder)
            raise
        return _Parent(folder, fleet, subjects, parcels, roll, link, events, terms, publish).carry_out()


def resume_fleet(
    folder: Path, link: Link, events: Events, terms: Terms, publish: Publish = lambda run: None
) -> FleetResult:
    """Go on with a stopped fleet, on whatever cluster: what is on record stays, the rest is measured.

    Raises:
        Busy: another parent is at it.
        UserError: it is complete, or a model or its data are not what they were.
    """
    _unfinished(folder)
    with alone(folder), tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        # Again: another parent may have ended it since.
        fleet = _unfinished(folder)
        roll = Roll(link, events.stage, lost_after_s=terms.lost_after_s)
        subjects = subjects_again(fleet.plan, Path(scratch), events)
        parcels = pack_parcels(subjects, Path(scratch))
        return _Parent(folder, fleet, subjects, parcels, roll, link, events, terms, publish).carry_out()


def _unfinished(folder: Path) -> Fleet:
    """The fleet in `folder`. Raises `UserError` where it is complete; what a kill has left to do is done then."""
    fleet = read_fleet(folder)
    if fleet.status == "complete":
        there = (folder.parent / run_id for run_id in fleet.runs)
        _close(folder, [(run, read_manifest(run)) for run in there if (run / MANIFEST).is_file()])
        raise UserError("the fleet is complete", where=str(folder), remedy="`bench fleet show` has its table")
    return fleet


def _close(folder: Path, runs: Iterable[tuple[Path, Manifest]]) -> None:
    """The fleet in `folder` is complete, and says so: the journals are needed no more."""
    for run, manifest in runs:
        kept.finish(run, manifest)
    journal.drop(folder)


def _meet(roll: Roll, link: Link, targets: Sequence[str], wait_s: float) -> list[Announcement]:
    """What the workers of these targets say of themselves (none named: all), once there is one of each."""
    deadline = time.monotonic() + wait_s
    while True:
        roll.look()
        told = [m.told for m in roll.members.values() if m.told is not None and not m.refused]
        there = {each.target for each in told}
        missing = [target for target in targets if target not in there]
        if told and not missing and not roll.asking:
            return [each for each in told if not targets or each.target in targets]
        if time.monotonic() > deadline:
            have = "; ".join(roll.refusals()) or "no worker has joined"
            raise UserError(
                f"no worker of target {' or '.join(missing)}: {', '.join(sorted(there)) or have}" if missing else have,
                where="--target" if missing else "--scheduler",
                remedy="start some with `bench fleet worker ADDRESS`, or give --wait more seconds",
            )
        for ended in link.wait(POLL_S):
            roll.hear(ended)


@dataclass
class _Case:
    """A case in flight."""

    member: Member
    target: str
    case: str
    place: Place


@dataclass
class _Sending:
    """A parcel in flight; `at` is where its next piece begins, past its end when the worker checks it."""

    member: Member
    store: str
    parcel: Parcel
    name: str
    at: int = 0


@dataclass
class _Profiling:
    """A case of which the profile is being made, for why it is not faster."""

    member: Member
    place: Place
    case: Case


_Work = _Case | _Sending | _Profiling


class _Parent:
    """One fleet in progress."""

    def __init__(
        self,
        folder: Path,
        fleet: Fleet,
        subjects: dict[str, Subject],
        parcels: dict[str, Parcel],
        roll: Roll,
        link: Link,
        events: Events,
        terms: Terms,
        publish: Publish,
    ) -> None:
        self.folder, self.fleet, self.subjects, self.parcels = folder, fleet, subjects, parcels
        self.roll, self.link, self.events, self.terms, self.publish = roll, link, events, terms, publish
        self.shelf = Shelf(folder, fleet.plan, subjects)
        self.cases = {case.id: case for case in fleet.plan.cases}
        self.book = book_of(fleet.cells(), fleet.plan.plan.seed)
        self.lost = list(fleet.lost)
        self.failed: list[Lost] = []
        self.absent: set[tuple[str, str]] = set()
        self.flying: dict[str, _Work] = {}
        self.stores: dict[str, set[str]] = {}
        self.number = 0
        self.idle_since: float | None = None
        self.written_at, self.write_took = 0.0, 0.0

    def carry_out(self) -> FleetResult:
        """Hand out what is not on record yet, then write the tables."""
        why, stopped = None, False
        status: Literal["interrupted", "complete"] = "interrupted"
        with Interrupts() as interrupts:
            self._recall()
            self.roll.unfit = self._unfit
            self.roll.judge_anew()
            self.events.begin(self.book.total, self.book.total - self.book.left)
            try:
                try:
                    why = self._carry_out(interrupts)
                    if why is None:
                        status = "complete"
                except SchedulerLost as error:
                    why = f"the scheduler is gone ({error}); start it again, then {self._again}"
                except KeyboardInterrupt:
                    why, stopped = f"stopped; {self._again}", True
                return self._keep(status, why, stopped, interrupts)
            except UserError as error:
                # What is in the journals is whole, and the fleet can go on later.
                if self.fleet.status != "complete":
                    with contextlib.suppress(UserError):
                        self._note("interrupted", error.what)
                raise

    @property
    def _again(self) -> str:
        return f"go on with --resume {self.folder.name}"

    def _recall(self) -> None:
        """What the folders of a stopped fleet hold is on record; they are the truth, and `fleet.json` may lag."""
        known = {(each.target, each.case): each for each in self.lost}
        self.lost = []
        for place, case_id, failure in self.shelf.reopen(self._found_runs()):
            if not self.book.record(place.target, case_id):
                place.twice += 1
                told = f"{self.cases[case_id].name} on {place.target} is on record in {place.run_id} too"
                self.events.stage(f"{told}: both figures are kept")
                continue
            place.done += 1
            self.book.claim(place.target, case_id, place.machine)
            self.absent.add((place.target, place.machine))
            if failure is not None and failure.phase == PHASE:
                lost = Lost(place.target, case_id, 0, "", failure.reason, place.run_id)
                self.lost.append(known.get((place.target, case_id), lost))

    def _found_runs(self) -> list[str]:
        there = {path.parent.name for path in self.folder.parent.glob(f"{self.folder.name}-*/{MANIFEST}")}
        for run_id in sorted(set(self.fleet.runs) - there):
            self.events.stage(f"the run {run_id} is no longer there: its cases are measured again")
        return sorted(there)

    def _carry_out(self, interrupts: Interrupts) -> str | None:
        """Until all is on record; else why it is not."""
        while self.book.left:
            for member, how in self.roll.look():
                self._gone(member, how)
            if self.absent and not self.roll.asking:
                for target, machine in self.absent:
                    self._released(target, machine)
                self.absent.clear()
            self._assign()
            if (why := self._nobody()) is not None:
                return why
            for ended in self.link.wait(POLL_S):
                self._ended(ended)
            # Only here: what came is kept before a Ctrl-C is heard.
            interrupts.check()
        if self.failed:
            return f"workers could not measure {len(self.failed)} cases; to try them again, {self._again}"
        return None

    def _unfit(self, told: Announcement) -> str | None:
        scope = self.fleet.targets.get(told.target)
        if scope is None:
            return f"this fleet has no target {told.target}"
        if told.profile != scope.profile:
            return f"its profile {told.target} is not what that of the fleet is"
        lacking = [name for name in scope.needed if name in told.lacks]
        return f"it lacks {', '.join(lacking)}, which another of its target had" if lacking else None

    def _assign(self) -> None:
        for member, told in self.roll.ready():
            while member.work is None and (case_id := self.book.peek(told.target, told.place)) is not None:
                case = self.cases[case_id]
                subject = self.subjects[case.model]
                if subject.artifact(case) is None:
                    # There is nothing to measure: the row says why, and no machine has to be asked.
                    self.book.take(told.target, member.address, told.place)
                    place, seen = self.shelf.place(told), (subject.missing(case, 0),)
                    self._put(place, told.target, seen, self.shelf.row(place, case, seen))
                    continue
                parcel = self.parcels[case.model]
                there = self.stores.setdefault(told.store, set(told.bundles))
                if parcel.key not in there:
                    self.number += 1
                    self._send(_Sending(member, told.store, parcel, f"{self.folder.name}-{self.number}"))
                    continue
                self.book.take(told.target, member.address, told.place)
                order = Order(case=case, plan=self.shelf.plan_for(told), suite=self.fleet.plan.suite, bundle=parcel.key)
                self.events.case(case, 0)
                self._fly(
                    _Case(member, told.target, case_id, self.shelf.place(told)),
                    f"{case_id}-{told.target}",
                    station.measure,
                    pack(order),
                    needs={f"{TARGET}{told.target}": 1, MACHINE: 1},
                )

    def _fly(self, work: _Work, name: str, function: object, *given: object, needs: dict[str, int]) -> None:
        # The key is of the case and its target; the number keeps a second try apart from a first that is forgotten.
        self.number += 1
        key = f"bench-{self.folder.name}-{name}-{self.number}"
        self.flying[key] = work
        self.roll.begin(work.member, key)
        self.link.submit(key, work.member.address, function, *given, needs=needs)  # type: ignore[arg-type]

    def _send(self, sending: _Sending) -> None:
        """The next piece, or the word that it was the last."""
        parcel, at = sending.parcel, sending.at
        if at < parcel.size:
            sending.at += PIECE_BYTES
            self._fly(sending, "piece", station.take_piece, sending.name, at, parcel.piece(at), needs={MACHINE: 1})
        else:
            sending.at = -1
            self._fly(sending, "parcel", station.take_in, sending.name, parcel.key, needs={MACHINE: 1})

    def _ended(self, ended: Ended) -> None:
        if self.roll.hear(ended):
            return
        work = self.flying.pop(ended.key, None)
        if work is None:
            return
        self.roll.end(work.member)
        if isinstance(work, _Profiling):
            try:
                profile = answer(ended.answer, Profile)
            except Unreadable as error:
                profile = Profile(target=work.case.target, reason=str(ended.error or error))
            profiles.keep(work.place.folder, work.case.id, profile)
        elif isinstance(work, _Sending):
            if ended.error is not None:
                self._refuse(work.member, f"it could not take a bundle in: {ended.error}")
            elif work.at >= 0:
                self._send(work)
            else:
                self.stores[work.store].add(work.parcel.key)
        elif ended.error is not None:
            self._broke(work, ended.error)
        else:
            self._measured(work, ended.answer)

    def _measured(self, work: _Case, answered: bytes | None) -> None:
        try:
            count = invocations(self.cases[work.case], work.place.manifest.plan)
            found = outcome(answered, work.case, count)
        except Unreadable as error:
            self._broke(work, str(error))
        else:
            work.member.failed.clear()
            self._put(work.place, work.target, found.seen, found.row)

    def _broke(self, work: _Case, error: str) -> None:
        """The worker is there and has not measured the case."""
        member, no_bundle = work.member, error.startswith(station.NO_BUNDLE)
        if no_bundle and member.told is not None:
            # They may all have been cleared away: they are sent again.
            self.stores.get(member.told.store, set()).clear()
        reason = f"worker {member.name} failed: {error}"
        lost = self.book.lose(work.target, work.case, member.address, reason, blameless=no_bundle)
        self.events.stage(f"{self._told(work, lost is not None)}: {reason}")
        if lost is not None:
            self.failed.append(lost)
            self._note()
        self.number += 1
        member.failed.add(f"bundle {self.number}" if no_bundle else work.case)
        if len(member.failed) >= _FAILURES:
            self._refuse(member, f"it failed {len(member.failed)} times in a row: {error}")

    def _told(self, work: _Case, given_up: bool) -> str:
        became = "is given up for now" if given_up else "is to do again"
        return f"{self.cases[work.case].name} on {work.target} {became}"

    def _gone(self, member: Member, how: str) -> None:
        work = self.flying.pop(member.work or "", None)
        if member.work is not None:
            self.link.forget(member.work)
        if isinstance(work, _Case):
            self._lost(work, f"lost worker {member.name}: {how}")
        if member.told is not None:
            self._released(member.told.target, member.told.place)

    def _refuse(self, member: Member, reason: str) -> None:
        assert member.told is not None  # it was at work
        self.roll.refuse(member, reason)
        self._released(member.told.target, member.told.place)

    def _released(self, target: str, machine: str) -> None:
        """What was the machine's may go to others, if no worker of it is left."""
        if not self.roll.is_there(target, machine):
            self.book.release(target, machine)

    def _lost(self, work: _Case, reason: str) -> None:
        lost = self.book.lose(work.target, work.case, work.member.address, reason)
        case = self.cases[work.case]
        if lost is None:
            self.events.stage(f"{self._told(work, False)}: {reason}")
            return
        self.lost.append(msgspec.structs.replace(lost, run=work.place.run_id))
        told = f"{reason}; given up after {lost.tries} tries"
        seen = Observation(case=case, invocation=0, status="failed", failure=Failure(reason=told, phase=PHASE))
        self._keep_case(work.place, (seen,), self.shelf.row(work.place, case, (seen,)))

    def _put(self, place: Place, target: str, seen: Sequence[Observation], row: Row) -> None:
        """What was seen of a case, if it is the first that comes of it; `row` is the worker's own, and only shown."""
        if self.book.record(target, seen[0].case.id):
            self._keep_case(place, seen, row)

    def _keep_case(self, place: Place, seen: Sequence[Observation], row: Row) -> None:
        self.shelf.put(place, seen)
        place.done += 1
        self.events.done(row)
        self._note()

    def _nobody(self) -> str | None:
        """That nothing has gone on for too long, since the workers that it takes are not there."""
        now = time.monotonic()
        if self.flying or self.roll.asking or not self.book.left:
            self.idle_since = None
            return None
        assert not self.book.in_flight, "a case is with a worker, and no worker is at it"
        if self.idle_since is None:
            self.idle_since = now
            self.events.stage(f"waiting for a worker of target {' or '.join(self.book.open_targets())}")
        if now - self.idle_since < self.terms.wait_s:
            return None
        left = ", ".join(f"{target} ({self.book.left_of(target)} cases)" for target in self.book.open_targets())
        none = f"no worker of target {left} for {self.terms.wait_s:g} s"
        return "; ".join([none, *self.roll.refusals(), f"start one, then {self._again}"])

    def _note(self, status: Literal["running", "interrupted", "complete"] = "running", why: str | None = None) -> None:
        """Bring `fleet.json` up to date: now where the fleet ends, else as often as it is cheap."""
        began = time.monotonic()
        if status == "running" and began - self.written_at < _SLOW_WRITE * self.write_took:
            return
        places = sorted(self.shelf.places.items())
        fleet = msgspec.structs.replace(
            self.fleet,
            status=status,
            why=why,
            runs=tuple(run_id for run_id, _ in places),
            done={run_id: place.done for run_id, place in places},
            lost=tuple(self.lost),
            failed=tuple(self.failed),
            notes={run_id: notes for run_id, place in places if (notes := place.notes)},
        )
        write_fleet(self.folder, fleet)
        self.fleet = fleet
        self.written_at = time.monotonic()
        self.write_took = self.written_at - began

    def _keep(
        self, status: Literal["interrupted", "complete"], why: str | None, stopped: bool, interrupts: Interrupts
    ) -> FleetResult:
        self._forget_all()
        failed, waiting = 0, {}
        for run_id, place in sorted(self.shelf.places.items()):
            run, wanted = self.shelf.keep(place, status)
            if wanted:
                waiting[run_id] = deque(wanted)
            else:
                failed += self._published(run)
        if waiting:
            explained = [self.shelf.places[run_id] for run_id in waiting]
            absent = self._profile(waiting, interrupts)
            failed += sum(self._published(self.shelf.explain(place, absent)) for place in explained)
        self._note(status, why)
        if status == "complete":
            _close(self.folder, [(place.folder, place.manifest) for place in self.shelf.places.values()])
        folders = tuple(str(place.folder) for _, place in sorted(self.shelf.places.items()))
        return FleetResult(folder=str(self.folder), fleet=self.fleet, runs=folders, failed=failed, stopped=stopped)

    def _published(self, run: RunResult) -> int:
        """How many rows of the run failed."""
        self.publish(run)
        return sum(row.status == "failed" for row in run.rows)

    def _forget_all(self) -> None:
        for key, work in self.flying.items():
            self.link.forget(key)
            self.roll.end(work.member)
        self.flying.clear()

    def _profile(self, waiting: dict[str, deque[str]], interrupts: Interrupts) -> str:
        """Profile these cases of each run on its own machine, all machines at once; why those without one have none."""
        try:
            while True:
                for member, how in self.roll.look():
                    self._gone(member, how)
                for member, told in self.roll.ready():
                    run_id = self.shelf.run_id(told)
                    if waiting.get(run_id):
                        self._profile_one(member, self.shelf.place(told), self.cases[waiting[run_id].popleft()])
                if not self.flying:
                    return "its machine has left the fleet"
                for ended in self.link.wait(POLL_S):
                    self._ended(ended)
                interrupts.check()
        except SchedulerLost:
            return "its machine has left the fleet"
        except KeyboardInterrupt:
            return "it was stopped before it was profiled"
        finally:
            self._forget_all()

    def _profile_one(self, member: Member, place: Place, case: Case) -> None:
        subject, plan = self.subjects[case.model], place.manifest.plan
        self.events.stage(f"profiling {case.name}", passing=True)
        order = Order(case=case, plan=plan, suite=self.fleet.plan.suite, bundle=self.parcels[case.model].key)
        row = Row(case=case, status="ok", dataset=subject.entry.dataset, artifact=subject.artifact(case))
        work = _Profiling(member, place, case)
        self._fly(work, "profile", station.profile, pack(order), pack(row), needs={MACHINE: 1})
