"""The Pareto front of a run's choices, as far as the intervals can tell."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.record.measurement import Measurement
from bench.record.metric import Direction

Standing = Literal["on", "undecided", "off", "not placed"]
"""`on` and `off` are sure; `not placed`: a figure is missing, or the choice failed."""


class More(msgspec.Struct, frozen=True, kw_only=True):
    """What would decide: `times` as many samples of `metric` as there are, which is `samples` more, of each side.

    `of` says what a sample is. Where nothing that is measured could decide, `times` is None and `why` says why.
    """

    metric: str
    times: float | None = None
    samples: int | None = None
    of: str = "samples"
    why: str | None = None


class Blocker(msgspec.Struct, frozen=True, kw_only=True):
    """A choice that dominates another one, `surely` or possibly; `more` would decide the pair."""

    choice: str
    surely: bool
    more: More | None = None


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where one choice stands. `by`: who keeps it off, or might. `why` is for `not placed`."""

    choice: str
    variant: str
    standing: Standing
    figures: dict[str, Measurement] = {}
    by: tuple[Blocker, ...] = ()
    more: More | None = None
    why: str | None = None
    projected: str | None = None


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """All choices of one model over `better`: the metrics, and which way each is better."""

    model: str
    better: dict[str, Direction]
    placed: tuple[Placed, ...]
    judged_by: str | None = None

    def of(self, standing: Standing) -> tuple[Placed, ...]:
        """Those that stand so."""
        return tuple(each for each in self.placed if each.standing == standing)
