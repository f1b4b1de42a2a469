"""What there is to choose from, and why something cannot be used here. Lists of records of text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import UserError
from bench.export.variants import VARIANTS
from bench.hardware.load import readable_profiles
from bench.hardware.match import best, fits
from bench.load.table import SCENARIOS
from bench.machine.environment import read_environment
from bench.quality import METRICS as QUALITY
from bench.runtimes.table import RUNTIMES, unavailable
from bench.sensors.sampler import Sampler
from bench.sensors.table import SENSORS
from bench.store import runs as run_folders
from bench.store.manifest import read_manifest
from bench.suite.load import builtin_suites, load_suite
from bench.zoo.card import load_cards
from bench.zoo.collection import file_sets
from bench.zoo.datasets import DatasetSpec
from bench.zoo.files import DATA_DIR, FileSet, can_be_fetched, download_folder, locate, missing, notes
from bench.zoo.find import zoo_models
from bench.zoo.ingredients import is_here

Lines = list[dict[str, str]]


def models(folders: Sequence[Path]) -> Lines:
    """Zoo models in their settings, with task and data; a folder that is no model says what is wrong with it."""
    lines = []
    for name, folder in zoo_models(list(folders)).items():
        try:
            cards = load_cards(folder)
        except UserError as error:
            lines.append(_model(name, folder, title=f"unreadable: {error.what}"))
            continue
        lines += [
            _model(
                card.label,
                folder,
                title=card.title,
                task=card.task,
                data=card.dataset,
                here="yes" if is_here(card) else "no",
            )
            for card in cards
        ]
    return lines


def _model(name: str, folder: Path, *, title: str, task: str = "", data: str = "", here: str = "") -> dict[str, str]:
    return {"model": name, "task": task, "data": data, "here": here, "title": title, "folder": str(folder)}


def datasets() -> Lines:
    """Data sets and ready weights, with where they lie or how they get here."""
    return [
        {
            "dataset": wanted.name,
            "title": wanted.title,
            "kind": wanted.kind if isinstance(wanted, DatasetSpec) else "weights",
            "licence": wanted.licence,
            "here": _where(wanted),
        }
        for wanted in file_sets().values()
    ]


def _where(wanted: FileSet) -> str:
    found = locate(wanted)
    if found is None:
        if not can_be_fetched(wanted):
            return f"no: {' '.join(str(missing(wanted)).split())}"
        return f"no: bench fetch {wanted.name}{' --accept-terms' if wanted.terms else ''}"
    if not found:
        return "yes: made or bundled"
    downloads = download_folder()
    given = any(not path.is_relative_to(downloads) for path in found.values())
    return "; ".join([f"yes: in {DATA_DIR}" if given else "yes: downloaded", *notes(wanted)])


def variants() -> Lines:
    """Variants with the formats they exist in and what they need."""
    return [
        {
            "variant": name,
            "formats": ", ".join(sorted(spec.formats)),
            "about": spec.title,
            "needs": ", ".join(spec.needs),
            "options": ", ".join(f"{key}={option.default}" for key, option in spec.options.items()),
        }
        for name, spec in VARIANTS.items()
    ]


def runtimes() -> Lines:
    """Every runtime and execution provider, and whether this machine has it."""
    lines = []
    for spec in RUNTIMES.values():
        for provider, about in spec.providers.items():
            target = f"{spec.name}-{provider}"
            reason = unavailable(target)
            lines.append(
                {
                    "runtime": target,
                    "formats": ", ".join(sorted(spec.formats)),
                    "what": f"{spec.title}: {about}",
                    "here": "yes" if reason is None else f"no: {reason}",
                }
            )
    return lines


def scenarios() -> Lines:
    """Load scenarios."""
    return [
        {
            "scenario": spec.name,
            "about": spec.about,
            "options": ", ".join(
                name if value is None else f"{name} = {value}" for name, value in spec.options.items()
            ),
        }
        for spec in SCENARIOS.values()
    ]


def sensors() -> Lines:
    """Sensors as the sampler process finds them on this machine."""
    with Sampler(tuple(SENSORS)) as sampler:
        states = sampler.states()
    return [
        {
            "sensor": state.sensor,
            "source": state.source,
            "period": f"{state.period_s * 1000:.0f} ms",
            "quantities": ", ".join(f"{name} [{unit}]" for name, unit in state.quantities.items()),
            "here": ("yes" if state.available else "no") + (f": {state.reason}" if state.reason else ""),
        }
        for state in states
    ]


def metrics() -> Lines:
    """The quality metrics that a model card may name."""
    return [
        {"metric": name, "title": metric.title, "better": metric.better, "about": metric.about}
        for name, metric in QUALITY.items()
    ]


def profiles() -> Lines:
    """Hardware profiles, and whether this machine is what they describe; of several, the nearest asks for most."""
    loaded, faulty = readable_profiles()
    here = read_environment()
    verdicts = {fit.name: fit for fit in fits(here, loaded)}
    nearest = best(here, loaded)
    lines = {
        name: {
            "profile": name,
            "here": "yes: the nearest" if found is nearest else "yes" if verdicts[name].fits else "no",
            "why": verdicts[name].why,
            "title": found.title,
        }
        for name, found in loaded.items()
    } | {
        name: {"profile": name, "here": "no", "why": f"unreadable: {error.what} ({error.where})", "title": ""}
        for name, error in faulty.items()
    }
    return [lines[name] for name in sorted(lines)]


def suites() -> Lines:
    """The suites that ship with the package."""
    return [
        {"suite": name, "about": load_suite(name).about, "file": str(path)} for name, path in builtin_suites().items()
    ]


def runs(results: Path) -> Lines:
    """Runs in the results folder, oldest first."""
    lines = []
    for folder in run_folders.list_runs(results):
        try:
            manifest = read_manifest(folder)
        except UserError as error:
            lines.append(
                {"run": folder.name, "status": f"unreadable: {error.what}", "suite": "", "cases": "", "made": ""}
            )
            continue
        lines.append(
            {
                "run": manifest.run_id,
                "status": manifest.status,
                "suite": str(manifest.suite.get("name", "")),
                "cases": str(len(manifest.cases)),
                "made": manifest.created,
            }
        )
    return lines
