"""What each configuration of a run has to say for one metric or for the cost: what cells of a matrix are made of."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.analyse.alike import Basis
from bench.analyse.choices import OFFLINE, ONE
from bench.analyse.cost import Account, Ledger
from bench.analyse.intervals import interval
from bench.analyse.pareto import way
from bench.record.artifact import Artifact
from bench.record.case import Case, Option
from bench.record.matrix import Target
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction
from bench.record.recommendation import COST
from bench.record.row import Row
from bench.stats.dominance import Interval
from bench.store.manifest import Manifest

_Files = dict[str, str]
"""SHA-256 by format."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One run and the target that it is of. `ledger` has the bills of its choices where costs were asked for."""

    target: Target
    manifest: Manifest
    rows: tuple[Row, ...]
    ledger: Ledger | None = None


@dataclass(frozen=True)
class Key:
    """What tells the lines of a matrix apart. `scenario` is empty for a cost, `setting` unless each has its line."""

    model: str
    variant: str
    batch: int
    scenario: str
    options: tuple[tuple[str, Option], ...]
    setting: str = ""

    @property
    def name(self) -> str:
        """As cases are named, without what the line does not tell apart."""
        options = [f"{name}={value}" for name, value in self.options]
        parts = [self.model, self.variant, self.setting, f"b{self.batch}", self.scenario, *options]
        return "/".join(filter(None, parts))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A configuration that may stand in a cell. `fault` says why it does not count: it failed, or was not measured.

    `bounds` are what the figure lies between; of a sum that lacks the parts `lacks` there is no upper end. `n` counts
    the samples behind it.
    """

    key: Key
    configuration: str
    setting: str
    figure: Measurement
    bounds: Interval | None
    basis: Basis
    better: Direction
    judged_by: str | None
    fault: str | None = None
    lacks: tuple[str, ...] = ()
    artifact: str | None = None
    invocations: int = 0
    n: int = 0

    @property
    def counts(self) -> bool:
        """Whether it ran well and has the figure."""
        return self.fault is None and self.figure.value is not None


def entries(side: Side, metric: str, only: Sequence[str] = (), *, each: bool = False) -> dict[Key, list[Entry]]:
    """The configurations of a run by the line that they belong to, in the order of its suite.

    `only` are globs on the names of cases. `each`: every configuration has a line of its own.
    """
    found: dict[Key, list[Entry]] = {}
    made = _of_cost(side, only, each) if metric == COST else _of_rows(side, metric, only, each)
    for entry in made:
        found.setdefault(entry.key, []).append(entry)
    return found


def _of_rows(side: Side, metric: str, only: Sequence[str], each: bool) -> Iterator[Entry]:
    about = _About(side)
    rows = {row.case.id: row for row in side.rows}
    planned = [case for case in side.manifest.cases if case.id not in rows]
    for case in [*(row.case for row in side.rows), *planned]:
        if not _fits(case.name, only):
            continue
        row = rows.get(case.id)
        figure = None if row is None else row.metrics.get(metric)
        if figure is None:
            figure = Measurement.unavailable(METRICS[metric].unit, "no such figure is on record")
        judged_by = about.judged_by(case.model)
        setting = f"{case.target} t{case.threads}"
        yield Entry(
            key=Key(
                case.model,
                case.variant,
                case.batch,
                case.scenario,
                tuple(sorted(case.options.items())),
                setting.replace(" ", "/") if each else "",
            ),
            configuration=case.name,
            setting=setting,
            figure=figure,
            bounds=interval(metric, figure),
            basis=about.basis(case, row),
            better=way(metric, judged_by),
            judged_by=judged_by,
            fault=_fault(row, side.manifest.status),
            artifact=None if row is None or row.artifact is None else row.artifact.sha256,
            invocations=0 if row is None else row.invocations,
            n=figure.n,
        )


def _of_cost(side: Side, only: Sequence[str], each: bool) -> Iterator[Entry]:
    about = _About(side)
    rows = {row.case.name: row for row in side.rows}
    for account in () if side.ledger is None else side.ledger.accounts:
        choice, money = account.choice, account.million.money
        if not any(_fits(name, only) for name in choice.cases):
            continue
        row = _measured(account, rows)
        setting = f"{choice.target} t{choice.threads}"
        options = tuple(sorted(choice.options.items()))
        figure = money.figure
        lacks: tuple[str, ...] = ()
        bounds = interval(COST, figure)
        if figure.value is None:
            reasons = dict.fromkeys(part.figure.reason or "" for part in money.unknown)
            figure = Measurement.unavailable(figure.unit, "; ".join(reasons))
        elif not money.complete:
            lacks = tuple(dict.fromkeys(part.name for part in money.unknown))
            bounds = None if bounds is None else (bounds[0], math.inf)
        yield Entry(
            key=Key(choice.model, choice.variant, choice.batch, "", options, setting.replace(" ", "/") if each else ""),
            configuration=choice.name,
            setting=setting,
            figure=figure,
            bounds=bounds,
            basis=about.basis(row.case, row, f"{row.case.scenario}, "),
            better="lower",
            judged_by=choice.judged_by,
            fault=None if choice.failure is None else f"failed: {choice.failure}",
            lacks=lacks,
            artifact=None if row.artifact is None else row.artifact.sha256,
            invocations=row.invocations,
            n=choice.figures["throughput"].n,
        )


def _measured(account: Account, rows: Mapping[str, Row]) -> Row:
    """The row that the throughput of a choice is of; where there is none, its first."""
    wanted = OFFLINE if account.choice.offline else ONE
    mine = [rows[name] for name in account.choice.cases]
    return next((row for row in mine if row.case.scenario == wanted), mine[0])


def _fits(name: str, only: Sequence[str]) -> bool:
    return not only or any(name == glob or fnmatch.fnmatchcase(name, glob) for glob in only)


def _fault(row: Row | None, status: str) -> str | None:
    if row is None:
        return f"planned and not measured: the run is {status}"
    if row.status == "ok":
        return None
    return f"{row.status}: {'no reason is on record' if row.failure is None else row.failure.reason}"


class _About:
    """What the figures of a run are of."""

    def __init__(self, side: Side) -> None:
        self._models = {model.name: model for model in side.manifest.models}
        self._files: dict[tuple[str, str, int], _Files] = {}
        for row in side.rows:
            if row.artifact is not None:
                self._files.setdefault(_variant(row.case), {}).setdefault(row.artifact.format, row.artifact.sha256)

    def judged_by(self, model: str) -> str | None:
        """The task metric of a model."""
        return self._models[model].metric if model in self._models else None

    def basis(self, case: Case, row: Row | None, before_scope: str = "") -> Basis:
        """Of a case, with the other files of its variant."""
        facts = {} if row is None else row.facts
        artifact: Artifact | None = None if row is None else row.artifact
        own: _Files = {} if artifact is None else {artifact.format: artifact.sha256}
        scope, model = facts.get("scope"), self._models.get(case.model)
        return Basis(
            runtime=case.runtime,
            data=facts.get("evaluation_data"),
            judged_by=self.judged_by(case.model),
            scope=None if scope is None else f"{before_scope}{scope}",
            schema=0 if row is None else row.schema,
            format=None if artifact is None else artifact.format,
            source=None if model is None else model.source_sha256,
            artifacts=_pairs({**self._files.get(_variant(case), {}), **own}),
        )


def _variant(case: Case) -> tuple[str, str, int]:
    return case.model, case.variant, case.batch


def _pairs(files: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(files.items()))


def keys_of(found: Iterable[Mapping[Key, object]]) -> list[Key]:
    """All lines: those of the first in its order, then what others have beside, by name.

    So the order of the others does not matter.
    """
    first, *rest = found
    more = {key for each in rest for key in each} - set(first)
    return [*first, *sorted(more, key=lambda key: key.name)]
