"""Constraints held against intervals: surely met, surely missed, not sure, or not known. Nothing is assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.analyse.appraise import Appraised, Asked
from bench.analyse.intervals import NO_WIDTH, UNKNOWN, interval, more, within
from bench.analyse.pareto import way
from bench.record.cost import Part
from bench.record.front import More
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction
from bench.record.recommendation import (
    MONTH,
    SERVED,
    Constraint,
    Judged,
    Limit,
    Outcome,
    Relaxation,
    Relaxed,
)
from bench.stats.dominance import Interval, times_to_part

NOT_CONFIRMED = "no rate surely held and another surely failed: measure for longer"


def constraints(asked: Asked, judged_by: str | None, currency: str) -> tuple[Constraint, ...]:
    """What was asked for. Under a traffic, p99 is that of the server scenario; else that of one request at a time."""
    p99 = "p99_latency" if asked.traffic is None else SERVED
    table: tuple[tuple[Limit, str, float | None, str, Direction], ...] = (
        ("quality", asked.quality, asked.min_quality, "1", way(asked.quality, judged_by)),
        ("p99", p99, asked.max_p99_s, "s", "lower"),
        ("memory", "peak_rss", asked.max_memory, "B", "lower"),
        ("size", "size", asked.max_size, "B", "lower"),
        ("budget", MONTH, asked.budget, currency, "lower"),
        ("traffic", "capacity", asked.traffic, "1/s", "higher"),
    )
    return tuple(
        Constraint(on=on, metric=metric, limit=limit, unit=unit, better=better)
        for on, metric, limit, unit, better in table
        if limit is not None
    )


def judge(constraint: Constraint, found: Appraised, *, by_value: bool = False) -> Judged:
    """Hold one choice against one constraint. `by_value`: how far the limit may move is told by values."""
    if constraint.on == "traffic":
        return _traffic(constraint, found)
    if constraint.metric == SERVED:
        return _served(constraint, found)
    figure = found.figures.get(constraint.metric)
    bounds = found.bounds(constraint.metric)
    if figure is None or figure.value is None or bounds is None:
        absent = figure or Measurement.unavailable(constraint.unit, "not measured")
        return Judged(
            on=constraint.on,
            outcome="unknown",
            figure=absent,
            reason=gaps(found.missing(constraint.metric)) or absent.reason or "",
        )
    outcome = _outcome(constraint, bounds)
    if found.gaps(constraint.metric):
        # What is known of a sum may be too much for the limit, and never little enough.
        outcome = "missed" if outcome == "missed" else "unknown"
        why = gaps(found.gaps(constraint.metric))
        return Judged(on=constraint.on, outcome=outcome, figure=figure, reason=why, at_least=True)
    lower = constraint.better == "lower"
    reach: float | None = figure.value if by_value else bounds[1] if lower else bounds[0]
    if reach is not None and not math.isfinite(reach):
        reach = None
    return Judged(
        on=constraint.on,
        outcome=outcome,
        figure=figure,
        reach=reach,
        slack=_slack(constraint, reach),
        reason="" if outcome != "unsure" else NO_WIDTH if bounds == UNKNOWN else "the limit lies within its interval",
        more=_more(constraint, figure, bounds) if outcome == "unsure" else None,
    )


def passes(judged: Judged, constraint: Constraint, *, accept_unsure: bool) -> bool:
    """Whether the constraint counts as met: surely, or where that is accepted by the value."""
    if judged.outcome == "met":
        return True
    value = judged.figure.value
    if not accept_unsure or judged.outcome != "unsure" or value is None:
        return False
    if constraint.on == "traffic" or constraint.metric == SERVED:
        return True
    return value <= constraint.limit if constraint.better == "lower" else value >= constraint.limit


def relaxation(
    asked: Sequence[Constraint], found: Sequence[tuple[str, Sequence[Judged]]], *, accept_unsure: bool
) -> Relaxation | None:
    """The least change of limits that makes one of the choices feasible: the fewest limits, then the smallest share.

    Args:
        asked: the constraints.
        found: by name of the choice, how it meets each of them, in the same order.
        accept_unsure: as for `passes`.
    """
    best: tuple[tuple[int, float, str], Relaxation] | None = None
    for name, judged in found:
        failing = [(c, j) for c, j in zip(asked, judged, strict=True) if not passes(j, c, accept_unsure=accept_unsure)]
        limits = [
            Relaxed(on=c.on, metric=c.metric, limit=c.limit, to=j.reach, by=-j.slack, unit=c.unit)
            for c, j in failing
            if j.reach is not None and j.slack is not None and j.slack < 0
        ]
        if not failing or len(limits) < len(failing):
            continue
        key = len(limits), max(limit.by for limit in limits), name
        if best is None or key < best[0]:
            best = key, Relaxation(choice=name, limits=tuple(limits))
    return None if best is None else best[1]


def gaps(parts: Sequence[Part]) -> str:
    """Parts that are not known, each with its reason: `engineering: the costs file states none`."""
    reasons: dict[str, list[str]] = {}
    for part in parts:
        reasons.setdefault(part.figure.reason or "", []).append(part.name)
    return "; ".join(f"{', '.join(dict.fromkeys(names))}: {reason}" for reason, names in reasons.items())


def _outcome(constraint: Constraint, bounds: Interval) -> Outcome:
    low, high = bounds if constraint.better == "lower" else (-bounds[1], -bounds[0])
    limit = constraint.limit if constraint.better == "lower" else -constraint.limit
    return "met" if high <= limit else "missed" if low > limit else "unsure"


def _slack(constraint: Constraint, reach: float | None) -> float | None:
    if reach is None or constraint.limit <= 0:
        return None
    by = (constraint.limit - reach) / constraint.limit
    return by if constraint.better == "lower" else -by


def _more(constraint: Constraint, figure: Measurement, bounds: Interval) -> More | None:
    """How much more would show on which side of the limit the value lies. A cost has no samples of its own."""
    if figure.value is None or constraint.metric not in METRICS:
        return None
    limit = constraint.limit
    return more(constraint.metric, times_to_part((limit, limit), bounds, (limit, figure.value)), figure)


def _traffic(constraint: Constraint, found: Appraised) -> Judged:
    """Whether it is known how many replicas carry the traffic."""
    capacity = found.figures.get("capacity") or Measurement.unavailable("1/s", "not measured")
    replicas = None if found.served is None else found.served.figure
    outcome: Outcome = "met"
    reason: str | None = None
    if capacity.value is not None and capacity.value <= 0:
        outcome, reason = "missed", "no rate of requests held the bound"
    elif replicas is None or replicas.value is None:
        # A search that tried and found no rate is a finding; one that was not made is not.
        outcome = "missed" if capacity.value is None and capacity.n else "unknown"
        reason = capacity.reason if outcome == "missed" else None if replicas is None else replicas.reason
    elif interval("capacity", capacity) == UNKNOWN:
        outcome, reason = "unsure", NO_WIDTH if capacity.how.startswith("projected:") else NOT_CONFIRMED
    return Judged(on=constraint.on, outcome=outcome, figure=capacity, reason=reason or "")


def _served(constraint: Constraint, found: Appraised) -> Judged:
    """Whether the capacity was found under the bound: by the search's own bound, as that is what it held."""
    alone = found.figures.get("p99_latency")
    own = None if alone is None else interval("p99_latency", alone)
    if alone is not None and own is not None and own[0] > constraint.limit:
        reason = "even one request at a time takes longer"
        return Judged(on=constraint.on, outcome="missed", figure=alone, reason=reason)
    figure = found.figures.get(SERVED)
    if figure is None or figure.value is None:
        reason = "no capacity was searched for (scenario server, rate = 'search')"
        return Judged(on=constraint.on, outcome="unknown", figure=Measurement.unavailable("s", reason), reason=reason)
    bound = figure.value
    if not within(bound, constraint.limit):
        return Judged(
            on=constraint.on,
            outcome="unknown",
            figure=figure,
            reach=bound,
            slack=_slack(constraint, bound),
            reason="its capacity was searched only under a looser bound",
        )
    just = within(constraint.limit, bound)
    return Judged(
        on=constraint.on,
        outcome="met",
        figure=figure,
        reach=None if just else bound,
        slack=None if just else _slack(constraint, bound),
        reason="its capacity was searched under just this bound: whether a tighter one holds takes another search"
        if just
        else "",
    )
