"""Everything about one or more kept runs that a report draws on, gathered once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from bench.analyse.compare import Comparison, compare
from bench.analyse.cost import Ledger
from bench.analyse.distribution import Distribution, distribution
from bench.analyse.roofline import cases as of_roofline
from bench.analyse.roofline import roofline
from bench.analyse.timeline import Timeline, timeline
from bench.errors import UserError
from bench.hardware.load import load_profile
from bench.record.case import Case
from bench.record.profile import Profile
from bench.record.roofline import Roofline
from bench.record.row import Row
from bench.runner.bill import Prices, bill
from bench.runner.conduct import RunResult
from bench.runner.limits import Against, peaks_for
from bench.runner.peaks.machine import doubts, kept_peaks
from bench.runner.reopen import reopen
from bench.store import profiles, samples
from bench.store.open import open_snapshot
from bench.store.snapshot import read_run

T = TypeVar("T")


@dataclass(frozen=True)
class CaseSeen:
    """A case of one of the runs. `label` is short and tells it from all others of the report."""

    run: int
    row: Row
    label: str
    distribution: Distribution | None = None
    timeline: Timeline | None = None
    operators: Profile | None = None


@dataclass(frozen=True)
class Gathered:
    """Runs in the order given, and every case of them; charts count into `cases`.

    `ledgers` (cost) and `rooflines` are one a run, None where there is none; `comparison` is None where there is none.
    `missing` says why, by `cost`, `roofline` and `comparison`, of the first run that lacks it. `comparison` is of the
    last run against the baseline, or against the first run.
    """

    runs: tuple[RunResult, ...]
    cases: tuple[CaseSeen, ...]
    ledgers: tuple[Ledger | None, ...] = ()
    rooflines: tuple[Roofline | None, ...] = ()
    comparison: Comparison | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


def gather(
    folders: Sequence[Path], *, baseline: str | None = None, results: Path = Path("results"), profile: str | None = None
) -> Gathered:
    """Read the runs in `folders` and summarise their samples.

    `baseline` is what `bench compare` takes; without one, the first of several runs is. `profile` names the hardware
    profile for prices and peaks. Nothing is measured: without a profile, only peaks kept of this machine are used.

    Raises:
        UserError: there is no folder; a run, the baseline or the profile cannot be read.
    """
    return complete(read(folders), baseline=baseline, results=results, profile=profile)


def read(folders: Sequence[Path]) -> Gathered:
    """What the runs alone hold: their rows, and their samples summarised. `complete` adds the rest.

    Raises:
        UserError: there is no folder, or a run cannot be read.
    """
    if not folders:
        raise UserError("there is no run to gather", remedy="name one, or `latest`")
    runs = tuple(reopen(folder) for folder in folders)
    names = labels([(_short(runs, at), row.case) for at, run in enumerate(runs) for row in run.rows], len(runs) > 1)
    found: list[CaseSeen] = []
    for at, run in enumerate(runs):
        found += _cases(at, run, names[len(found) : len(found) + len(run.rows)])
    return Gathered(runs=runs, cases=tuple(found))


def complete(
    seen: Gathered, *, baseline: str | None = None, results: Path = Path("results"), profile: str | None = None
) -> Gathered:
    """The same with what may change while the runs do not: prices, peaks of the machine, and the baseline.

    Raises:
        UserError: the baseline or the profile cannot be read.
    """
    if profile is not None:
        # A profile that is named has to be there; only where the run's own is not, a chart says so in its place.
        load_profile(profile)
    runs, missing = seen.runs, dict[str, str]()
    ledgers = tuple(_tried("cost", missing, lambda run=run: _ledger(run, profile)) for run in runs)  # type: ignore[misc]
    rooflines = tuple(_tried("roofline", missing, lambda run=run: _roofline(run, profile)) for run in runs)  # type: ignore[misc]
    return replace(
        seen,
        ledgers=ledgers,
        rooflines=rooflines,
        comparison=_comparison(runs, baseline, results, missing),
        missing=missing,
    )


def labels(cases: Sequence[tuple[str, Case]], several: bool) -> list[str]:
    """A short name for each case of a run, unique among all: only what tells them apart, and the run where `several`.

    `[("11ed", fp32 case), ("11ed", int8 case)]` of one model and runtime become `["fp32", "int8"]`.
    """
    parts = [
        (
            case.model,
            case.variant,
            case.target,
            f"t{case.threads}",
            f"b{case.batch}",
            case.scenario,
            " ".join(f"{key}={value}" for key, value in sorted(case.options.items())),
        )
        for _, case in cases
    ]
    vary = [len(set(column)) > 1 for column in zip(*parts, strict=True)]
    # The variant stays, so that no label is empty.
    vary[1:2] = [True] * len(vary[1:2])
    made = []
    for (run, _), each in zip(cases, parts, strict=True):
        short = "/".join(part for part, kept in zip(each, vary, strict=True) if kept and part)
        made.append(f"{short} · {run}" if several else short)
    return _unique(made)


def _unique(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that were there before."""
    found: dict[str, None] = {}
    for name in names:
        again = count(2)
        one = name
        while one in found:
            one = f"{name} #{next(again)}"
        found[one] = None
    return list(found)


def _short(runs: Sequence[RunResult], at: int) -> str:
    """The end of the run's id where it tells the runs apart, else all of it, and its place for a run given twice."""
    ids = [run.manifest.run_id for run in runs]
    ends = [name.rpartition("-")[2] for name in ids]
    told = ends if all(ends) and len(set(ends)) == len(set(ids)) else ids
    return told[at] if ids.count(ids[at]) == 1 else f"{told[at]} ({at + 1})"


def _cases(at: int, run: RunResult, names: Sequence[str]) -> list[CaseSeen]:
    folder = Path(run.folder)
    spread = {case: distribution(latency) for case, latency in samples.latencies(folder)}
    readings = samples.telemetry(folder)
    return [
        CaseSeen(
            run=at,
            row=row,
            label=label,
            distribution=spread.get(row.case.id),
            timeline=timeline(row, readings.get(row.case.id)),
            operators=profiles.kept(folder, row.case.id),
        )
        for row, label in zip(run.rows, names, strict=True)
    ]


def _tried(name: str, missing: dict[str, str], make: Callable[[], T]) -> T | None:
    """What `make` gives; where it cannot, None, and why in `missing`."""
    try:
        return make()
    except UserError as error:
        missing.setdefault(name, "; ".join(filter(None, (error.what, error.remedy))))
        return None


def _ledger(run: RunResult, profile: str | None) -> Ledger:
    return bill(Path(run.folder), Prices(profile=profile))


def _roofline(run: RunResult, profile: str | None) -> Roofline:
    rows, environment = of_roofline(run.rows), run.manifest.environment
    if profile is not None:
        against = peaks_for(environment, rows, profile, _quiet)
    else:
        known = kept_peaks(environment)
        if known is None:
            raise UserError(
                "the peaks of the machine of the run are not known",
                remedy="`bench roofline` measures them there, and --profile NAME takes those of a hardware profile",
            )
        against = Against(known, "cpu", doubts(known, sorted({row.case.threads for row in rows})))
    return roofline(rows, against.peaks, against.device, environment, against.warnings)


def _quiet(told: str) -> None:
    """Nothing is measured, so there is nothing to tell."""
    del told


def _comparison(
    runs: Sequence[RunResult], baseline: str | None, results: Path, missing: dict[str, str]
) -> Comparison | None:
    if baseline is None and len(runs) < 2:
        missing["comparison"] = "there is nothing to compare with: name a baseline or a second run"
        return None
    after = read_run(Path(runs[-1].folder))
    before = open_snapshot(baseline, results) if baseline is not None else read_run(Path(runs[0].folder))
    return _tried("comparison", missing, lambda: compare(before, after))
