"""From a kind of chart and what a user asked for to the one drawing that is drawn, and the cases in it."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from bench.errors import UserError, unknown
from bench.report.charts.drawing import Drawing, Undrawn
from bench.report.charts.kinds import kind_of
from bench.report.charts.stacked import stacked
from bench.runner.gather import Gathered


def drawings(gathered: Gathered, name: str, x: str | None = None, y: str | None = None) -> Sequence[Drawing | Undrawn]:
    """All drawings of the kind called `name`; `x` and `y` are metrics of the kind `pareto`.

    Raises:
        UserError: there is no such kind or metric, or the kind has other axes.
    """
    kind = kind_of(name)
    if x is None and y is None:
        return kind.draw(gathered)
    if name != "pareto":
        raise UserError(
            f"the axes of {name} cannot be chosen", where="--x, --y", remedy="leave them out, or draw pareto"
        )
    from bench.report.charts import pareto

    return pareto.drawings(gathered, x or "p50_latency", y or "accuracy")


def joined(made: Sequence[Drawing | Undrawn], title: str, where: str) -> Drawing:
    """All that is drawn as one drawing, below each other. Raises `UserError` with the reasons where there is none."""
    drawn = [each for each in made if isinstance(each, Drawing)]
    if not drawn:
        reasons = dict.fromkeys(each.reason for each in made if isinstance(each, Undrawn))
        raise UserError(f"there is nothing to draw: {'; '.join(reasons) or 'the run has no case'}", where=where)
    return stacked(drawn, title)


def not_drawn(made: Sequence[Drawing | Undrawn]) -> list[str]:
    """A line for each that is not in the picture, with its reason."""
    return [f"not drawn: {each.title}: {each.reason}" for each in made if isinstance(each, Undrawn)]


def places(wanted: Sequence[str], gathered: Gathered, where: str) -> list[int]:
    """Places of the cases that are named, by name or label, or fit a glob. Raises `UserError` for what fits none."""
    found: dict[int, None] = {}
    for glob in wanted:
        hits = [
            at
            for at, seen in enumerate(gathered.cases)
            if glob in (seen.row.case.name, seen.label) or fnmatch.fnmatchcase(seen.row.case.name, glob)
        ]
        if not hits:
            raise unknown("case", glob, [seen.row.case.name for seen in gathered.cases], where=where)
        found |= dict.fromkeys(hits)
    return list(found)
