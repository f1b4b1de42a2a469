"""From words to a matrix of variants by targets: runs opened, their targets named, their choices billed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.analyse.choices import unfinished
from bench.analyse.entries import Side
from bench.analyse.matrix import across, check_asked
from bench.errors import UserError
from bench.hardware.load import readable_profiles
from bench.hardware.name import cpu_name, machine_id, matching, target_name
from bench.hardware.schema import HardwareProfile
from bench.record.matrix import Across, Named, Target
from bench.record.recommendation import COST
from bench.runner.bill import bill
from bench.runner.conduct import RunResult
from bench.runner.reopen import reopen
from bench.store import fleets, kept
from bench.store.counted import named_machine
from bench.store.fleets import NAME
from bench.store.manifest import NAME as MANIFEST
from bench.store.manifest import Manifest, read_manifest
from bench.store.runs import find, list_runs

DEFAULT = ("p50_latency",)
"""What is compared where nothing is asked for."""
_NO_TABLES = "it has no figures yet: its tables are written when the run ends or is stopped"


def compare_targets(
    words: Sequence[str],
    results: Path,
    metrics: Sequence[str] = DEFAULT,
    *,
    reference: str | None = None,
    only: Sequence[str] = (),
    each: bool = False,
    allow: Sequence[str] = (),
) -> Across:
    """The matrix of the runs and fleets that `words` name; see `bench.analyse.matrix.across`.

    A run that has no tables yet is told of as a target without figures, where others have some.

    Raises:
        UserError: as there, or a run cannot be found or read.
    """
    check_asked(metrics)
    opened = _opened(expand_runs(words, results))
    known, _ = readable_profiles()
    targets = named([run.manifest for run in opened], known)
    sides = [_side(run, target, COST in metrics) for run, target in zip(opened, targets, strict=True)]
    return across(sides, metrics, reference=reference, only=only, each=each, allow=allow)


def _opened(folders: Sequence[Path]) -> list[RunResult]:
    """The runs, those first that have something to show; the others stand beside them with the reason.

    Raises `UserError` where one cannot be read, or none has anything to show.
    """
    begun = [folder for folder in folders if not kept.has_rows(folder)]
    if len(begun) == len(folders):
        return [reopen(folder) for folder in folders]
    waiting = [RunResult(folder=str(folder), manifest=read_manifest(folder), rows=()) for folder in begun]
    return [reopen(folder) for folder in folders if folder not in begun] + waiting


def expand_runs(words: Sequence[str], results: Path) -> list[Path]:
    """The run folders that `words` name, each once: a run as `bench.store.runs.find` takes it, or a fleet.

    A fleet is named as `bench.store.fleets.find_fleet` takes it, and means all its runs.

    Raises:
        UserError: there is no such run or fleet, the file of the fleet cannot be read, or it has no run.
    """
    found: dict[Path, Path] = {}
    for word in words:
        fleet = _fleet(word, results)
        for folder in [find(word, results)] if fleet is None else _runs(fleet):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def named(manifests: Sequence[Manifest], known: dict[str, HardwareProfile]) -> list[Target]:
    """The targets of runs, each under a name of its own.

    Of two of one profile the machine's id tells them apart, and of two runs of one machine the run's.
    """
    found = [_target(manifest, known) for manifest in manifests]
    found = _told_apart(found, [f"@{target.machine}" for target in found])
    ends = [target.run.rpartition("-")[2] for target in found]
    found = _told_apart(found, ends if len(set(ends)) == len(ends) else [target.run for target in found])
    return _told_apart(found, [f"#{at}" for at in range(1, len(found) + 1)])


def _told_apart(targets: Sequence[Target], more: Sequence[str]) -> list[Target]:
    """Those whose name others have too get something more in it."""
    counts = Counter(target.name for target in targets)
    return [
        msgspec.structs.replace(target, name=f"{target.name} {each}") if counts[target.name] > 1 else target
        for target, each in zip(targets, more, strict=True)
    ]


def _target(manifest: Manifest, known: dict[str, HardwareProfile]) -> Target:
    environment, how = manifest.environment, "stated"
    profile = None if manifest.profile is None else str(manifest.profile.get("name"))
    if profile is None:
        profile = matching(environment, known)
        how = "cpu" if profile is None else "matched"
    named: Named = how  # type: ignore[assignment]
    return Target(
        name=target_name(profile, environment),
        named=named,
        profile=profile,
        cpu=cpu_name(environment),
        machine=machine_id(environment),
        run=manifest.run_id,
        created=manifest.created,
        notes=(*unfinished(manifest), *named_machine(manifest)),
    )


def _side(run: RunResult, target: Target, billed: bool) -> Side:
    ledger = bill(Path(run.folder)) if billed and run.rows else None
    if ledger is not None:
        price = None if ledger.terms.profile is None else ledger.terms.profile.price
        target = msgspec.structs.replace(
            target, machine_hour=ledger.machine_hour.figure, example_price=price is not None and price.example
        )
    if not run.rows:
        target = msgspec.structs.replace(target, notes=(*target.notes, _NO_TABLES))
    return Side(target=target, manifest=run.manifest, rows=run.rows, ledger=ledger)


def _fleet(word: str, results: Path) -> Path | None:
    """The folder of the fleet that `word` names and no other run or fleet does; `latest`: where the last run is of one.

    Raises `UserError` where it cannot be read.
    """
    if word == "latest":
        fleet = read_manifest(find(word, results)).fleet
        return results / fleet if fleet is not None and (results / fleet / NAME).is_file() else None
    hits = fleets.named(word, results)
    if len(hits) != 1 or hits[0].name == word or hits[0] == Path(word):
        return hits[0] if len(hits) == 1 else None
    own = set(fleets.read_head(hits[0]).runs)
    others = [folder for folder in list_runs(results) if folder.name.startswith(word) and folder.name not in own]
    return None if others else hits[0]


def _runs(fleet: Path) -> list[Path]:
    found = [fleet.parent / run_id for run_id in fleets.read_head(fleet).runs]
    if not found:
        raise UserError(
            "the fleet has no run yet", where=str(fleet / NAME), remedy="wait until a machine has measured something"
        )
    gone = [folder.name for folder in found if not (folder / MANIFEST).is_file()]
    if gone:
        raise UserError(
            f"of the fleet's runs {', '.join(gone)} are not beside it",
            where=str(fleet),
            remedy="put them back, or name the runs that are there",
        )
    return found
