"""A kept run as it is seen from Python: found, read back, its figures as tables, its charts, its report."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.given import Named, expanded, optional, results, word
from bench.api.html import page
from bench.errors import UserError
from bench.record.row import Row
from bench.runner.conduct import RunResult
from bench.runner.reopen import reopen
from bench.store.kept import has_rows
from bench.store.manifest import Manifest
from bench.store.runs import find, list_runs

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from rich.console import Console

    from bench.api.plots import Plots


class Run:
    """A kept run. It is what `run` and `load` give; in a notebook it shows its table.

    Example:
        >>> made = bench.load("latest")  # doctest: +SKIP
        >>> made.to_polars().sort("p50_latency").select("case", "p50_latency", "accuracy")  # doctest: +SKIP
        >>> made.plot.pareto()  # doctest: +SKIP
    """

    def __init__(self, result: RunResult) -> None:
        self._result = result

    @property
    def id(self) -> str:
        """The name of its folder, which `load` takes."""
        return self._result.manifest.run_id

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return Path(self._result.folder)

    @property
    def manifest(self) -> Manifest:
        """What was asked for, on which machine, and whether it is complete."""
        return self._result.manifest

    @property
    def rows(self) -> tuple[Row, ...]:
        """A row a case, in the order of the suite: every figure with unit, interval and provenance."""
        return self._result.rows

    def __repr__(self) -> str:
        done, asked = len(self.rows), len(self.manifest.cases)
        counted = f"{done} cases" if done == asked else f"{done} of {asked} cases"
        return f"<bench.Run {self.id}: {counted}, {self.manifest.status}>"

    def _repr_html_(self) -> str:
        """Its tables for a notebook, without scripts."""
        return page(self.manifest, self.rows)

    def show(self, console: Console | None = None) -> None:
        """Print its tables as `bench show` does. `console` is one of rich; standard output unless given."""
        from rich.console import Console

        from bench.report import terminal

        terminal.show(console or Console(highlight=False), self.folder, self.manifest, self.rows)

    def to_polars(self) -> pl.DataFrame:
        """A row a case, all columns flat, in SI units.

        First what the case is: `case` (its name), `run`, `case_id`, `model`, `variant`, `runtime`, `provider`,
        `threads`, `batch`, `scenario`, `options` ("rate=100 p99_ms=10"), `status`, `reason` of a failure, `dataset`,
        `invocations`, `warnings` (a list). Then for each figure of `bench.METRICS`: `p50_latency` (null where it is not
        known), `p50_latency_low` and `p50_latency_high` (its interval), `p50_latency_confidence` (of the interval),
        `p50_latency_n` (samples) and `p50_latency_how` (its provenance, or why it is not known).

        Every run has the same columns, so that frames of several can be put one under the other.
        """
        from bench.api import frames

        return frames.of_rows(self.id, self.rows)

    def to_pandas(self) -> pd.DataFrame:
        """The table of `to_polars` for pandas; text is as pandas holds it, lists are objects, and
        what is not known is NaN or None.

        Raises:
            UserError: pandas is not installed.
        """
        from bench.api import frames

        return frames.as_pandas(self.to_polars())

    def latencies(self) -> pl.DataFrame:
        """Every raw sample: `case`, `case_id`, `invocation`, `block`, `stream`, and in nanoseconds `scheduled_ns`,
        `start_ns` and `latency_ns`, of a monotonic clock.

        Raises:
            UserError: the run's folder does not hold them, or they cannot be read.
        """
        from bench.api import frames

        return frames.latencies(self.folder, self.rows)

    def telemetry(self) -> pl.DataFrame:
        """Every reading of a sensor: `case`, `case_id`, `invocation`, `edge` (the phase that it bounds, null in
        between), `t_ns` (same clock as the samples), `sensor`, `device`, `quantity`, `value` and `unit`.

        Raises:
            UserError: the run's folder does not hold them, or they cannot be read.
        """
        from bench.api import frames

        return frames.telemetry(self.folder, self.rows)

    @cached_property
    def plot(self) -> Plots:
        """Its charts, one method a kind: `run.plot.pareto()`."""
        from bench.api.plots import Plots

        return Plots(self)

    def report(
        self,
        path: Named = "report.html",
        *,
        beside: Iterable[Run | Named] = (),
        baseline: Run | Named | None = None,
        profile: Named | None = None,
        title: str | None = None,
        out: Named | None = None,
    ) -> Path:
        """Write the whole report as one HTML file that opens off-line, and tell where it is.

        `beside` are runs that stand before it; without a `baseline` it is compared with the first of them. `baseline`
        is a run, `baseline:NAME`, or a file of another tool. Both are looked for in `out`; beside this run unless
        given. `profile` is the hardware profile for prices and peaks, `title` the heading.

        Raises:
            UserError: a run, the baseline or the profile cannot be read, a library that draws is not installed, or the
                disk refuses.
        """
        from bench.report.page.write import write
        from bench.runner.gather import gather

        path, there = expanded(path), results(out, self)
        if path.suffix.lower() not in (".html", ".htm"):
            raise UserError("the report is one HTML file", where=str(path), remedy="end its name in .html")
        held = None if baseline is None else word(baseline)
        folders = [*(find(word(run), there) for run in beside), self.folder]
        write(path, gather(folders, baseline=held, results=there, profile=optional(profile)), title)
        return path

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Run) and self._result == other._result

    def __hash__(self) -> int:
        return hash(self.id)


def load(run: Run | Named = "latest", *, out: Named = "results") -> Run:
    """A kept run, by its id, a unique start of it, its path, or "latest"; `out` is the folder of the runs.

    A `Run` is read again as it is now.

    Raises:
        UserError: there is no such run, it is still going on, or it cannot be read.

    Example:
        >>> bench.load()  # the last one  # doctest: +SKIP
        >>> bench.load("20261127-1030", out="/data/results")  # doctest: +SKIP
    """
    return Run(reopen(find(word(run), expanded(out))))


def runs(out: Named = "results") -> list[str]:
    """The ids of the runs in the folder `out` whose rows are written, oldest first: those that `load` takes.

    A run that goes on, or was killed before it wrote any, is not among them. A damaged one is: `load` says what is
    wrong with it.

    Example:
        >>> frames = [bench.load(run).to_polars() for run in bench.runs()]  # doctest: +SKIP
        >>> polars.concat(frames)  # doctest: +SKIP
    """
    return [folder.name for folder in list_runs(expanded(out)) if has_rows(folder)]
