"""The task metric under each corruption, variant by variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.quality import METRICS
from bench.record.observation import Robustness
from bench.record.row import Row
from bench.report.table import Column, Table
from bench.store.manifest import Manifest

ALIKE = 0.02
"""Runtimes whose ratios differ by no more than this in any cell share a line: 5 of 250 examples."""


@dataclass(frozen=True)
class Line:
    """One variant under corruption: the figures of the first of `targets`, with which the others agree."""

    variant: str
    label: str
    targets: tuple[str, ...]
    found: Robustness


@dataclass(frozen=True)
class Curves:
    """All lines of one model, whose metric is called `metric`."""

    title: str
    metric: str
    lines: tuple[Line, ...]


def curves(manifest: Manifest, rows: Sequence[Row]) -> list[Curves]:
    """Each model of the run that was measured under corruption."""
    made = []
    for model in manifest.models:
        lines = _lines([row for row in rows if row.case.model == model.name])
        if lines:
            metric = METRICS[lines[0].found.metric].title
            made.append(Curves(f"{model.name} · {model.dataset}", metric, tuple(lines)))
    return made


def by_corruption(model: Curves) -> Table:
    """A row a variant, a column a corruption: the share of the clean metric that is left, mean over severities."""
    first = model.lines[0].found
    columns = [
        Column("variant", tuple(line.variant for line in model.lines)),
        Column("runtime", tuple(", ".join(line.targets) for line in model.lines)),
        Column(f"{model.metric}, clean", tuple(f"{line.found.clean:.4f}" for line in model.lines), numeric=True),
    ]
    for name in first.curves:
        cells = (line.found.curves.get(name, ()) for line in model.lines)
        means = tuple(f"{sum(cell.ratio for cell in of) / len(of):.3f}" if of else "–" for of in cells)
        columns.append(Column(name.replace("_", " "), means, numeric=True))
    severities = sorted({cell.severity for cell in first.cells})
    notes = (
        f"what is left of {model.metric} on clean inputs (1: nothing is lost), mean over severities {severities[0]} "
        f"to {severities[-1]}, of {first.examples:,} examples (seed {first.seed})",
        f"runtimes whose shares lie within {ALIKE:g} of each other everywhere share a line, that of the first",
    )
    return Table(model.title, tuple(columns), notes)


def _lines(rows: Sequence[Row]) -> list[Line]:
    groups: list[tuple[str, Robustness, dict[str, None]]] = []
    for row in rows:
        found = row.under_corruption
        if found is None:
            continue
        same = (g for g in groups if g[0] == row.case.variant and _alike(g[1], found))
        group = next(same, None)
        if group is None:
            groups.append(group := (row.case.variant, found, {}))
        group[2][row.case.target] = None
    variants = [variant for variant, _, _ in groups]
    return [
        Line(
            variant,
            variant if variants.count(variant) == 1 else f"{variant}, {next(iter(targets))}",
            tuple(targets),
            found,
        )
        for variant, found, targets in groups
    ]


def _alike(one: Robustness, other: Robustness) -> bool:
    theirs = {(cell.corruption, cell.severity): cell.ratio for cell in other.cells}
    ours = {(cell.corruption, cell.severity): cell.ratio for cell in one.cells}
    return ours.keys() == theirs.keys() and all(abs(ours[at] - theirs[at]) <= ALIKE for at in ours)
