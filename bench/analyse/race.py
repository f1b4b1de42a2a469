"""All choices of a model held against each other: who is chosen, where the others stand, and who may be better yet."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analyse.appraise import Appraised, Asked
from bench.analyse.constraints import gaps, judge, passes
from bench.analyse.gains import behind
from bench.analyse.intervals import UNKNOWN, more
from bench.analyse.pareto import default_metrics, surely_dominated, way
from bench.record.choice import Choice
from bench.record.front import More
from bench.record.measurement import Measurement
from bench.record.metric import Direction
from bench.record.recommendation import SERVED, Candidate, Constraint, Judged, Standing
from bench.stats.dominance import Interval, times_to_part

REFERENCE = "fp32"
SPEED: tuple[str, Direction] = ("p50_latency", "lower")
SPARE: tuple[str, Direction] = ("capacity", "higher")
FEASIBLE = ("chosen", "tied", "undecided", "worse", "dominated")
_STEPS = re.compile(r"pruned|qat|(?:fp|bf|int)\d+")
_Beaten = Mapping[str, tuple[str, tuple[str, ...]]]
"""By name, who surely is as good or better, and in which figures."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`candidates` by where they stand; `contenders` may be better than the chosen one after all.

    `open` are those that limits alone keep out, with how they meet them. `lacks` are the parts of the objective that
    are known for none of those within the limits.
    """

    candidates: tuple[Candidate, ...]
    contenders: tuple[str, ...]
    open: tuple[tuple[str, tuple[Judged, ...]], ...]
    lacks: tuple[str, ...]

    @property
    def chosen(self) -> Candidate | None:
        """The one to be put into service; None where none may be."""
        return next((each for each in self.candidates if each.standing == "chosen"), None)


def run(
    found: Sequence[Appraised], asked: Asked, wanted: Sequence[Constraint], better: Direction, judged_by: str | None
) -> Outcome:
    """Hold the choices of one model against each other over the objective, of which `better` is better.

    Those within every limit run. Where some lack a part of the objective that others have, it is not known for them.
    One that another surely dominates over what was asked for is out. Of those that tie with the best, one that is
    surely off the front among them is out too: over the limits, quality, median latency and size. Then goes first what
    rests on no estimate, the simplest, and that with the most capacity under a traffic, else the fastest.
    """
    field = _Field(asked=asked, wanted=tuple(wanted), better=better)
    held = {each.choice.name: tuple(judge(c, each, by_value=asked.accept_unsure) for c in wanted) for each in found}
    within = [each for each in found if field.could(each) and field.passes(held[each.choice.name])]
    lacks = field.common(within)
    able = [each for each in within if set(field.lacks(each)) <= set(lacks)]
    front = {name: way(name, judged_by) for name in default_metrics([each.choice for each in able])}
    plain = {c.metric: c.better for c in wanted if c.metric != SERVED and c.on != "traffic"}
    beaten = field.beaten(able, plain | {asked.metric: better})
    left = [each for each in able if each.choice.name not in beaten]
    tied = field.tied(left)
    worse = field.beaten(tied, plain | front)
    best = min((each for each in tied if each.choice.name not in worse), key=field.preference, default=None)
    candidates = [field.candidate(each, held[each.choice.name], best, worse | beaten, lacks) for each in found]
    order = {name: place for place, name in enumerate(FEASIBLE)}
    return Outcome(
        candidates=tuple(sorted(candidates, key=lambda c: (order.get(c.standing, len(order)), field.key(c)))),
        contenders=tuple(
            each.choice.name
            for each, candidate in zip(found, candidates, strict=True)
            if best is not None and each.choice.name not in beaten and field.contends(each, candidate, best)
        ),
        # A capacity under a looser bound leaves the cost unknown, which that bound would change.
        open=tuple(
            (each.choice.name, held[each.choice.name])
            for each in found
            if field.could(each) or (_looser(held[each.choice.name]) and each.choice.failure is None)
        ),
        lacks=lacks,
    )


def simplicity(choice: Choice) -> tuple[bool, int, int, int]:
    """The less, the simpler: float32 itself, transformations since it, options of the runtime, threads."""
    steps = len(_STEPS.findall(choice.base.replace(REFERENCE, "")))
    return choice.base != REFERENCE, steps, len(choice.options), choice.threads


def worth(figure: Measurement, better: Direction) -> float:
    """A value turned so that less is better; infinite where there is none."""
    return math.inf if figure.value is None else figure.value if better == "lower" else -figure.value


@dataclass(frozen=True, kw_only=True)
class _Field:
    """What the choices are compared by."""

    asked: Asked
    wanted: tuple[Constraint, ...]
    better: Direction

    def candidate(
        self, found: Appraised, held: tuple[Judged, ...], best: Appraised | None, beaten: _Beaten, lacks: Sequence[str]
    ) -> Candidate:
        metric = self.asked.metric
        standing = self._standing(found, held, best, beaten, lacks)
        by, where = beaten.get(found.choice.name, (None, ()))
        return Candidate(
            choice=found.choice,
            objective=self._objective(found),
            judged=held,
            standing=standing,
            behind=None if best is None else behind(metric, found, best),
            more=self._more(found, best) if best is not None and self._could_beat(found, best) else None,
            dominated_by=by,
            dominated_in=where,
            replicas=found.replicas,
            machines=found.machines,
            money=found.money,
            lacks=found.lacks(metric),
            gap=gaps(found.missing(metric)),
        )

    def contends(self, found: Appraised, candidate: Candidate, best: Appraised) -> bool:
        """Whether it may after all be within the limits and better than the best."""
        if found is best or candidate.standing in ("failed", "worse"):
            return False
        if any(each.outcome == "missed" for each in candidate.judged):
            return False
        return self._objective(found).value is None or self._could_beat(found, best)

    def could(self, found: Appraised) -> bool:
        """Whether it works and has the figure of the objective."""
        return found.choice.failure is None and self._objective(found).value is not None

    def passes(self, held: Sequence[Judged]) -> bool:
        """Whether every limit counts as met."""
        accept = self.asked.accept_unsure
        return all(passes(j, c, accept_unsure=accept) for c, j in zip(self.wanted, held, strict=True))

    def lacks(self, found: Appraised) -> tuple[str, ...]:
        """The parts of the objective that are not known."""
        return found.lacks(self.asked.metric)

    def common(self, found: Sequence[Appraised]) -> tuple[str, ...]:
        """Those parts that none of them has."""
        first, *others = [self.lacks(each) for each in found] or [()]
        return tuple(name for name in first if all(name in each for each in others))

    def tied(self, found: Sequence[Appraised]) -> list[Appraised]:
        """The best by its value, and those that are as good within noise."""
        best = min(found, key=lambda each: (self._value(each), self.preference(each)), default=None)
        return [] if best is None else [each for each in found if each is best or self._ties(each, best)]

    def beaten(
        self, found: Sequence[Appraised], ways: Mapping[str, Direction]
    ) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Of which another one is surely as good in all of these figures, and better in one."""
        boxes = {each.choice.name: {m: each.bounds(m) or UNKNOWN for m in ways} for each in found}
        others = [each.choice for each in found]
        by = {choice.name: surely_dominated(choice, others, dict(ways), boxes) for choice in others}
        return {name: (other, tuple(ways)) for name, other in by.items() if other is not None}

    def preference(self, found: Appraised) -> tuple[bool, tuple[bool, int, int, int], float, str]:
        """Of choices that tie, the less the sooner."""
        # A service has more to spare with more capacity; else it is one at a time that counts.
        metric, better = SPEED if self.asked.traffic is None else SPARE
        figure = found.figures.get(metric)
        speed = math.inf if figure is None else worth(figure, better)
        return self._objective(found).is_estimate, simplicity(found.choice), speed, found.choice.name

    def key(self, candidate: Candidate) -> tuple[float, tuple[bool, int, int, int], str]:
        """The order of those that stand alike."""
        return worth(candidate.objective, self.better), simplicity(candidate.choice), candidate.name

    def _standing(
        self, found: Appraised, held: Sequence[Judged], best: Appraised | None, beaten: _Beaten, lacks: Sequence[str]
    ) -> Standing:
        if found.choice.failure is not None:
            return "failed"
        if not self.passes(held):
            return self._short_of(held)
        if self._objective(found).value is None or best is None:
            return "unknown"
        if found is best:
            return "chosen"
        return self._behind(found, best, beaten, lacks)

    def _short_of(self, held: Sequence[Judged]) -> Standing:
        """Of one that does not count as within every limit."""
        outcomes = {each.outcome for each in held}
        wrong = self.asked.accept_unsure and "unknown" not in outcomes
        return "missed" if "missed" in outcomes or wrong else "unknown" if "unknown" in outcomes else "unsure"

    def _behind(self, found: Appraised, best: Appraised, beaten: _Beaten, lacks: Sequence[str]) -> Standing:
        """Of one that is within every limit, beside the best."""
        if self._bounds(found)[0] > self._bounds(best)[1]:
            return "worse"
        if not set(self.lacks(found)) <= set(lacks):
            return "unknown"
        return "dominated" if found.choice.name in beaten else "tied" if self._ties(found, best) else "undecided"

    def _ties(self, a: Appraised, b: Appraised) -> bool:
        first, second = self._value(a), self._value(b)
        (low_a, high_a), (low_b, high_b) = self._bounds(a), self._bounds(b)
        if any(math.isinf(end) for end in (low_a, high_a, low_b, high_b)):
            return first == second
        return low_a <= second <= high_a and low_b <= first <= high_b

    def _could_beat(self, found: Appraised, best: Appraised) -> bool:
        if found is best or self._objective(found).value is None:
            return False
        return self._bounds(found)[0] < self._bounds(best)[1]

    def _more(self, found: Appraised, best: Appraised) -> More:
        """What would decide between the two."""
        times = times_to_part(self._bounds(found), self._bounds(best), (self._value(found), self._value(best)))
        parts = [*found.gaps(self.asked.metric), *best.gaps(self.asked.metric)]
        gap = f"not known: {gaps(list(dict.fromkeys(parts)))}" if parts else ""
        return more(self.asked.metric, times, self._objective(found), self._objective(best), gap=gap)

    def _objective(self, found: Appraised) -> Measurement:
        return found.figures.get(self.asked.metric) or Measurement.unavailable("1", "not measured")

    def _value(self, found: Appraised) -> float:
        return worth(self._objective(found), self.better)

    def _bounds(self, found: Appraised) -> Interval:
        """Of the objective, turned so that less is better."""
        low, high = found.bounds(self.asked.metric) or UNKNOWN
        return (low, high) if self.better == "lower" else (-high, -low)


def _looser(held: Sequence[Judged]) -> bool:
    """Whether the capacity was found, under a looser bound than the one asked for."""
    return any(each.on == "p99" and each.outcome == "unknown" and each.reach is not None for each in held)
