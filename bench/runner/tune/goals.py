"""What a search is for: objectives, each with its better side, and constraints that a setting has to meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from bench.analyse.kinds import better, better_by, kind
from bench.analyse.rules import parse_rule
from bench.errors import UserError, unknown
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.stats.dominance import Interval

COST = "cost"
"""Money for a million inferences, by the price of a hardware profile."""
Way = Literal["lower", "higher"]
_LOSS, _AGREEMENT = 0.01, 0.99
"""What a search without a table of its own keeps to, so that no model is ruined for speed."""


class Objective(msgspec.Struct, frozen=True):
    """A figure to make as low, or as high, as can be."""

    metric: str
    better: Way


class Constraint(msgspec.Struct, frozen=True):
    """`metric` has to be at most (`<=`) or at least (`>=`) `limit`, in the metric's own unit."""

    metric: str
    side: Literal["<=", ">="]
    limit: float

    def excess(self, figures: Mapping[str, Measurement]) -> float:
        """By how much the figure misses the limit, as a share of it: 0 or less where met, 1 where it is unknown."""
        found = figures.get(self.metric)
        if found is None or found.value is None:
            return 1.0
        beyond = found.value - self.limit if self.side == "<=" else self.limit - found.value
        return beyond / (abs(self.limit) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {self.side} {self.limit:g}"


class Goals(msgspec.Struct, frozen=True, kw_only=True):
    """What is sought, and what has to hold."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def ways(self) -> tuple[Way, ...]:
        """The better side of each objective."""
        return tuple(objective.better for objective in self.objectives)

    @property
    def on_quality(self) -> bool:
        """Whether anything here bounds what the outputs are worth."""
        return any(kind(c.metric) == "quality" for c in self.constraints) or any(
            kind(o.metric) == "quality" for o in self.objectives
        )

    def met(self, figures: Mapping[str, Measurement]) -> bool:
        """Whether every constraint is."""
        return all(constraint.excess(figures) <= 0 for constraint in self.constraints)

    def broken(self, figures: Mapping[str, Measurement]) -> str:
        """The constraints that are not met, with what is there instead."""
        return "; ".join(
            f"{constraint}, it is {_shown(figures.get(constraint.metric))}"
            for constraint in self.constraints
            if constraint.excess(figures) > 0
        )

    def values(self, figures: Mapping[str, Measurement]) -> tuple[float, ...] | None:
        """The figures of the objectives; None where one is missing."""
        found = [figures.get(objective.metric) for objective in self.objectives]
        values = tuple(each.value for each in found if each is not None and each.value is not None)
        return values if len(values) == len(found) else None

    def intervals(self, figures: Mapping[str, Measurement]) -> list[Interval]:
        """The intervals of the objectives; a figure without error is its own, one that is missing is unbounded."""
        return [_interval(figures.get(objective.metric)) for objective in self.objectives]

    def without(self, figures: Mapping[str, Measurement]) -> str:
        """Why an objective has no figure."""
        missing = [o.metric for o in self.objectives if o.metric not in figures or figures[o.metric].value is None]
        reasons = {
            name: figures[name].reason
            if name in figures
            else "no process gave it (too few samples in the time of [measure]?)"
            for name in missing
        }
        return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def objectives(names: Sequence[str], judged_by: str | None, where: str) -> tuple[Objective, ...]:
    """The objectives of these names. `judged_by` is the model's task metric, which `accuracy` holds.

    Raises:
        UserError: a metric that is not known, is given twice, or has no better side.
    """
    found = []
    for name in names:
        if name != COST and name not in METRICS:
            raise unknown("metric", name, [*METRICS, COST], where=where)
        way = better_by(name, judged_by) or better(name)
        if way == "neither":
            raise UserError(f"no value of {name} is better than another", where=where, remedy="choose another metric")
        found.append(Objective(name, way))
    if len(set(names)) < len(names):
        raise UserError("an objective is given twice", where=where, remedy="leave one out")
    return tuple(found)


def least_accuracy(limit: float, judged_by: str | None, where: str) -> Constraint:
    """`min_accuracy`. Raises `UserError` where the model's metric is an error, of which less is better."""
    if better_by("accuracy", judged_by) == "lower":
        raise UserError(
            f"the task metric {judged_by} is an error, of which less is better",
            where=where,
            remedy=f'give constraints = {{ accuracy = "<= {limit:g}" }}',
        )
    return Constraint("accuracy", ">=", limit)


def least_after_loss(loss: float, default: Mapping[str, Measurement], judged_by: str | None, where: str) -> Constraint:
    """`max_loss`: the task metric of the default setting, and so much worse. Raises `UserError` where it has none."""
    found = default["accuracy"]
    if found.value is None:
        raise UserError(f"the default setting has no accuracy: {found.reason}", where=where, remedy="give --data")
    # A loss of 0 has to allow what is the same.
    slack = 1e-9
    if better_by("accuracy", judged_by) == "lower":
        return Constraint("accuracy", "<=", found.value + loss + slack)
    return Constraint("accuracy", ">=", found.value - loss - slack)


def usual(default: Mapping[str, Measurement], judged_by: str | None, where: str) -> list[Constraint]:
    """What a search without any constraint keeps to, by the first of these that the default setting has; or nothing."""
    if default["accuracy"].value is not None:
        return [least_after_loss(_LOSS, default, judged_by, where)]
    likeness = ("parity_agreement", "parity_cosine")
    return [Constraint(name, ">=", _AGREEMENT) for name in likeness if default[name].value is not None][:1]


def budgets(table: Mapping[str, str], where: str) -> tuple[Constraint, ...]:
    """The table `constraints`. Raises `UserError` for what is no budget."""
    found = []
    for metric, text in table.items():
        rule = parse_rule(metric, text, where=f"{where}.{metric}")
        if rule.form != "budget":
            raise UserError(f"{text!r} is no budget", where=f"{where}.{metric}", remedy='write "<= 8ms" or ">= 0.97"')
        found.append(Constraint(metric, "<=" if text.strip().startswith("<=") else ">=", rule.limit))
    return tuple(found)


def _interval(found: Measurement | None) -> Interval:
    if found is None or found.value is None:
        return -math.inf, math.inf
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    return low, high


def _shown(found: Measurement | None) -> str:
    if found is None or found.value is None:
        return "not known" if found is None else f"not known: {found.reason}"
    return f"{found.value:.6g}"
