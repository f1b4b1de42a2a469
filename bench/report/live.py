"""What is seen while a run goes on: a view that is drawn anew on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

from rich.console import Console

from bench.record.case import Case
from bench.record.row import Row
from bench.report.safe import spelled
from bench.report.units import text
from bench.report.view import Scene, View
from bench.runner.events import Sight
from bench.runtimes.table import RUNTIMES

_BLOCKWISE = frozenset({"single-stream", "multi-stream"})
"""Scenarios whose progress tells of blocks that share no sample, so that their medians make an interval."""


_NO_CI = frozenset({"", "0", "false", "no", "off"})
"""Values of the variable CI that say no."""


class Live:
    """Follows a run (see `bench.runner.events.Events`) on standard error."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._scene = Scene()
        self._view = View(console, self._scene) if is_drawn(console) else None
        self._began = time.monotonic()
        self._total = self._done = self._here = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._view is not None:
            self._view.stop()

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        """See `Events.stage`."""
        self._scene.turn(text, share=share)
        if self._view is not None:
            self._view.start()
        elif not passing:
            self._line(text)

    def begin(self, total: int, done: int) -> None:
        """See `Events.begin`."""
        self._total, self._done, self._here = total, done, 0
        self._began = time.monotonic()
        self._scene.turn("starting to measure")
        self._scene.count(done, total)
        if self._view is not None:
            self._view.start()

    def watching(self, sight: Sight) -> None:
        """See `Events.watching`."""
        self._scene.sight = sight

    def case(self, case: Case, invocation: int) -> None:
        """See `Events.case`."""
        sight = self._scene.sight
        self._scene.turn(case.name, case=True, blockwise=case.scenario in _BLOCKWISE)
        self._scene.on_gpu = case.provider in RUNTIMES[case.runtime].on_gpu
        self._expect()
        self._scene.shared = sight is not None and not sight.apart(case)
        if self._view is not None and self._scene.shared:
            self._view.draw()

    def progress(self, phase: str, samples: int, median_s: float | None) -> None:
        """See `Events.progress`."""
        if median_s is None:
            self._scene.enter(phase)
        else:
            self._scene.block(phase, samples, median_s)

    def done(self, row: Row) -> None:
        """See `Events.done`."""
        self._advance(row.case.name, _verdict(row), failed=row.failure is not None)
        self._here += 1
        left = self._expect()
        if self._view is None:
            self._line(f"[{self._done}/{self._total}] {row.case.name}: {_verdict(row)} (about {left:.0f} s left)")

    def _advance(self, name: str, told: str, *, failed: bool = False) -> None:
        """One more is done; `told` says what came of it."""
        self._done += 1
        self._scene.finished(name, told, failed)
        self._scene.count(self._done, self._total)

    def _expect(self) -> float | None:
        """Seconds left (also for the scene): by those that were done here, and before the first by the plan."""
        sight = self._scene.sight
        each = (time.monotonic() - self._began) / self._here if self._here else None
        if each is None and sight is not None:
            each = sum(sight.each_s) / 2
        left = None if each is None else each * (self._total - self._done)
        self._scene.ends_at = None if left is None else time.monotonic() + left
        return left

    def _line(self, message: str) -> None:
        self._console.print(spelled(message, self._console), markup=False, highlight=False, soft_wrap=True)


def is_drawn(console: Console) -> bool:
    """Whether the console is a terminal that can be drawn on, with somebody who looks."""
    there = console.is_terminal and console.file.isatty() and not console.is_dumb_terminal
    return there and os.environ.get("CI", "").lower() in _NO_CI


def _verdict(row: Row) -> str:
    if row.failure is not None:
        return f"{row.status}: {row.failure.reason}"
    median = row.metrics["p50_latency"]
    if median.value is None:
        return f"p50 unavailable: {median.reason}"
    return f"p50 {text(median.value, 's')} of {median.n:,} samples"
