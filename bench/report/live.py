"""What is seen while a run goes on: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from bench.record.case import Case
from bench.record.row import Row
from bench.report.units import text


class _TimeLeft(ProgressColumn):
    """Time left by the mean of the invocations done in this session."""

    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        if left is None:
            return Text("")
        return Text(f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left", style="cyan")


class Live:
    """Follows a run (see `bench.runner.events.Events`) on standard error."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fancy = console.is_terminal and not os.environ.get("CI")
        self._total = self._done = self._here = 0
        self._began = time.monotonic()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _TimeLeft(),
            TextColumn("{task.fields[now]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, now="", left=None)

    def __enter__(self) -> Self:
        if self._fancy:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fancy:
            self._bar.stop()

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        """See `Events.stage`."""
        if self._fancy:
            self._bar.update(self._task, description=escape(text), total=100, completed=round(100 * (share or 0)))
        elif not passing:
            self._line(text)

    def begin(self, total: int, done: int) -> None:
        """See `Events.begin`."""
        self._total, self._done, self._here = total, done, 0
        self._began = time.monotonic()
        self._bar.update(self._task, total=total, completed=done)

    def case(self, case: Case, invocation: int) -> None:
        """See `Events.case`."""
        self._bar.update(self._task, description=escape(case.name), now="")

    def progress(self, phase: str, samples: int, median_s: float) -> None:
        """See `Events.progress`."""
        self._bar.update(self._task, now=f"{samples:,} samples, median {text(median_s, 's')}")

    def done(self, row: Row) -> None:
        """See `Events.done`."""
        self._done += 1
        self._here += 1
        left = (time.monotonic() - self._began) / self._here * (self._total - self._done)
        self._bar.update(self._task, completed=self._done, left=left)
        if not self._fancy:
            self._line(f"[{self._done}/{self._total}] {row.case.name}: {_verdict(row)} (about {left:.0f} s left)")

    def _line(self, message: str) -> None:
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


def _verdict(row: Row) -> str:
    if row.failure is not None:
        return f"{row.status}: {row.failure.reason}"
    median = row.metrics["p50_latency"]
    if median.value is None:
        return f"p50 unavailable: {median.reason}"
    return f"p50 {text(median.value, 's')} of {median.n:,} samples"
