"""What the conductor tells whoever watches."""

from __future__ import annotations

from typing import Protocol

from bench.record.case import Case
from bench.record.row import Row


class Events(Protocol):
    """Progress of a run. Every method returns at once; none may raise."""

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        """Something other than measuring goes on: training, converting.

        `share` (0..1) is how much of it is done; a `passing` text is for a live view only.
        """

    def begin(self, total: int, done: int) -> None:
        """Measuring starts: `total` invocations, of which `done` were found finished."""

    def case(self, case: Case, invocation: int) -> None:
        """An invocation starts."""

    def progress(self, phase: str, samples: int, median_s: float) -> None:
        """Between two blocks of the running invocation."""

    def done(self, row: Row) -> None:
        """An invocation is finished and kept; `row` holds the case's figures so far."""
