"""What comes of a search."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.record.measurement import Measurement
from bench.runner.tune.confirm import Confirmation
from bench.runner.tune.goals import Goals
from bench.runner.tune.setup import Setup
from bench.runner.tune.trial import Status
from bench.stats.dominance import Standing
from bench.suite.tune import SamplerName

StoppedBy = Literal["trials", "budget", "space", "interrupted"]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A measured setting with its figures; `standing` to the frontier is None where it does not come into question."""

    number: int | None
    setup: Setup
    status: Status
    figures: dict[str, Measurement]
    standing: Standing | None = None
    reason: str | None = None


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a search.

    `candidates` are all settings that were measured, in order; `frontier` those that may be best, by the first
    objective. `chosen` is None where no setting meets the constraints, `confirmation` where nothing was to be confirmed
    or the search was interrupted. `snippet` is a suite file of the chosen setting.
    """

    model: str
    goals: Goals
    sampler: SamplerName
    study: str
    size: int | None
    repeats: int
    seconds: float
    stopped_by: StoppedBy
    default: Candidate
    candidates: tuple[Candidate, ...]
    frontier: tuple[Candidate, ...]
    chosen: Candidate | None = None
    confirmation: Confirmation | None = None
    snippet: str = ""
    notes: tuple[str, ...] = ()

    def count(self, status: Status) -> int:
        """How many trials ended so."""
        return sum(candidate.status == status for candidate in self.candidates)

    @property
    def exit_code(self) -> int:
        """0 done, 1 nothing can be chosen or the confirmation failed, 3 it is inconclusive, 130 interrupted."""
        if self.stopped_by == "interrupted":
            return 130
        if self.chosen is None or self.confirmation is None:
            return 1
        return {"failed": 1, "inconclusive": 3}.get(self.confirmation.verdict, 0)
