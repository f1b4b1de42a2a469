"""From what was asked to what will be done: sources, bundles and the ordered list of cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.analyse.rules import rules_of
from bench.errors import UserError, unknown
from bench.export.bundle import open_bundle
from bench.export.cache import cache_dir
from bench.export.errors import ExportError
from bench.export.prepare import prepare
from bench.export.recipes import Definition, Wanted, recipes
from bench.export.recipes import only as only_wanted
from bench.export.variants import VARIANTS
from bench.hardware.schema import HardwareProfile
from bench.load.table import SCENARIOS, fault
from bench.record.artifact import Artifact, Bundle, Format, Recipe
from bench.record.case import Case, Option
from bench.record.codec import from_json
from bench.record.observation import Failure, Observation, Plan, Status
from bench.runner.described import descriptions, with_inputs
from bench.runner.events import Events
from bench.runner.profiled import fitting, under
from bench.runner.training import TrainingMeter
from bench.runtimes.table import RUNTIMES, option_fault, targets, unavailable
from bench.store.manifest import Manifest, ModelEntry
from bench.suite.expand import expand, only
from bench.suite.load import load_suite
from bench.suite.schema import Matrix, Suite
from bench.suite.validate import validate
from bench.zoo.files import DataMissing
from bench.zoo.find import ModelSource, find, zoo_models
from bench.zoo.hashing import file_sha256

BUNDLE_FILE = "bundle.json"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; kept in the manifest, so that a run resumes with the same words.

    `suite` is a suite's name, a suite file, or a bundle (folder or .zip), which is then measured with the
    suite `quick`. `inputs` is a file of descriptions, which are added to those of the suite. `profile` is a hardware
    profile of this machine, by name or file. `no_network` is said in addition to the suite. Paths are absolute.
    """

    suite: str = "quick"
    models: tuple[str, ...] = ()
    model_folders: tuple[str, ...] = ()
    data: str | None = None
    inputs: str | None = None
    only: tuple[str, ...] = ()
    seed: int | None = None
    profile: str | None = None
    no_network: bool = False


class Subject(msgspec.Struct, frozen=True):
    """A model with its opened bundle, or with the reason why its export broke down."""

    entry: ModelEntry
    folder: str = ""
    bundle: Bundle | None = None
    failure: Failure | None = None
    status: Status = "failed"

    def artifact(self, case: Case) -> Artifact | None:
        """The artifact that the case measures."""
        if self.bundle is None:
            return None
        formats = RUNTIMES[case.runtime].formats
        fits = (a for a in self.bundle.artifacts if a.variant == case.variant and a.format in formats)
        return next(fits, None)

    def missing(self, case: Case, invocation: int) -> Observation:
        """What is on record for a case that has no artifact."""
        if self.bundle is None:
            return Observation(case=case, invocation=invocation, status=self.status, failure=self.failure)
        formats = RUNTIMES[case.runtime].formats
        fits = (u.reason for u in self.bundle.unavailable if u.variant == case.variant and u.format in formats)
        reason = next(fits, f"the bundle holds no {case.variant} for {case.runtime}")
        return Observation(
            case=case, invocation=invocation, status="unavailable", failure=Failure(reason=reason, phase="export")
        )


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is settled before the first model is exported."""

    request: Request
    suite: Suite
    plan: Plan
    cases: tuple[Case, ...]
    notes: tuple[str, ...]
    sources: dict[str, ModelSource]
    bundle: str | None
    profile: HardwareProfile | None = None


def plan_run(request: Request, suite: Suite | None = None) -> Planned:
    """Validate the request and lay out its cases. Raises `UserError`; writes nothing, exports nothing.

    `suite` is one made in code: `request.suite` then names only the file beside which its models lie.
    """
    bundle = request.suite if _is_bundle(request.suite) else None
    if bundle and (request.models or request.data or request.inputs):
        raise UserError(
            "a bundle brings its own model and data",
            where="--model" if request.models else "--data" if request.data else "--inputs",
            remedy="leave it out, or name a suite instead of the bundle",
        )
    suite = _anchored(suite or load_suite("quick" if bundle else request.suite), Path(request.suite).parent)
    suite = with_inputs(suite, request.inputs)
    variants = {name: frozenset(VARIANTS[recipe.base].formats) for name, recipe in _recipes(suite).items()}
    for index, matrix in enumerate(suite.matrix):
        _check_options(matrix, f"suite {suite.name}: matrix[{index}].options")
    profile = fitting(request.profile) if request.profile is not None else None
    suite, notes_of_profile = (suite, ()) if profile is None else under(profile, suite)
    rules_of(suite.gate, f"suite {suite.name}: gate")  # a gate that cannot be read is found before the run, not after
    if request.seed is not None:
        suite = suite.model_copy(update={"seed": request.seed})
    if request.no_network:
        suite = suite.without_network()
    sources: dict[str, ModelSource] = {}
    models: dict[str, frozenset[str]] = {}
    given: tuple[str, ...] = request.models
    if bundle:
        opened = _peek(Path(bundle))
        given = (opened.model.name,)
        models[opened.model.name] = frozenset(a.format for a in opened.artifacts)
        for answer in opened.answers:
            variants[answer.variant] = variants.get(answer.variant, frozenset()) | {answer.format}
        suite = _narrowed(suite, opened)
    else:
        folders = [Path(folder) for folder in request.model_folders]
        for name in given or tuple(dict.fromkeys(name for matrix in suite.matrix for name in matrix.models)):
            source = find(name, folders)
            if source.name in {known.name for known in sources.values()}:
                raise UserError(
                    f"two models are called {source.name!r}", where="--model", remedy="rename one of the files"
                )
            sources[name] = source
            models[name] = frozenset(source.formats)
    if request.inputs and all(source.kind == "zoo" for source in sources.values()):
        raise UserError(
            "the models of this run bring their own data", where="--inputs", remedy="name a model file with --model"
        )
    cases, notes = expand(
        suite,
        models=models,
        variants=variants,
        runtimes=targets(),
        scenarios=list(SCENARIOS),
        available=unavailable,
        relevant=_relevant,
        fault=fault,
        given_models=given,
    )
    named = [msgspec.structs.replace(case, model=sources[case.model].name) if sources else case for case in cases]
    if not named:
        raise UserError("the suite has no case for these models", where=suite.name, remedy="; ".join(notes) or None)
    known = zoo_models([Path(folder) for folder in request.model_folders])
    labels = {asked: source.name for asked, source in sources.items() if asked.partition("@")[0] in known}
    suite, request = _settled_names(suite, request, labels)
    return Planned(
        request=request,
        suite=suite,
        plan=suite.measure.plan(suite.seed),
        cases=tuple(only(named, request.only)),
        notes=(*notes_of_profile, *notes),
        sources={source.name: source for source in sources.values()},
        bundle=bundle,
        profile=profile,
    )


def _anchored(suite: Suite, folder: Path) -> Suite:
    """The suite with paths of models that lie beside its file made absolute, so that they hold from anywhere."""

    def anchored(name: str) -> str:
        path = folder / name
        return str(path.resolve()) if path.suffix and path.exists() else name

    matrix = [m.model_copy(update={"models": [anchored(name) for name in m.models]}) for m in suite.matrix]
    return suite.model_copy(update={"matrix": matrix})


def _settled_names(suite: Suite, request: Request, labels: dict[str, str]) -> tuple[Suite, Request]:
    """Suite and request with every zoo model in the setting that was chosen, so that a resumed run has the same."""

    def settled(names: Sequence[str]) -> list[str]:
        return [labels.get(name, name) for name in names]

    matrix = [m.model_copy(update={"models": settled(m.models)}) for m in suite.matrix]
    return (
        suite.model_copy(update={"matrix": matrix}),
        msgspec.structs.replace(request, models=tuple(settled(request.models))),
    )


def plan_again(manifest: Manifest) -> Planned:
    """What a run is made of, from its manifest and not from files that may have changed since. Raises `UserError`."""
    where = f"the manifest of run {manifest.run_id}"
    suite = validate(manifest.suite, Suite, where=f"{where}: suite")
    try:
        request = msgspec.convert(manifest.request, Request)
    except msgspec.ValidationError as error:
        raise UserError(
            f"what was asked for cannot be read: {error}", where=f"{where}: request", remedy="start a new run"
        ) from error
    bundle = request.suite if _is_bundle(request.suite) else None
    folders = [Path(folder) for folder in request.model_folders]
    names = request.models or tuple(name for matrix in suite.matrix for name in matrix.models)
    found = [] if bundle else [find(name, folders) for name in dict.fromkeys(names)]
    return Planned(
        request=request,
        suite=suite,
        plan=manifest.plan,
        cases=manifest.cases,
        notes=manifest.notes,
        sources={source.name: source for source in found},
        bundle=bundle,
        profile=None
        if manifest.profile is None
        else validate(manifest.profile, HardwareProfile, where="the profile in the run's manifest"),
    )


def _check_options(matrix: Matrix, where: str) -> None:
    """Every option has to be one of a scenario or a runtime of its matrix, with a value that it may take."""
    runtimes = [target.partition("-")[0] for target in (*matrix.runtimes, *matrix.if_available)]
    known = {name for scenario in matrix.scenarios if scenario in SCENARIOS for name in SCENARIOS[scenario].options}
    known |= {name for runtime in runtimes if runtime in RUNTIMES for name in RUNTIMES[runtime].options}
    for name in matrix.options:
        if name not in known:
            raise unknown("option", name, known, where=where)
    for runtime in runtimes:
        wrong = option_fault(runtime, matrix.options) if runtime in RUNTIMES else None
        if wrong:
            raise UserError(f"{runtime}: {wrong}", where=where, remedy="correct the value")


def _relevant(scenario: str, target: str, options: dict[str, Option]) -> dict[str, Option]:
    """Those of the options that the scenario or the runtime knows, so that one list can serve several."""
    runtime = target.partition("-")[0]
    return {
        name: value
        for name, value in options.items()
        if name in SCENARIOS[scenario].options or name in RUNTIMES[runtime].options
    }


def make_subjects(
    planned: Planned, scratch: Path, events: Events, tensorboard: Path | None = None
) -> dict[str, Subject]:
    """Export what is missing; the bundle of each model by name.

    A zoo model that cannot be had costs only its own cases, unless it is alone. `tensorboard` is a
    folder for the scalars of trainings, one folder a model.

    Raises:
        UserError: a model or its data cannot be used.
    """
    if planned.bundle is not None:
        folder, bundle = open_bundle(Path(planned.bundle), scratch)
        content = file_sha256(folder / BUNDLE_FILE)
        return {bundle.model.name: _subject(planned.bundle, folder, bundle, content)}
    subjects = {}
    described = descriptions(planned.suite, where=planned.request.inputs or f"suite {planned.suite.name}")
    for name, source in planned.sources.items():
        wanted = _wanted(planned.cases, name, _recipes(planned.suite))
        if not wanted:
            continue
        try:
            folder = prepare(
                source,
                [(each.variant, each.format) for each in wanted],
                own=_own(planned.suite),
                data=Path(planned.request.data) if planned.request.data else None,
                inputs=described.of(name, planned.sources) if source.kind != "zoo" else None,
                cache=cache_dir(),
                seed=planned.suite.seed,
                progress=events.stage,
                meter=TrainingMeter(),
                tensorboard=tensorboard / name if tensorboard else None,
                network=planned.plan.confinement.network,
            )
        except DataMissing as error:
            if len(planned.sources) == 1:
                raise
            failure = Failure(reason=f"{error.what}; {error.remedy}", phase="export")
            subjects[name] = Subject(_nothing(source), failure=failure, status="unavailable")
            continue
        except UserError as error:
            if source.kind != "zoo" or len(planned.sources) == 1:
                raise
            failure = Failure(reason=" ".join(str(error).split()), phase="export")
            subjects[name] = Subject(_nothing(source), failure=failure)
            continue
        except ExportError as error:
            failure = Failure(reason=f"export: {error.reason}", phase="export", tail=error.tail)
            subjects[name] = Subject(_nothing(source), failure=failure)
            continue
        bundle = only_wanted(from_json((folder / BUNDLE_FILE).read_bytes(), Bundle), wanted)
        # The cache's own key: it covers the model, its data, the seed and the tools.
        subjects[name] = _subject(source.about, folder, bundle, folder.name)
    return subjects


def settle(cases: Sequence[Case], subjects: dict[str, Subject]) -> tuple[Case, ...]:
    """The cases as they can be measured: a file that is not fp32 is measured as its own `source`."""
    settled: dict[str, Case] = {}
    for case in cases:
        as_given = msgspec.structs.replace(case, variant="source")
        subject = subjects[case.model]
        replaced = case.variant == "fp32" and subject.artifact(case) is None and subject.artifact(as_given) is not None
        chosen = as_given if replaced else case
        settled.setdefault(chosen.id, chosen)
    return tuple(settled.values())


def _nothing(source: ModelSource) -> ModelEntry:
    """The entry of a model that came to nothing: without a content."""
    return ModelEntry(given=source.about, name=source.name, source_sha256=source.sha256, content="", dataset="none")


def still_nothing(entry: ModelEntry) -> Subject:
    """A model that came to nothing when the run began stays so when it goes on, or its rows would be of two kinds."""
    reason = "it could not be had when the run began; a new run tries again"
    return Subject(entry, failure=Failure(reason=reason, phase="export"), status="unavailable")


def _subject(given: str, folder: Path, bundle: Bundle, content: str) -> Subject:
    entry = ModelEntry(
        given=given,
        name=bundle.model.name,
        source_sha256=bundle.model.source_sha256,
        content=content,
        dataset=bundle.data.name,
        metric=bundle.model.metric,
        quality_floor=bundle.model.quality_floor,
        floor_about=bundle.model.floor_about,
        agreement_floor=bundle.model.agreement_floor,
        training=bundle.model.training,
    )
    return Subject(entry, str(folder), bundle)


def _own(suite: Suite) -> dict[str, Definition]:
    """The variants that the suite defines."""
    return {name: Definition(given.base, given.options) for name, given in suite.variants.items()}


def _recipes(suite: Suite) -> dict[str, Recipe]:
    """The recipe of every variant that the suite may name. Raises `UserError`."""
    return recipes(_own(suite), where=f"suite {suite.name}: variants")


def _wanted(cases: Sequence[Case], model: str, known: dict[str, Recipe]) -> list[Wanted]:
    """Variants and formats that the cases of a model need, each once, in order."""
    pairs: dict[tuple[str, Format], None] = {}
    for case in cases:
        if case.model == model:
            for fmt in VARIANTS[known[case.variant].base].formats:
                if fmt in RUNTIMES[case.runtime].formats:
                    pairs[case.variant, fmt] = None
    return [Wanted(variant, fmt, known[variant]) for variant, fmt in pairs]


def _is_bundle(path: str) -> bool:
    return path.endswith(".zip") or (Path(path) / BUNDLE_FILE).is_file()


def _peek(path: Path) -> Bundle:
    """The bundle's description. It is opened whole, so that a damaged one is refused before anything is made."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        return open_bundle(path, Path(scratch))[1]


def _narrowed(suite: Suite, bundle: Bundle) -> Suite:
    """The suite with only the variants that the bundle holds."""
    held = list(dict.fromkeys([a.variant for a in bundle.artifacts] + [u.variant for u in bundle.unavailable]))
    kept = []
    for matrix in suite.matrix:
        variants = [name for name in held if name in matrix.variants or name not in _all_variants(suite)]
        if variants:
            kept.append(matrix.model_copy(update={"variants": variants}))
    return suite.model_copy(update={"matrix": kept})


def _all_variants(suite: Suite) -> set[str]:
    return {name for matrix in suite.matrix for name in matrix.variants}
