"""One figure over many runs: a series a case, where it moved to another level, and what changed with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from bench.analyse.comparable import machine_differences, runtime_of
from bench.analyse.kinds import Kind, better, better_by, check_metrics, kind
from bench.errors import UserError
from bench.record.metric import METRICS, Direction
from bench.stats.changepoint import LEAST, ChangePoint, change_points
from bench.stats.fdr import discoveries
from bench.stats.steady import trend
from bench.store import baselines
from bench.store.manifest import read_manifest
from bench.store.runs import in_order, list_runs
from bench.store.snapshot import Snapshot, read_run

HARDWARE = frozenset(
    {
        "cpu_model",
        "cpu_features",
        "architecture",
        "cores",
        "governor",
        "cpu_quota",
        "memory_limit",
        "virtualisation",
        "boot",
        "gpus",
        "gpu_driver",
    }
)
"""Keys of the fingerprint that say which machine it was; the other ones are its software."""

DRIFT_LEVEL = 0.01
"""False-discovery rate at which a trend without steps is called a drift."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A run's figure in the metric's unit; without a `value`, `absent` says why there is none."""

    run: str
    created: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    absent: str | None = None


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """From point `at` on the figures come from another machine, or from other evaluation data.

    `keys` are those of the fingerprint in which it differs from the last point before that has a value.
    """

    at: int
    run: str
    keys: tuple[str, ...]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A change point: `run`, that of point `at`, is the first on the new level.

    `before`, `after`, `ratio` and `p_value` are those of `bench.stats.changepoint.ChangePoint`. `improved` is None
    where the metric has no better direction. `causes` are sentences on what changed at the same run.
    """

    at: int
    run: str
    before: float
    after: float
    ratio: float | None
    p_value: float
    improved: bool | None
    causes: tuple[str, ...] = ()


class CaseHistory(msgspec.Struct, frozen=True, kw_only=True):
    """One case: a point a run, oldest first. `drift` is the change from the first value to the last as a share of the
    median, where it moves slowly and without steps. `untold` says why change points cannot be told.
    """

    case: str
    points: tuple[Point, ...]
    turns: tuple[Turn, ...] = ()
    breaks: tuple[Break, ...] = ()
    drift: float | None = None
    untold: str | None = None

    @property
    def values(self) -> list[float]:
        """The values there are, oldest first."""
        return [point.value for point in self.points if point.value is not None]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of all cases over `runs`, oldest first. `notes` are sentences: runs that were left out."""

    metric: str
    unit: str
    better: Direction
    runs: tuple[str, ...]
    cases: tuple[CaseHistory, ...]
    notes: tuple[str, ...] = ()


def read_snapshots(results: Path, metric: str, last: int | None = None) -> tuple[list[Snapshot], list[str]]:
    """The newest `last` complete runs (all where None) with this metric's figures, oldest first, and who was left out.

    A snapshot of a saved baseline stands in for a run that is not there any more. Raises `UserError` for an unknown
    metric, or where nothing is left.
    """
    check_metrics([metric], where="METRIC")
    out: dict[str, list[str]] = {}
    found: list[Snapshot] = []
    for name, path in sorted(_sources(results, out).items(), reverse=True):
        if last is not None and len(found) == last:
            break
        try:
            status = read_manifest(path).status if path.is_dir() else "complete"
            if status != "complete":
                out.setdefault(f"not complete ({status})", []).append(name)
            else:
                found.append(read_run(path, [metric]) if path.is_dir() else baselines.read_baseline(path))
        except UserError as error:
            out.setdefault(error.what, []).append(name)
    notes = [f"left out, {why}: {', '.join(sorted(names))}" for why, names in out.items()]
    if not found:
        raise UserError(
            "; ".join(["there are no complete runs", *notes]),
            where=str(results),
            remedy="make one with `bench run`, or give their folder with --out",
        )
    return found[::-1], notes


def _sources(results: Path, out: dict[str, list[str]]) -> dict[str, Path]:
    """A folder of a run or a file of a saved baseline by the run's id, which starts with its time."""
    saved: dict[str, Path] = {}
    for entry in baselines.entries(results):
        if entry.problem is not None:
            out.setdefault(entry.problem, []).append(entry.path)
        else:
            saved[entry.snapshot] = Path(entry.path)
    return saved | {folder.name: folder for folder in list_runs(results)}


def history(
    snapshots: Sequence[Snapshot],
    metric: str,
    *,
    only: Sequence[str] = (),
    alpha: float = 0.05,
    notes: Sequence[str] = (),
) -> History:
    """The series of `metric` in every case that matches a glob of `only`, with change points and breaks.

    Snapshots are put in order of time; a second one of the same run is passed over. `alpha` bounds the share of cases
    that are told to have changed and have not (Benjamini-Hochberg over the cases). Raises `UserError` for an unknown
    metric, or where no case matches.
    """
    check_metrics([metric], where="METRIC")
    by_run = {s.label: s for s in sorted(snapshots, key=lambda s: in_order(s.label, s.created))}
    runs = [_Run(snapshot.only(only), metric) for snapshot in by_run.values()]
    names = list(dict.fromkeys(name for run in runs for name in run.cases))
    if not names and only:
        there = dict.fromkeys(name for snapshot in by_run.values() for name in snapshot.cases["case"])
        raise UserError(
            f"no case matches {' or '.join(only)}",
            where="--only",
            remedy=f"names look like {', '.join(list(there)[:3]) or 'none: the runs hold no case'}",
        )
    series = [_Series(name, metric, runs) for name in names]
    ways = {s.better for s in series}
    steps = [s.steps(alpha) for s in series]
    real = discoveries([min((step.p_value for step in of), default=1.0) for of in steps], rate=alpha)
    trends = [
        trend(s.values) if len(s.values) >= LEAST and not of else None for s, of in zip(series, steps, strict=True)
    ]
    drifts = discoveries([t.p_value if t is not None else 1.0 for t in trends], rate=DRIFT_LEVEL)
    return History(
        metric=metric,
        unit=METRICS[metric].unit,
        better=ways.pop() if len(ways) == 1 else better(metric),
        runs=tuple(run.label for run in runs),
        cases=tuple(
            s.told(of if is_real else (), found.change if found is not None and drifts_so else None)
            for s, of, is_real, found, drifts_so in zip(series, steps, real, trends, drifts, strict=True)
        ),
        notes=tuple(notes),
    )


def differences(
    what: Kind, case: str, before: Mapping[str, str | None], after: Mapping[str, str | None], *, remade: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of the machine in which two fingerprints differ, and sentences on the software that does.

    Only what may move a figure of kind `what`: the machine does not move quality or size, the packages of another
    runtime do not move this case's times; all packages may where the artifact was `remade`.
    """
    runtime = runtime_of(case)
    felt = [d for d in machine_differences(before, after) if d.runtime in {None, runtime}] if what == "felt" else []
    keys = tuple(d.key for d in felt if d.key in HARDWARE)
    moved = {d.key for d in felt if d.key not in HARDWARE}
    if what != "felt" or remade:
        packages = {key for key in {*before, *after} if key.startswith("package:")}
        moved |= {key for key in packages if before.get(key) != after.get(key)}
    software = tuple(
        f"{key.removeprefix('package:')} {before.get(key) or 'not known'} -> {after.get(key) or 'not known'}"
        for key in sorted(moved)
    )
    return keys, software


class _Run:
    """A snapshot with its cases and its figures of one metric by the case's name."""

    def __init__(self, snapshot: Snapshot, metric: str) -> None:
        self.label, self.created, self.machine = snapshot.label, snapshot.created, snapshot.machine
        self.cases: dict[str, dict[str, Any]] = {row["case"]: row for row in snapshot.cases.iter_rows(named=True)}
        figures = snapshot.figures.filter(pl.col("metric") == metric)
        self.figures: dict[str, dict[str, Any]] = {row["case"]: row for row in figures.iter_rows(named=True)}

    def point(self, case: str) -> Point:
        """The figure of `case`, or why there is none."""
        row, figure = self.cases.get(case), self.figures.get(case, {})
        value, how = figure.get("value"), figure.get("how") or ""
        if value is not None and math.isfinite(value):
            return Point(
                run=self.label, created=self.created, value=value, low=figure.get("low"), high=figure.get("high")
            )
        if row is None:
            why = "the case is not in this run"
        elif value is not None:
            why = f"the figure is not a number: {value}"
        else:
            told = how.removeprefix("unavailable:") or "the run holds no such figure"
            why = row.get("reason") or told
        return Point(run=self.label, created=self.created, absent=why)


class _Series:
    """One case over all runs."""

    def __init__(self, case: str, metric: str, runs: Sequence[_Run]) -> None:
        self.case, self.metric, self.runs = case, metric, runs
        self.points = tuple(run.point(case) for run in runs)
        self.at = [at for at, point in enumerate(self.points) if point.value is not None]
        self.values = [point.value for point in self.points if point.value is not None]
        told = (run.cases.get(case, {}).get("judged_by") for run in reversed(runs))
        self.better = better_by(metric, next(filter(None, told), None)) or better(metric)

    def steps(self, alpha: float) -> tuple[ChangePoint, ...]:
        """Change points over the values, whose indices leave out the gaps."""
        if kind(self.metric) == "artifact":
            return tuple(_exact_steps(self.values))
        return change_points(self.values, alpha=alpha)

    def told(self, steps: Sequence[ChangePoint], drift: float | None) -> CaseHistory:
        """The series with change points and breaks at the points where they are."""
        changed = [()] + [self._changed(i) for i in range(1, len(self.at))] if self.at else []
        breaks = []
        for i, found in enumerate(changed):
            if found and found[0]:
                breaks.append(Break(at=self.at[i], run=self.points[self.at[i]].run, keys=found[0]))
        few = len(self.values) < LEAST and kind(self.metric) != "artifact"
        return CaseHistory(
            case=self.case,
            points=self.points,
            turns=tuple(self._turn(step) for step in steps),
            breaks=tuple(breaks),
            drift=drift,
            untold=f"too few runs to tell a change from noise: {len(self.values)}, where {LEAST} are needed"
            if few
            else None,
        )

    def _changed(self, i: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What changed from the value before to value `i`: keys of the machine or the data, and sentences."""
        before, after = (self.runs[self.at[j]] for j in (i - 1, i))
        was, now = before.cases[self.case], after.cases[self.case]
        remade = _differ(was.get("artifact"), now.get("artifact"))
        what = kind(self.metric)
        keys, software = differences(what, self.case, before.machine, after.machine, remade=remade)
        if what != "felt" and (
            _differ(was.get("dataset"), now.get("dataset")) or _differ(was.get("data"), now.get("data"))
        ):
            keys = (*keys, "data")
        return keys, (*software, *(["the artifact changed"] if remade else []))

    def _turn(self, step: ChangePoint) -> Turn:
        point = self.points[self.at[step.at]]
        way = self.better
        return Turn(
            at=self.at[step.at],
            run=point.run,
            before=step.before,
            after=step.after,
            ratio=step.ratio,
            p_value=step.p_value,
            improved=None if way == "neither" else (step.after < step.before) == (way == "lower"),
            causes=tuple(self._causes(step.at)),
        )

    def _causes(self, i: int) -> list[str]:
        """What changed at value `i`; where nothing did, at its neighbours: noise moves a place by one run."""
        for aside, told in ((0, ""), (-1, " (one run earlier)"), (1, " (one run later)")):
            if 1 <= i + aside < len(self.at):
                keys, software = self._changed(i + aside)
                causes = [f"{sentence}{told}" for sentence in _sentences(keys, software)]
                if causes:
                    return causes
        return []


def _sentences(keys: Sequence[str], software: Sequence[str]) -> Iterator[str]:
    machine = [key for key in keys if key != "data"]
    if machine:
        yield f"machine changed: {', '.join(machine)}"
    if "data" in keys:
        yield "evaluation data changed"
    yield from software


def _exact_steps(values: Sequence[float]) -> Iterator[ChangePoint]:
    """Every difference: a figure without noise needs no test."""
    for at in range(1, len(values)):
        before, after = values[at - 1], values[at]
        if before != after:
            yield ChangePoint(at=at, before=before, after=after, ratio=after / before if before else None, p_value=0.0)


def _differ(before: object, after: object) -> bool:
    """Whether two texts differ; one that is not known does not."""
    return before is not None and after is not None and before != after
