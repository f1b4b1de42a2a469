"""The answer of `bench recommend`, with every number that its lines hold."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.record.choice import Choice
from bench.record.cost import Part
from bench.record.front import More
from bench.record.measurement import Measurement
from bench.record.metric import Direction

Objective = Literal["cost", "latency", "energy", "size", "accuracy", "memory"]
Outcome = Literal["met", "missed", "unsure", "unknown"]
"""Of a constraint: surely met, surely missed, its limit lies within the interval, or there is no figure."""

Limit = Literal["quality", "p99", "memory", "size", "budget", "traffic"]
"""What a constraint is on."""

Standing = Literal["chosen", "tied", "undecided", "worse", "dominated", "unsure", "unknown", "missed", "failed"]
"""Of a choice. Feasible: the `chosen`, those `tied` with it within noise, `undecided`, surely `worse`, surely
`dominated`. Not shown to be feasible: `unsure`, or `unknown` for want of a figure. Surely not: `missed`, `failed`."""

COST, MONTH, SERVED = "cost", "cost_a_month", "served_p99"
"""Figures beside those of `METRICS`: money (of what the objective is about, and of a month), and the p99 bound (s)
under which a capacity was found."""


class Constraint(msgspec.Struct, frozen=True, kw_only=True):
    """`metric` has to be at most (`lower` is better) or at least `limit`."""

    on: Limit
    metric: str
    limit: float
    unit: str
    better: Direction


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One choice held against one constraint.

    `slack` is the share of the limit by which it could be tightened with the choice still within it (below 0: by
    which it has to be relaxed), to `reach`; by the sure side of the interval, or by the value where point values
    were accepted. None where a figure does not say. `at_least`: the figure is a sum that lacks a part, which `reason`
    names.
    """

    on: Limit
    outcome: Outcome
    figure: Measurement
    slack: float | None = None
    reach: float | None = None
    reason: str = ""
    more: More | None = None
    at_least: bool = False


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over another, with the bounds that both intervals allow; None: not known."""

    value: float
    low: float | None = None
    high: float | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A choice with its objective, how it meets each constraint, and where it stands and why.

    `behind` is the ratio of its objective to that of the chosen one, with its bounds; `more` would decide between the
    two. `dominated_by` names one that is surely as good or better in every figure of `dominated_in`. `money` is the
    cost with its parts, `lacks` names those that are not known, `gap` says why; `machines` and `replicas` are there
    with a traffic.
    """

    choice: Choice
    objective: Measurement
    judged: tuple[Judged, ...]
    standing: Standing
    behind: Ratio | None = None
    more: More | None = None
    dominated_by: str | None = None
    dominated_in: tuple[str, ...] = ()
    replicas: Part | None = None
    machines: Part | None = None
    money: Part | None = None
    lacks: tuple[str, ...] = ()
    gap: str = ""

    @property
    def name(self) -> str:
        """That of the choice."""
        return self.choice.name


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of the chosen one beside the reference's: as a ratio, or for a share as a difference of the two.

    `at_least` says of each whether it is a sum that lacks a part. There is no ratio then.
    """

    metric: str
    chosen: Measurement
    reference: Measurement
    better: Direction
    ratio: Ratio | None = None
    difference: Ratio | None = None
    at_least: tuple[bool, bool] = (False, False)


class Relaxed(msgspec.Struct, frozen=True, kw_only=True):
    """A limit and what it would have to be, `by` this share of it."""

    on: Limit
    metric: str
    limit: float
    to: float
    by: float
    unit: str


class Relaxation(msgspec.Struct, frozen=True, kw_only=True):
    """The least that makes a choice feasible: one limit where one is enough, else as few as it takes."""

    choice: str
    limits: tuple[Relaxed, ...]


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer. `chosen` is the name of a candidate; None where none is feasible.

    `contenders` are those that may after all be the better one. `sure`: there are none, the run is complete, and the
    chosen one surely meets every constraint; where there are `estimates`, as far as those hold. `binding` is the
    constraint with the least slack. `rivals` are the nearest, those that lost although their objective is better first.
    `lacks` names parts of the cost that are known for none, `unfinished` says why more rows may come. `estimates` and
    `notes` are what a reader of the figures has to know.
    """

    model: str
    objective: Objective
    metric: str
    better: Direction
    unit: str
    constraints: tuple[Constraint, ...]
    candidates: tuple[Candidate, ...]
    chosen: str | None = None
    reference: str | None = None
    gains: tuple[Gain, ...] = ()
    rivals: tuple[str, ...] = ()
    binding: Judged | None = None
    sure: bool = False
    contenders: tuple[str, ...] = ()
    relaxation: Relaxation | None = None
    traffic: float | None = None
    headroom: float | None = None
    profile: str | None = None
    price: str | None = None
    example_price: bool = False
    projected: str | None = None
    accept_unsure: bool = False
    judged_by: str | None = None
    lacks: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    estimates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def candidate(self, name: str | None) -> Candidate | None:
        """The one of that name."""
        return next((each for each in self.candidates if each.name == name), None)

    @property
    def undecidable(self) -> bool:
        """Whether nothing is feasible only for lack of evidence."""
        return self.chosen is None and any(each.standing in ("unsure", "unknown") for each in self.candidates)
