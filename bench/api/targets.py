"""Variants by targets: what each variant reaches on each machine that ran it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from bench.api.answers import Answer, Kind
from bench.api.given import Named, results, several, word
from bench.api.kept import Run
from bench.record.matrix import Across, Line, Matrix, Target
from bench.report import matrix as report
from bench.runner import across

_TEXT, _NUMBER = pl.String, pl.Float64


def compare_targets(
    *runs: Run | Named,
    metric: str | Iterable[str] | None = None,
    reference: str | None = None,
    each: bool = False,
    only: str | Iterable[str] | None = None,
    allow: str | Iterable[str] | None = None,
    out: Named | None = None,
) -> Answer[Across]:
    """What each variant of a model reaches on each target, with ratios to a reference where they may be compared.

    Args:
        runs: one of each target, or fleets.
        metric: names of `bench.METRICS`, or "cost" (money for a million inferences, at each target's own prices).
        reference: the target that ratios are to, by its name, profile, machine or run; that of the first run.
        each: a line for every configuration, not only for the best one of each variant.
        only: globs; only cases whose name fits one.
        allow: keys in which figures may differ and still be compared, such as "artifact"; they say so.
        out: folder of the runs; that of a given `Run`, else "results".

    Raises:
        UserError: bad input, or no two runs have a case in common.

    Example:
        >>> cells = bench.compare_targets("server", "board", metric="cost").to_polars()  # doctest: +SKIP
    """
    found = across.compare_targets(
        [word(run) for run in runs],
        results(out, *runs),
        several(metric) or across.DEFAULT,
        reference=reference,
        only=several(only),
        each=each,
        allow=several(allow),
    )
    return Answer(found, MATRIX)


MATRIX = Kind[Across](
    draw=report.show,
    document=report.document,
    schema={
        "metric": _TEXT,
        "line": _TEXT,
        "variant": _TEXT,
        "target": _TEXT,
        "value": _NUMBER,
        "low": _NUMBER,
        "high": _NUMBER,
        "unit": _TEXT,
        "n": pl.Int64,
        "how": _TEXT,
        "configuration": _TEXT,
        "ratio": _NUMBER,
        "ratio_low": _NUMBER,
        "ratio_high": _NUMBER,
        "absent": _TEXT,
        "refused": pl.Boolean,
        "labels": pl.List(pl.String),
        "mark": _TEXT,
    },
    rows=lambda found: [
        row for matrix in found.matrices for line in matrix.lines for row in _rows(found, matrix, line)
    ],
    line=lambda found: f"{len(found.targets)} targets against {found.reference}",
)


def _rows(found: Across, matrix: Matrix, line: Line) -> list[tuple[Any, ...]]:
    return [_cell(matrix, line, at, target) for at, target in enumerate(found.targets)]


def _cell(matrix: Matrix, line: Line, at: int, target: Target) -> tuple[Any, ...]:
    cell = line.cells[at]
    figure, change = cell.figure, cell.change
    named = (matrix.metric, line.name, line.variant, target.name)
    told = (figure.value, figure.low, figure.high, figure.unit, figure.n, figure.how, cell.configuration)
    ratio: tuple[Any, ...] = (None, None, None, figure.reason, False, [])
    if change is not None:
        ratio = (change.ratio, change.low, change.high, change.absent, change.refused, list(change.labels))
    return (*named, *told, *ratio, cell.mark)
