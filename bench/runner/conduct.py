"""The main job: measure every case, round by round, and keep each result at once."""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bench.errors import UserError
from bench.files import sweep
from bench.load.table import lanes
from bench.machine.cores import keep_to, share_out
from bench.machine.cpu import usable_cores
from bench.machine.environment import read_environment
from bench.metrics import quality
from bench.metrics.parity import NO_EDGES
from bench.metrics.robustness import NO_CORRUPTION, Outputs
from bench.record.case import Case
from bench.record.codec import plain
from bench.record.environment import Environment
from bench.record.observation import Observation, Plan, Telemetry
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner.events import REST, Events, Sight
from bench.runner.fence import check_network
from bench.runner.interrupt import Interrupts
from bench.runner.plan import Planned, Subject, make_subjects, plan_again, settle, still_nothing
from bench.runner.rows import Key, invocations, row_of
from bench.runner.slower import explain_slower, job_for
from bench.runtimes.table import RUNTIMES
from bench.sensors.idle import can_measure_energy, watch_idle
from bench.sensors.sampler import Sampler
from bench.sensors.table import DEFAULT
from bench.store import journal, kept, runs, transit
from bench.store.lock import Busy, alone
from bench.store.manifest import Manifest, read_manifest, write_manifest
from bench.worker.measure import CORRUPTED, EDGES, measure
from bench.worker.messages import Errand, Job
from bench.worker.profile import profile_case


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it stands: its folder, manifest and rows in the suite's order."""

    folder: str
    manifest: Manifest
    rows: tuple[Row, ...]


def start(planned: Planned, results: Path, events: Events, *, tensorboard: Path | None = None) -> RunResult:
    """A new run. On Ctrl-C what is finished is kept and the manifest says `interrupted`.

    `tensorboard` is a folder for the scalars of trainings.

    Raises:
        UserError: the folder cannot be written or a model cannot be used; nothing is left then.
        KeyboardInterrupt: stopped before the first case was measured; nothing is left then either.
    """
    check_network(planned.plan.confinement.network)
    folder = runs.create(results, planned.suite.name)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(alone(folder))
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            subjects = make_subjects(planned, scratch, events, tensorboard)
            manifest = manifest_of(folder.name, planned, subjects)
            write_manifest(folder, manifest)
        except BaseException:
            runs.remove(folder)
            raise
        return _Conductor(folder, manifest, subjects, scratch, events).carry_out()


def resume(folder: Path, events: Events, *, tensorboard: Path | None = None) -> RunResult:
    """Go on with a stopped run: what is finished stays as it is, the rest is measured.

    Raises:
        UserError: the model, its data or the machine are not what they were.
    """
    manifest = read_manifest(folder)
    if manifest.status == "complete":
        return _complete(folder)
    if manifest.fleet is not None:
        raise UserError(
            "the run is a machine's part of a fleet",
            where=str(folder),
            remedy=f"`bench fleet run --resume {manifest.fleet}` goes on with all of it",
        )
    try:
        with alone(folder):
            if not _is_complete(folder):
                same_machine(manifest.environment, read_environment(), folder)
                check_network(manifest.plan.confinement.network)
                with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
                    subjects = subjects_again(manifest, Path(scratch), events, tensorboard)
                    return _Conductor(folder, manifest, subjects, Path(scratch), events).carry_out()
    except Busy:
        if not _is_complete(folder):
            raise
    # Another process has ended it since the manifest was read.
    return _complete(folder)


def _is_complete(folder: Path) -> bool:
    return read_manifest(folder).status == "complete"


def _complete(folder: Path) -> RunResult:
    """A run that has nothing left to measure."""
    manifest = read_manifest(folder)
    # The journal of a machine's part is the fleet's, which may still go on.
    if manifest.fleet is None:
        kept.finish(folder, manifest)
    return RunResult(folder=str(folder), manifest=manifest, rows=tuple(kept.read_rows(folder)))


def subjects_again(
    manifest: Manifest, scratch: Path, events: Events, tensorboard: Path | None = None
) -> dict[str, Subject]:
    """What a stopped run measures, as it was when it began. Raises `UserError` where it is not."""
    planned = plan_again(manifest)
    lost = {model.name: still_nothing(model) for model in manifest.models if not model.content}
    sources = {name: source for name, source in planned.sources.items() if name not in lost}
    planned = msgspec.structs.replace(planned, sources=sources)
    subjects = make_subjects(planned, scratch, events, tensorboard) | lost
    now = {name: subject.entry for name, subject in subjects.items()}
    for model in manifest.models:
        if model.name not in now or now[model.name].content != model.content:
            raise UserError(
                f"the model {model.name!r} or its data changed since the run began",
                where=model.given,
                remedy="start a new run, or put the old files back",
            )
    return subjects


class Step(msgspec.Struct, frozen=True):
    """One case measured by itself: its row, and the raw invocations behind it."""

    row: Row
    seen: tuple[Observation, ...]


class Steps:
    """The cases of a run, each measured when it is asked for. `manifest` is what a run folder of them would hold."""

    def __init__(self, conductor: _Conductor, sampler: Sampler) -> None:
        self._conductor, self._sampler = conductor, sampler
        self.manifest = conductor.manifest

    def measure(self, case: Case, *, anew: bool = False) -> Step:
        """Measure one of the planned cases; the second time it is only looked up, unless it is to be measured `anew`.

        Raises KeyboardInterrupt.
        """
        return self._conductor.step(case, self._sampler, anew)


@contextlib.contextmanager
def step_by_step(planned: Planned, events: Events) -> Iterator[Steps]:
    """What is planned, exported at once and measured as the caller goes; no run folder is made.

    Raises:
        UserError: a model cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        subjects = make_subjects(planned, Path(scratch), events)
        manifest = manifest_of("", planned, subjects)
        with _sampler(planned.plan) as sampler:
            yield Steps(_Conductor(Path(scratch), manifest, subjects, Path(scratch), events), sampler)


class _Conductor:
    """One run in progress."""

    def __init__(
        self, folder: Path, manifest: Manifest, subjects: dict[str, Subject], scratch: Path, events: Events
    ) -> None:
        self.folder, self.manifest, self.subjects = folder, manifest, subjects
        self.scratch, self.events = scratch, events
        self.usable = usable_cores()
        self.seen: dict[Key, Observation] = {}
        self.why: dict[str, str] = {}

    def carry_out(self) -> RunResult:
        """Measure what is not on record yet, then write the tables. Raises `UserError` where the disk refuses."""
        with Interrupts() as interrupts:
            sweep(self.folder)
            transit.unseal(self.folder)
            self.seen = {(o.case.id, o.invocation): o for o in journal.read(self.folder)}
            return self._carry_out(interrupts)

    def _carry_out(self, interrupts: Interrupts) -> RunResult:
        cases, plan = self.manifest.cases, self.manifest.plan
        rounds = _rounds(cases, plan, self.subjects)
        todo = [(case, at) for case, at in rounds if (case.id, at) not in self.seen]
        self.events.begin(len(rounds), len(rounds) - len(todo))
        try:
            with _sampler(plan) as sampler:
                rest = can_measure_energy(sampler)
                self.events.watching(self._sight(sampler, rest))
                for case, invocation in todo:
                    found = self._invoke(case, invocation, sampler, rest, interrupts)
                    runs.check_there(self.folder)
                    journal.append(self.folder, found)
                    self.seen[case.id, invocation] = found
                    self.events.done(self._row(case))
            self._explain(interrupts)
            return self._keep("complete")
        except KeyboardInterrupt:
            return self._keep("interrupted")
        except (UserError, OSError):
            # The disk refused: what is in the journal is whole, and the run can go on later.
            runs.check_there(self.folder)
            with contextlib.suppress(UserError):
                write_manifest(self.folder, msgspec.structs.replace(self.manifest, status="interrupted"))
            raise

    def _sight(self, sampler: Sampler, rest: bool) -> Sight:
        plan = self.manifest.plan
        idle_s = 2 * plan.idle_s if rest else 0.0
        return Sight(
            latest=sampler.latest,
            sensors=sampler.states,
            apart=lambda case: share_out(self.usable, _cores_used(case)).harness is not None,
            each_s=(idle_s + plan.warmup_min_s + plan.min_s, idle_s + plan.warmup_max_s + plan.max_s),
        )

    def step(self, asked: Case, sampler: Sampler, anew: bool) -> Step:
        """Every invocation of one case, now; kept nowhere but here. Raises KeyboardInterrupt."""
        (case,) = settle([asked], self.subjects)
        rest = can_measure_energy(sampler)
        with Interrupts() as interrupts:
            for _, invocation in _rounds([case], self.manifest.plan, self.subjects):
                if anew or (case.id, invocation) not in self.seen:
                    self.seen[case.id, invocation] = self._invoke(case, invocation, sampler, rest, interrupts)
            interrupts.check()
        return Step(self._row(case), tuple(found for (name, _), found in self.seen.items() if name == case.id))

    def _invoke(self, case: Case, invocation: int, sampler: Sampler, rest: bool, interrupts: Interrupts) -> Observation:
        """One invocation, evaluated; with `rest`, the machine is watched at rest before and after."""
        self.events.case(case, invocation)
        idle_s = self.manifest.plan.idle_s
        harness = share_out(self.usable, _cores_used(case)).harness
        with interrupts.allowed(), keep_to(harness, sampler.pid):
            before = (self._at_rest(sampler, idle_s),) if rest else ()
            found = self._observe(case, invocation, sampler)
            after = (self._at_rest(sampler, idle_s),) if rest else ()
        return self._evaluated(msgspec.structs.replace(found, idle=before + after))

    def _at_rest(self, sampler: Sampler, seconds: float) -> Telemetry:
        self.events.progress(REST, 0, None)
        return watch_idle(sampler, seconds)

    def _explain(self, interrupts: Interrupts) -> None:
        """Say of every row that should be faster than fp32 and is not why; the profiles for it stay in the run."""

        def make(row: Row) -> Profile:
            subject = self.subjects[row.case.model]
            if subject.bundle is None:
                return Profile(target=row.case.target, reason="the artifact could not be had any more")
            self.events.stage(f"profiling {row.case.name}", passing=True)
            with interrupts.allowed():
                return profile_case(job_for(row, Path(subject.folder), subject.bundle, self.manifest.plan))

        explain_slower(self.folder, self._rows(), self.manifest.environment, make, self.why)

    def _keep(self, status: Literal["interrupted", "complete"]) -> RunResult:
        runs.check_there(self.folder)
        rows = self._rows()
        manifest = msgspec.structs.replace(self.manifest, status=status)
        kept.keep(self.folder, manifest, rows, self.seen.values())
        return RunResult(folder=str(self.folder), manifest=manifest, rows=tuple(rows))

    def _observe(self, case: Case, invocation: int, sampler: Sampler) -> Observation:
        plan, subject = self.manifest.plan, self.subjects[case.model]
        artifact = subject.artifact(case)
        if artifact is None or subject.bundle is None:
            return subject.missing(case, invocation)
        data = subject.bundle.data
        evaluate = plan.evaluate and invocation == 0 and RUNTIMES[case.runtime].measures_model
        bundle = Path(subject.folder).resolve()
        job = Job(
            case=case,
            artifact=artifact,
            artifact_path=str(bundle / artifact.path),
            inputs=str(bundle / data.inputs),
            outputs=str(self._outputs(case)) if evaluate else None,
            errands={
                name: Errand(inputs=str(bundle / given.inputs), outputs=str(self._outputs(case, name)))
                for name, given in ((CORRUPTED, data.corrupted), (EDGES, data.edges))
                if evaluate and given is not None
            },
            plan=plan,
            cores=share_out(self.usable, _cores_used(case)).measuring,
        )
        return measure(job, invocation, sampler, self.events.progress)

    def _evaluated(self, found: Observation) -> Observation:
        """With the figures of the outputs that the worker wrote, if it was to write any."""
        case, subject = found.case, self.subjects[found.case.model]
        if not RUNTIMES[case.runtime].measures_model:
            return msgspec.structs.replace(found, quality=quality.missing(f"{case.runtime} runs no model"))
        outputs = self._outputs(case)
        if found.status != "ok" or subject.bundle is None or not outputs.exists():
            return found
        judged = quality.evaluate(
            outputs,
            _errand(found, CORRUPTED, self._outputs(case, CORRUPTED), NO_CORRUPTION),
            Path(subject.folder),
            subject.bundle,
            subject.artifact(case),
            _errand(found, EDGES, self._outputs(case, EDGES), NO_EDGES.reason),
        )
        for written in (outputs, self._outputs(case, CORRUPTED), self._outputs(case, EDGES)):
            written.unlink(missing_ok=True)
        facts = found.facts | {
            "evaluation_warnings": list(judged.warnings),
            "parity": plain(judged.parity),
            "edge_parity": plain(judged.edges),
            "evaluation_data": subject.bundle.data_sha256,
        }
        return msgspec.structs.replace(
            found, quality=judged.figures, under_corruption=judged.under_corruption, facts=facts
        )

    def _outputs(self, case: Case, errand: str = "") -> Path:
        return self.scratch / f"{case.id}{errand and '-'}{errand}.npz"

    def _rows(self) -> list[Row]:
        return [self._row(case) for case in self.manifest.cases if (case.id, 0) in self.seen]

    def _row(self, case: Case) -> Row:
        subject = self.subjects[case.model]
        return row_of(
            case,
            self.seen,
            manifest=self.manifest,
            entry=subject.entry,
            artifact=subject.artifact(case),
            why_not_faster=self.why.get(case.id),
        )


def _errand(found: Observation, name: str, path: Path, absent: str) -> Outputs:
    """The outputs of an errand where the worker finished it, else why there are none."""
    told = found.facts.get(name)
    if told is None:
        return Outputs(reason=absent)
    return Outputs(reason=f"on {name} inputs: {told['failed']}") if "failed" in told else Outputs(path=path)


def _rounds(cases: Sequence[Case], plan: Plan, subjects: dict[str, Subject]) -> list[tuple[Case, int]]:
    """Rounds in which every case is invoked once, each in an order of its own, so that drift favours none.

    A case without an artifact has nothing to repeat.
    """
    order = random.Random(plan.seed)
    rounds = []
    for invocation in range(max(invocations(case, plan) for case in cases)):
        there = [
            case
            for case in cases
            if invocation == 0 or (invocation < invocations(case, plan) and subjects[case.model].artifact(case))
        ]
        order.shuffle(there)
        rounds += [(case, invocation) for case in there]
    return rounds


def _cores_used(case: Case) -> int:
    """Cores that the case keeps busy: its threads, for each query that it has in flight."""
    return case.threads * lanes(case.scenario, case.options)


def _sampler(plan: Plan) -> Sampler:
    """The sampler, with the estimate of energy only where it was asked for."""
    if plan.tdp_w is None:
        return Sampler()
    return Sampler((*DEFAULT, "tdp"), options={"tdp": {"tdp_w": plan.tdp_w, "idle_w": plan.idle_w}})


def manifest_of(run_id: str, planned: Planned, subjects: dict[str, Subject]) -> Manifest:
    """What a run of these subjects begins with, on this machine."""
    created, later = runs.begun(run_id)
    return Manifest(
        run_id=run_id,
        created=created.isoformat(timespec="seconds"),
        command=tuple(sys.argv),
        status="running",
        suite=planned.suite.model_dump(mode="json", by_alias=True),
        request=plain(planned.request),
        plan=planned.plan,
        cases=settle(planned.cases, subjects),
        models=tuple(subject.entry for subject in subjects.values()),
        environment=read_environment(),
        notes=planned.notes if later is None else (*planned.notes, later),
        profile=None if planned.profile is None else planned.profile.model_dump(mode="json"),
    )


def same_machine(then: Environment, now: Environment, folder: Path) -> None:
    """Raises `UserError` where a run cannot be gone on with here."""
    for field in ("cpu_model", "architecture", "cores_usable", "gpus", "kernel", "packages"):
        if getattr(then, field) != getattr(now, field):
            raise UserError(
                f"this is not what the run began on: {field} was {getattr(then, field)}, is {getattr(now, field)}",
                where=str(folder),
                remedy="start a new run; figures of two machines do not belong in one table",
            )
