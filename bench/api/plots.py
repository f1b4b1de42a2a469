"""The charts of a run as Altair charts, of the specifications that the report and `bench plot` draw."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.api.given import Named, optional, results, several, word
from bench.report.charts.choose import drawings, joined, places
from bench.report.charts.draw import seen_in, whole
from bench.report.charts.kinds import kind_of
from bench.runner.gather import Gathered, complete, read

if TYPE_CHECKING:
    import altair as alt

    from bench.api.kept import Run


class Plots:
    """One method a kind of chart. Each gives an Altair chart with its data inside, which a notebook draws, which
    `.save("x.png")` writes, and which can be changed further; where there are several models, one below the other.

    `cases` are names of cases, their short names in a legend, or globs. Where only a few can be drawn, they are the
    first eight unless given.

    All raise `UserError` where there is nothing to draw, with the reason, and where no case fits. Where one case can be
    drawn and several fit, the first is, with a warning.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def _seen(self) -> Gathered:
        """The run with its samples summarised: it stays as it is, unlike baselines, prices and peaks."""
        return read([self._run.folder])

    def __getstate__(self) -> dict[str, Any]:
        """What is summarised is not kept with it: it can be read again."""
        return {"_run": self._run}

    def pareto(self, x: str | None = None, y: str | None = None) -> alt.TopLevelMixin:
        """Each choice by two of `bench.METRICS` (or "cost", money for a million inferences), with intervals and the
        line of those that no other beats. Without `x` and `y`: quality over median latency, where both are known.
        """
        return self._kind("pareto", x=x, y=y)

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

    def roofline(self, cases: str | Iterable[str] | None = None, *, profile: Named | None = None) -> alt.TopLevelMixin:
        """How near each case comes to the limits of its machine: those kept of it, or those of a hardware profile."""
        return self._kind("roofline", cases, profile=profile)

    def comparison(self, baseline: Run | Named, *, out: Named | None = None) -> alt.TopLevelMixin:
        """What changed against a run, "baseline:NAME" or a file of another tool, looked for in `out`; beside this run
        unless given.
        """
        return self._kind("comparison", baseline=word(baseline), out=out)

    def _kind(
        self,
        name: str,
        cases: str | Iterable[str] | None = None,
        *,
        baseline: str | None = None,
        profile: Named | None = None,
        out: Named | None = None,
        x: str | None = None,
        y: str | None = None,
    ) -> alt.TopLevelMixin:
        gathered = complete(self._seen, baseline=baseline, results=results(out, self._run), profile=optional(profile))
        chosen = places(several(cases), gathered, "cases") or None
        title = kind_of(name).title
        drawing = joined(drawings(gathered, name, x, y), title, f"{self._run.id}: {title}")
        if chosen is not None and seen_in(drawing, chosen) is not None:
            warnings.warn(f"{title}: {len(chosen)} cases fit, and the first is drawn", stacklevel=3)
        import altair as alt

        # `usermeta` is for the page, whose reader may pick other axes.
        return alt.Chart.from_dict({key: value for key, value in whole(drawing, chosen).items() if key != "usermeta"})
