"""After the search: the chosen setting against the default one, in fresh pairs.

The best of many noisy figures looks better than it is, so that the search's own figure of it is never the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from bench.analyse.judge import Judged, judge
from bench.analyse.kinds import kind
from bench.record.comparison import AbReport, Change
from bench.record.measurement import Measurement
from bench.runner.ab import compare_sides
from bench.runner.paired import PairEvents
from bench.runner.sides import ModelSide, Opened
from bench.runner.tune.goals import COST, Objective
from bench.runner.tune.setup import Setup
from bench.runner.tune.trial import Bench
from bench.sensors.sampler import Sampler

Verdict = Literal["improved", "no better", "inconclusive", "failed"]

MARGIN = 0.01
"""The least improvement that counts as one: less is within what a machine does by itself from day to day."""
CASE = "chosen against default"
_COST_BY = "throughput"
_WORDS: dict[str, Verdict] = {
    "improved": "improved",
    "pass": "no better",
    "regressed": "no better",
    "inconclusive": "inconclusive",
    "missing": "failed",
}


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """The chosen setting (`change.after`) against the default one (`change.before`).

    "no better" says that an improvement of `MARGIN` or more can be ruled out, or that it is worse. `report` holds every
    round, None where the figure is without noise or nothing was to be measured.
    """

    verdict: Verdict
    metric: str
    reason: str
    change: Change | None = None
    report: AbReport | None = None

    @property
    def gain(self) -> tuple[float, float, float] | None:
        """The change as a share (-0.3: 30 % less), and its bounds; None where there is none."""
        change = self.change
        if change is None or change.ratio is None:
            return None
        low, high = (change.ratio if bound is None else bound for bound in (change.low, change.high))
        return change.ratio - 1, low - 1, high - 1


def confirm(
    bench: Bench,
    default: tuple[Setup, Mapping[str, Measurement]],
    chosen: tuple[Setup, Mapping[str, Measurement]],
    objective: Objective,
    *,
    sampler: Sampler,
    rounds: int,
    budget_s: float,
    seed: int,
    events: PairEvents,
) -> Confirmation:
    """Measure both in turns until it is decided, and judge `objective`. Each setup comes with its figures.

    Figures without noise (quality on the same data, size) are compared as they are. Money follows the throughput:
    the price of both is known exactly, so that only their rates are measured.

    Raises:
        UserError: a setup cannot be made any more.
    """
    metric = objective.metric
    if kind(metric) != "felt" and metric != COST:
        return _exact(objective, default[1][metric], chosen[1][metric])
    measured = _COST_BY if metric == COST else metric
    sides = [
        ModelSide(name, {CASE: bench.ready(setup)}, sampler)
        for name, setup in (("default", default[0]), ("chosen", chosen[0]))
    ]
    result = compare_sides(
        Opened(sides[0], sides[1], (CASE,)),
        metric=measured,
        threshold=MARGIN,
        rounds=rounds,
        budget_s=budget_s,
        seed=seed,
        events=events,
    )
    (verdict,) = result.verdicts
    change, found = verdict.change, Judged(outcome=verdict.outcome, reason=verdict.reason, remedy=verdict.remedy)
    if metric == COST and change is not None:
        change = _money(change, default[1], chosen[1])
        found = judge(change, MARGIN, objective.better)
    return Confirmation(
        verdict=_WORDS[found.outcome],
        metric=metric,
        reason=found.reason if found.remedy is None else f"{found.reason}; {found.remedy}",
        change=change,
        report=result.report,
    )


def _exact(objective: Objective, before: Measurement, after: Measurement) -> Confirmation:
    ratio = after.value / before.value if before.value and after.value is not None else None
    change = Change(
        case=CASE,
        metric=objective.metric,
        unit=before.unit,
        before=before.value,
        after=after.value,
        ratio=ratio,
        basis="exact",
        better=objective.better,
    )
    found = judge(change, 0.0, objective.better)
    return Confirmation(verdict=_WORDS[found.outcome], metric=objective.metric, reason=found.reason, change=change)


def _money(change: Change, default: Mapping[str, Measurement], chosen: Mapping[str, Measurement]) -> Change:
    """The change of the cost of an inference, from that of the throughput: cost x throughput is fixed for a setup."""

    def price(figures: Mapping[str, Measurement]) -> float | None:
        money, rate = figures[COST].value, figures[_COST_BY].value
        return None if money is None or rate is None else money * rate

    before, after = price(default), price(chosen)
    if not before or after is None or not change.ratio or not change.before or not change.after:
        return msgspec.structs.replace(change, metric=COST, absent="the cost of one side is not known", ratio=None)
    dearer = after / before
    return msgspec.structs.replace(
        change,
        metric=COST,
        unit=default[COST].unit,
        before=before / change.before,
        after=after / change.after,
        after_low=None,
        after_high=None,
        ratio=dearer / change.ratio,
        low=None if not change.high else dearer / change.high,
        high=None if not change.low else dearer / change.low,
    )
