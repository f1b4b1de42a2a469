"""What may be compared in pairs: models, bundles, versions of a runtime, revisions of a project."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.errors import UserError, unknown
from bench.export.variants import VARIANTS
from bench.load.table import lanes
from bench.machine.cores import keep_to, share_out
from bench.machine.cpu import usable_cores
from bench.metrics import capacity, energy, latency, memory, quality, start
from bench.metrics.robustness import Outputs
from bench.process import Interpreter
from bench.record.artifact import Bundle
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.observation import Failure, Observation
from bench.runner.events import Events
from bench.runner.fence import check_network
from bench.runner.paired import Side
from bench.runner.plan import BUNDLE_FILE, Planned, Request, make_subjects, plan_run, settle
from bench.runner.pythons import check_targets, open_python
from bench.runner.revisions import CommandSide, checked_out, prepare
from bench.runtimes.table import targets, unavailable
from bench.sensors.sampler import Sampler
from bench.suite.schema import Matrix, Measure, Suite
from bench.worker.measure import OnProgress, measure
from bench.worker.messages import Job
from bench.zoo.find import zoo_models

MEASURE = Measure(warmup_min_s=0.1, warmup_max_s=1.0, min_s=0.5, max_s=1.0)
"""Rounds are many, since processes differ more than blocks of one process do; each can be short."""
TARGETS = ("onnxruntime-cpu", "litert-xnnpack")
"""What a model is measured with unless it is said: the usual way of each format on a CPU."""
AS_GIVEN = "fp32"
_NOT_IN_PAIRS = "robustness is not evaluated in pairs; gate two runs for it"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Two models or bundles to compare.

    `a` and `b` are a zoo name, a model's path or a bundle, which may be followed by `/VARIANT`. `python_a` and
    `python_b` are the interpreters to measure with, or their virtual environments; None is this one. `data` and
    `inputs` are files for a model of one's own. With `no_network` models are exported and measured without network.
    """

    a: str
    b: str
    python_a: str | None = None
    python_b: str | None = None
    targets: tuple[str, ...] = ()
    data: str | None = None
    inputs: str | None = None
    model_folders: tuple[str, ...] = ()
    seed: int = 0
    no_network: bool = False
    measure: Measure = MEASURE


class Opened(msgspec.Struct, frozen=True):
    """Two sides ready to be measured, the cases that both have, and what has to be said of them.

    `names` gives the full name of B's case where `cases` has the part of it that both share.
    """

    a: Side
    b: Side
    cases: tuple[str, ...]
    notes: tuple[str, ...] = ()
    names: dict[str, str] = {}


class Ready(msgspec.Struct, frozen=True):
    """A job and, for what it is worth by its outputs, the bundle that it comes from."""

    job: Job
    folder: str = ""
    bundle: Bundle | None = None


class ModelSide:
    """Jobs by the name of their case, each measured by a fresh process; see `bench.runner.paired.Side`."""

    def __init__(
        self, name: str, jobs: Mapping[str, Ready], sampler: Sampler, python: Interpreter | None = None
    ) -> None:
        self._name, self._jobs, self._sampler, self._python = name, jobs, sampler, python
        self._usable = usable_cores()
        self.versions: dict[str, None] = {}
        """What measured, as it said itself: Python and the runtimes, with their versions."""

    @property
    def name(self) -> str:
        """How it was given."""
        return self._name

    def measure(self, case: str, at: int, on_progress: OnProgress) -> dict[str, float] | Failure:
        """See `bench.runner.paired.Side`."""
        seen = self._measured(self._jobs[case].job, at, on_progress)
        if seen.status != "ok":
            return seen.failure or Failure(reason="no reason was recorded", phase="unknown")
        self.versions |= dict.fromkeys(_versions(seen))
        return figures(seen)

    def of_file(self, case: str, metric: str) -> float | None:
        """Bytes ("size") or multiply-accumulates ("macs") of the artifact; None where they are not known."""
        artifact = self._jobs[case].job.artifact
        return {"size": artifact.bytes, "macs": artifact.macs}[metric]

    def data(self, case: str) -> str | None:
        """SHA-256 of what its quality is judged by."""
        bundle = self._jobs[case].bundle
        return None if bundle is None else bundle.data_sha256

    def judged_by(self, case: str) -> str | None:
        """The task metric that its accuracy holds."""
        bundle = self._jobs[case].bundle
        return None if bundle is None else bundle.model.metric

    def quality(self, case: str, folder: Path, on_progress: OnProgress) -> dict[str, Measurement]:
        """Task metric and parity from one more process, whose outputs go to `folder` for a while."""
        ready = self._jobs[case]
        if ready.bundle is None:
            return quality.missing("no evaluation data")
        outputs = folder / "outputs.npz"
        plan = msgspec.structs.replace(ready.job.plan, evaluate=True)
        seen = self._measured(msgspec.structs.replace(ready.job, outputs=str(outputs), plan=plan), 0, on_progress)
        if seen.status != "ok":
            return quality.missing(seen.failure.reason if seen.failure else "the process failed")
        try:
            found = quality.evaluate(
                outputs, Outputs(reason=_NOT_IN_PAIRS), Path(ready.folder), ready.bundle, ready.job.artifact
            )
        finally:
            outputs.unlink(missing_ok=True)
        return found.figures

    def _measured(self, job: Job, at: int, on_progress: OnProgress) -> Observation:
        cores = share_out(self._usable, job.case.threads * lanes(job.case.scenario, job.case.options))
        job = msgspec.structs.replace(job, cores=cores.measuring)
        with keep_to(cores.harness, self._sampler.pid):
            return measure(job, at, self._sampler, on_progress, python=self._python)


def figures(seen: Observation) -> dict[str, float]:
    """The figures of one invocation by metric, SI units; those that could not be had are left out."""
    found = (
        latency.figures([seen], 0.95)
        | start.figures([seen])
        | capacity.figures([seen])
        | memory.figures([seen])
        | energy.figures([seen])
    )
    return {name: figure.value for name, figure in found.items() if figure.value is not None}


@contextmanager
def open_models(asked: Asked, events: Events) -> Iterator[Opened]:
    """Export what is missing and lay out the cases that both sides have. Scratch files are gone afterwards.

    Raises:
        UserError: a side or an interpreter cannot be used, the sides have no case in common, or the network cannot be
            cut off.
    """
    check_network(not asked.no_network, "--no-network")
    with tempfile.TemporaryDirectory(prefix="bench-ab-") as folder, Sampler() as sampler:
        scratch = Path(folder)
        pythons = [
            None if path is None else open_python(path, scratch / f"python-{which}", f"--python-{which}")
            for which, path in (("a", asked.python_a), ("b", asked.python_b))
        ]
        planned, notes = _planned(asked)
        laid = [
            lay_out(plan, given, scratch / which, events)
            for which, given, plan in zip(("a", "b"), (asked.a, asked.b), planned, strict=True)
        ]
        pairs, unpaired = _matched(laid[0], laid[1])
        if not pairs:
            raise UserError(
                f"A and B have no case in common: {'; '.join([*notes, *unpaired])}",
                where=f"{asked.a}, {asked.b}",
                remedy="name one variant of a bundle (BUNDLE/VARIANT), or a runtime for both with --runtime",
            )
        for which, python in zip(("a", "b"), pythons, strict=True):
            if python is not None:
                check_targets(python, {one.job.case.target for one, _ in pairs.values()}, f"--python-{which}")
        if pythons[0] == pythons[1] and all(x.job.artifact.sha256 == y.job.artifact.sha256 for x, y in pairs.values()):
            unpaired.append("A and B are the same artifact: a difference between them is noise")
        a, b = (
            ModelSide(name, {case: pair[at] for case, pair in pairs.items()}, sampler, pythons[at])
            for at, name in enumerate(_names(asked))
        )
        yield Opened(
            a, b, tuple(pairs), (*notes, *unpaired), {case: ready.job.case.name for case, (_, ready) in pairs.items()}
        )


@contextmanager
def open_revisions(
    command: str, revisions: tuple[str, str], events: Events, *, preparation: str | None, timeout_s: float
) -> Iterator[Opened]:
    """Check out two revisions of the project in the current folder, and prepare each once.

    The one case is the command. A run of it may last `timeout_s`. The worktrees are gone afterwards.

    Raises:
        UserError: a revision does not exist or cannot be prepared.
    """
    with (
        tempfile.TemporaryDirectory(prefix="bench-ab-") as folder,
        checked_out(revisions, Path(folder)) as (a, b),
    ):
        sides = []
        for name, place in (a, b):
            if preparation is not None:
                events.stage(f"preparing {name}: {preparation}")
                prepare(preparation, name, place)
            sides.append(CommandSide(name, command, place, timeout_s))
        yield Opened(sides[0], sides[1], (command,))


def is_bundle(given: str) -> bool:
    """Whether this is the path of a bundle, as a folder or a zip."""
    return given.endswith(".zip") or (Path(given) / BUNDLE_FILE).is_file()


def parted(given: str) -> tuple[str, str | None]:
    """What is measured, and the variant of it where one is named: `mnist_cnn@digits/int8`."""
    head, _, tail = given.rpartition("/")
    if not head or Path(given).exists():
        return given, None
    is_model = is_bundle(head) or Path(head).is_file() or (Path(head) / "saved_model.pb").is_file()
    return (head, tail) if is_model or tail in VARIANTS else (given, None)


def _names(asked: Asked) -> tuple[str, str]:
    if asked.a != asked.b:
        return asked.a, asked.b
    return f"{asked.a} ({asked.python_a or 'A'})", f"{asked.b} ({asked.python_b or 'B'})"


def _planned(asked: Asked) -> tuple[tuple[Planned, Planned], list[str]]:
    """The cases of both sides on the runtimes that read both, and notes on what that leaves out. Raises `UserError`."""
    wanted = asked.targets or TARGETS
    for target in wanted:
        if target not in targets():
            raise unknown("runtime", target, targets(), where="--runtime")
    notes = []
    if asked.python_a is None or asked.python_b is None:
        reasons = {target: reason for target in wanted if (reason := unavailable(target))}
        if asked.targets and reasons:
            raise UserError("; ".join(reasons.values()), where="--runtime", remedy="see `bench list runtimes`")
        wanted = tuple(target for target in wanted if target not in reasons)
        notes = list(reasons.values())
    zoo = zoo_models([Path(folder) for folder in asked.model_folders])
    parts = [parted(given) for given in (asked.a, asked.b)]
    own = [not is_bundle(name) and name.partition("@")[0] not in zoo for name, _ in parts]
    for option, file in (("--data", asked.data), ("--inputs", asked.inputs)):
        if file is not None and not any(own):
            raise UserError("A and B bring their own data", where=option, remedy="leave it out")
    planned = [_plan(*part, wanted, asked, own=mine) for part, mine in zip(parts, own, strict=True)]
    a, b = ({case.target for case in plan.cases} for plan in planned)
    if not a & b:
        raise UserError(
            f"no runtime reads both: A runs on {' and '.join(sorted(a))}, B on {' and '.join(sorted(b))}",
            where=f"{asked.a}, {asked.b}",
            remedy="compare two models of one format",
        )
    notes += [f"{target}: only {side} runs on it" for side, alone in (("A", a - b), ("B", b - a)) for target in alone]
    first, second = (
        msgspec.structs.replace(plan, cases=tuple(case for case in plan.cases if case.target in a & b))
        for plan in planned
    )
    return (first, second), notes


def _plan(name: str, variant: str | None, wanted: Sequence[str], asked: Asked, *, own: bool) -> Planned:
    """One side as a run would be planned, its cases those of the variant or, of a bundle, of all that it holds."""
    bundle = is_bundle(name)
    # A bundle's own index says which it holds.
    variants = list(VARIANTS) if bundle else [variant or AS_GIVEN]
    suite = Suite(
        name="ab", seed=asked.seed, measure=asked.measure, matrix=[Matrix(variants=variants, runtimes=list(wanted))]
    )
    request = Request(
        suite=name if bundle else "quick",
        models=() if bundle else (name,),
        model_folders=asked.model_folders,
        data=asked.data if own else None,
        inputs=asked.inputs if own else None,
        no_network=asked.no_network,
    )
    planned = plan_run(request, suite)
    if not bundle or variant is None:
        return planned
    held = {case.variant for case in planned.cases}
    if variant not in held:
        raise unknown("variant", variant, held, where=name)
    return msgspec.structs.replace(planned, cases=tuple(case for case in planned.cases if case.variant == variant))


class Laid(msgspec.Struct, frozen=True):
    """The jobs of one side, and what it has no artifact for."""

    jobs: tuple[Ready, ...]
    notes: tuple[str, ...]


def lay_out(planned: Planned, given: str, scratch: Path, events: Events) -> Laid:
    """The job of every case, exported into the new folder `scratch` where need be. Raises `UserError`."""
    scratch.mkdir()
    subjects = make_subjects(planned, scratch, events)
    found, notes = [], []
    for case in settle(planned.cases, subjects):
        subject = subjects[case.model]
        artifact = subject.artifact(case)
        if artifact is None or subject.bundle is None:
            failure = subject.missing(case, 0).failure
            notes.append(f"{given} has no {case.variant} for {case.target}: {failure.reason if failure else 'unknown'}")
            continue
        folder = Path(subject.folder).resolve()
        job = Job(
            case=case,
            artifact=artifact,
            artifact_path=str(folder / artifact.path),
            inputs=str(folder / subject.bundle.data.inputs),
            outputs=None,
            plan=planned.plan,
            cores=None,
        )
        found.append(Ready(job, str(folder), subject.bundle))
    return Laid(tuple(found), tuple(notes))


def _matched(a: Laid, b: Laid) -> tuple[dict[str, tuple[Ready, Ready]], list[str]]:
    """Pairs of jobs by the name that both cases share, and a note on each that has no partner.

    Shared are runtime and provider, threads, batch, scenario and options; the variant too where a side has several.
    """
    several = any(len({ready.job.case.variant for ready in side.jobs}) > 1 for side in (a, b))
    first, second = ({_key(ready.job.case, with_variant=several): ready for ready in side.jobs} for side in (a, b))
    pairs = {key: (ready, second[key]) for key, ready in first.items() if key in second}
    alone = [(key, "A") for key in first if key not in second] + [(key, "B") for key in second if key not in first]
    return pairs, [*a.notes, *b.notes, *(f"{key}: only in {side}" for key, side in alone)]


def _key(case: Case, *, with_variant: bool) -> str:
    """The case's name without its model, and without its variant where that tells nothing apart."""
    return case.name.split("/", 1 if with_variant else 2)[-1]


def _versions(seen: Observation) -> list[str]:
    """Python and runtime of an invocation, as the worker read them."""
    facts = seen.facts
    return [f"Python {facts.get('python', '?')}", f"{seen.case.runtime} {facts.get('runtime_version', '?')}"]
