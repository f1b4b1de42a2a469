"""What is asked of a choice, and the figures of each that answer it: those of its rows, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import get_args

import msgspec

from bench.analyse.cost import ALIKE, HEADROOM, Demand, Terms, machines, of_life, per_million, per_month, replicas
from bench.analyse.intervals import interval
from bench.errors import UserError, unknown
from bench.record.artifact import Training
from bench.record.choice import Choice
from bench.record.cost import Part
from bench.record.measurement import Measurement
from bench.record.recommendation import COST, MONTH, SERVED, Objective
from bench.stats.dominance import Interval
from bench.suite.effort import Effort

METRICS: dict[Objective, str] = {
    "cost": COST,
    "latency": "p50_latency",
    "energy": "energy",
    "size": "size",
    "memory": "peak_rss",
}
"""The figure of each objective; `accuracy` is whatever judges quality."""
_WRITTEN = {
    "--min-accuracy": "a number, such as 0.97",
    "--max-p99": "seconds, such as 0.010",
    "--max-memory": "bytes, such as 200e6",
    "--max-size": "bytes, such as 500e3",
    "--budget": "the most money a month, such as 100",
    "--traffic": "requests a second, such as 10000",
    "--headroom": "a share, such as 0.3",
}
"""How each limit is written where it is no text, as on the command line, but a number."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Constraints and objective. `quality` is the metric that `min_quality` and the objective `accuracy` are of.

    SI units; `budget` is money a month, `traffic` requests a second with the share `headroom` of each replica spare.
    `accept_unsure`: constraints are held against values where intervals do not decide. Raises `UserError` for an
    unknown objective, and for a limit that is no number or that nothing can meet.
    """

    objective: Objective = "latency"
    quality: str = "accuracy"
    min_quality: float | None = None
    max_p99_s: float | None = None
    max_memory: float | None = None
    max_size: float | None = None
    budget: float | None = None
    traffic: float | None = None
    headroom: float = HEADROOM
    accept_unsure: bool = False

    def __post_init__(self) -> None:
        if self.objective not in get_args(Objective):
            raise unknown("objective", str(self.objective), get_args(Objective), where="--objective")
        limits = {
            "--min-accuracy": self.min_quality,
            "--max-p99": self.max_p99_s,
            "--max-memory": self.max_memory,
            "--max-size": self.max_size,
            "--budget": self.budget,
        }
        for where, given in (limits | {"--traffic": self.traffic, "--headroom": self.headroom}).items():
            if given is not None and (not isinstance(given, Real) or isinstance(given, bool)):
                raise UserError(f"{given!r} is not a number", where=where, remedy=f"write {_WRITTEN[where]}")
        for where, limit in limits.items():
            if limit is not None and not math.isfinite(limit):
                raise UserError("the limit is not a number", where=where, remedy=f"write {_WRITTEN[where]}")
            if limit is not None and limit <= 0 and where.startswith("--max"):
                raise UserError("nothing is within 0", where=where, remedy="write a limit over 0")
        if self.budget is not None and self.budget < 0:
            raise UserError("a budget is not below 0", where="--budget", remedy="write the most money a month")
        self.demand(self.max_p99_s)

    @property
    def metric(self) -> str:
        """The figure of the objective."""
        return METRICS.get(self.objective, self.quality)

    def demand(self, p99_s: float | None) -> Demand | None:
        """The traffic as the cost model takes it; None where there is none."""
        return None if self.traffic is None else Demand(traffic=self.traffic, p99_s=p99_s, headroom=self.headroom)


class Bills(msgspec.Struct, frozen=True, kw_only=True):
    """What money is reckoned by: the machine, and where a costs file was given, the work and the training."""

    terms: Terms
    effort: Effort | None = None
    training: Training | None = None


class Appraised(msgspec.Struct, frozen=True, kw_only=True):
    """A choice with `figures` by metric, those of `bench.record.recommendation` among them.

    `served` are the replicas under whatever bound the capacity was found, so that a bound that is not kept does not
    hide whether there is a capacity. `money` and `month` are the costs behind `COST` and `MONTH`. `apart` is what the
    cost lies between where those of others are, too: see `settle`.
    """

    choice: Choice
    figures: dict[str, Measurement]
    replicas: Part | None = None
    served: Part | None = None
    machines: Part | None = None
    money: Part | None = None
    month: Part | None = None
    apart: Interval | None = None

    def missing(self, metric: str) -> tuple[Part, ...]:
        """The parts of a cost that are not known."""
        part = {COST: self.money, MONTH: self.month}.get(metric)
        return () if part is None else part.unknown

    def gaps(self, metric: str) -> tuple[Part, ...]:
        """Those parts, where others are known."""
        known = metric in self.figures and self.figures[metric].value is not None
        return self.missing(metric) if known else ()

    def lacks(self, metric: str) -> tuple[str, ...]:
        """The names of the gaps."""
        return tuple(dict.fromkeys(gap.name for gap in self.gaps(metric)))

    def bounds(self, metric: str) -> Interval | None:
        """What the figure lies between. A cost with unknown parts has no upper end, but for parts that all share."""
        figure = self.figures.get(metric)
        found = None if figure is None else interval(metric, figure)
        if found is not None and metric == COST and self.apart is not None:
            found = self.apart
        return (found[0], math.inf) if found is not None and set(self.lacks(metric)) - set(ALIKE) else found


def appraise(choice: Choice, asked: Asked, bills: Bills | None) -> Appraised:
    """The figures of one choice. Without `bills` there are no costs."""
    demand, any_bound = asked.demand(asked.max_p99_s), asked.demand(None)
    money, month = (None, None) if bills is None else _costs(choice, demand, bills)
    figures = dict(choice.figures)
    figures |= {name: part.figure for name, part in ((COST, money), (MONTH, month)) if part is not None}
    if choice.capacity_bound_s is not None:
        bound, how = choice.capacity_bound_s, "stated:the bound of the rate search"
        figures[SERVED] = Measurement(value=bound, unit="s", n=0, how=how, low=bound, high=bound)
    return Appraised(
        choice=choice,
        figures=figures,
        replicas=None if demand is None else replicas(choice, demand),
        served=None if any_bound is None else replicas(choice, any_bound),
        machines=None if demand is None or bills is None else machines(choice, bills.terms, demand),
        money=money,
        month=month,
    )


def settle(found: Sequence[Appraised]) -> tuple[Appraised, ...]:
    """The same with the costs set apart: parts that all of them share to the last digit, such as the training, count
    with their values, as an error in them moves all alike and decides nothing between them.
    """
    bills = [each.money for each in found if each.money is not None and each.money.figure.value is not None]
    shared = [part for part in bills[0].parts if all(part in bill.parts for bill in bills)] if bills else []
    return tuple(msgspec.structs.replace(each, apart=_apart(each.money, shared)) for each in found)


def _apart(money: Part | None, shared: Sequence[Part]) -> Interval | None:
    if money is None or money.figure.value is None or not money.parts:
        return None
    alike = sum(part.figure.value or 0.0 for part in shared)
    own = [interval(COST, part.figure) for part in money.parts if part not in shared]
    known = [bounds for bounds in own if bounds is not None]
    return alike + sum(low for low, _ in known), alike + sum(high for _, high in known)


def _costs(choice: Choice, demand: Demand | None, bills: Bills) -> tuple[Part, Part | None]:
    """What the objective is about (life, month or a million inferences), and the month."""
    month = None if demand is None else per_month(choice, bills.terms, demand).money
    if bills.effort is not None:
        return of_life(choice, bills.terms, demand, bills.effort, bills.training).money, month
    return month or per_million(choice, bills.terms).money, month
