"""What the conductor tells whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.record.case import Case
from bench.record.observation import Reading, SensorState
from bench.record.row import Row

REST = "rest"
"""The phase in which the machine is watched while nothing runs: readings are of the harness itself."""


@dataclass(frozen=True)
class Sight:
    """What a live view may ask for at any time, from any thread.

    `latest` gives the newest reading of each quantity, none while the sampler is busy, and `sensors` how each sensor
    stands. `apart` says whether the harness has cores of its own while a case is measured: where it has not, a view
    that draws takes time from what is measured. `each_s` is how long an invocation takes by the plan, the least and
    the most, without starting, loading and evaluating (s).
    """

    latest: Callable[[], tuple[Reading, ...]]
    sensors: Callable[[], tuple[SensorState, ...]]
    apart: Callable[[Case], bool]
    each_s: tuple[float, float]


class Events(Protocol):
    """Progress of a run. Every method returns at once; none may raise."""

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        """Something other than measuring goes on: training, converting.

        `share` (0..1) is how much of it is done; a `passing` text is for a live view only.
        """

    def begin(self, total: int, done: int) -> None:
        """Measuring starts: `total` invocations, of which `done` were found finished."""

    def watching(self, sight: Sight) -> None:
        """From now on the sampler can be asked; it is said before the first invocation."""

    def case(self, case: Case, invocation: int) -> None:
        """An invocation starts."""

    def progress(self, phase: str, samples: int, median_s: float | None) -> None:
        """Within the running invocation: a phase begins (then there is no median), or a block of it is done.

        `samples` were taken so far in it; `median_s` is the median latency of the block alone.
        """

    def done(self, row: Row) -> None:
        """An invocation is finished and kept; `row` holds the case's figures so far."""
