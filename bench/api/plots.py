"""The charts of a run as Altair charts, of the specifications that the report and `bench plot` draw."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.given import Named, several, word
from bench.errors import UserError, unknown
from bench.report.charts import pareto
from bench.report.charts.draw import whole
from bench.report.charts.drawing import Drawing, Undrawn
from bench.report.charts.kinds import kind_of
from bench.report.charts.stacked import stacked
from bench.runner.gather import Gathered, gather

if TYPE_CHECKING:
    import altair as alt

    from bench.api.kept import Run


class Plots:
    """One method a kind of chart. Each gives an Altair chart with its data inside, which a notebook draws, which
    `.save("x.png")` writes, and which can be changed further; where there are several models, one below the other.

    `cases` are names of cases, their short names in a legend, or globs. Where only a few can be drawn, they are the
    first eight unless given.

    All raise `UserError` where there is nothing to draw, with the reason, and where no case fits.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gathered = lru_cache(maxsize=4)(self._gather)

    def pareto(self, x: str | None = None, y: str | None = None) -> alt.TopLevelMixin:
        """Each choice by two of `bench.METRICS` (or "cost", money for a million inferences), with intervals and the
        line of those that no other beats. Without `x` and `y`: quality over median latency, where both are known.
        """
        if x is None and y is None:
            return self._kind("pareto")
        gathered = self._gathered()
        made = pareto.drawings(gathered, x or "p50_latency", y or "accuracy")
        return _chart(made, kind_of("pareto").title, gathered)

    def percentiles(self, cases: str | Iterable[str] | None = None) -> alt.TopLevelMixin:
        """Latency from the median to 99.9 %, with intervals."""
        return self._kind("percentiles", cases)

    def ecdf(self, cases: str | Iterable[str] | None = None) -> alt.TopLevelMixin:
        """The share of calls answered within a time."""
        return self._kind("ecdf", cases)

    def violin(self, cases: str | Iterable[str] | None = None) -> alt.TopLevelMixin:
        """How many calls took how long."""
        return self._kind("violin", cases)

    def timeline(self, case: str | None = None) -> alt.TopLevelMixin:
        """What the sensors read while one case ran, with its phases; of the first case unless given."""
        return self._kind("timeline", case)

    def operators(self, case: str | None = None) -> alt.TopLevelMixin:
        """Where the time of one inference goes, of a case that was profiled; the first unless given."""
        return self._kind("operators", case)

    def robustness(self) -> alt.TopLevelMixin:
        """What is left of the task metric under each corruption of the inputs."""
        return self._kind("robustness")

    def roofline(self, cases: str | Iterable[str] | None = None, *, profile: str | None = None) -> alt.TopLevelMixin:
        """How near each case comes to the limits of its machine: those kept of it, or those of a hardware profile."""
        return self._kind("roofline", cases, profile=profile)

    def comparison(self, baseline: Run | Named, *, out: Named = "results") -> alt.TopLevelMixin:
        """What changed against a run, "baseline:NAME" or a file of another tool."""
        return self._kind("comparison", baseline=word(baseline), out=str(out))

    def _kind(
        self,
        name: str,
        cases: str | Iterable[str] | None = None,
        *,
        baseline: str | None = None,
        profile: str | None = None,
        out: str = "results",
    ) -> alt.TopLevelMixin:
        gathered, kind = self._gathered(baseline, profile, out), kind_of(name)
        chosen = None if cases is None else _chosen(several(cases), gathered)
        return _chart(kind.draw(gathered), kind.title, gathered, chosen)

    def _gather(self, baseline: str | None = None, profile: str | None = None, out: str = "results") -> Gathered:
        return gather([self._folder], baseline=baseline, results=Path(out), profile=profile)


def _chart(
    made: Sequence[Drawing | Undrawn], title: str, gathered: Gathered, chosen: Sequence[int] | None = None
) -> alt.TopLevelMixin:
    """The drawings as one chart. Raises `UserError` where there is none."""
    drawn = [each for each in made if isinstance(each, Drawing)]
    if not drawn:
        reasons = dict.fromkeys(each.reason for each in made if isinstance(each, Undrawn))
        run = gathered.runs[-1].manifest.run_id
        raise UserError(f"there is nothing to draw: {'; '.join(reasons)}", where=f"{run}: {title}")
    import altair as alt

    # `usermeta` is for the page, whose reader may pick other axes.
    spec = {key: value for key, value in whole(stacked(drawn, title), chosen).items() if key != "usermeta"}
    return alt.Chart.from_dict(spec)


def _chosen(wanted: Sequence[str], gathered: Gathered) -> list[int]:
    """Places of the cases that fit. Raises `UserError` for one that fits none."""
    found: dict[int, None] = {}
    for glob in wanted:
        hits = [
            at
            for at, seen in enumerate(gathered.cases)
            if glob in (seen.row.case.name, seen.label) or fnmatch.fnmatchcase(seen.row.case.name, glob)
        ]
        if not hits:
            raise unknown("case", glob, [seen.row.case.name for seen in gathered.cases], where="cases")
        found |= dict.fromkeys(hits)
    return list(found)
