"""How much one figure is over another one, with the bounds that both intervals allow."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analyse.appraise import Appraised
from bench.analyse.intervals import UNKNOWN, interval
from bench.analyse.kinds import kind
from bench.analyse.pareto import way
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction
from bench.record.recommendation import COST, MONTH, SERVED, Gain, Ratio
from bench.stats.dominance import Interval


def gains(ours: Appraised, theirs: Appraised, metrics: Sequence[str], judged_by: str | None) -> tuple[Gain, ...]:
    """Those of `metrics` that both have, side by side: a share as a difference, all else as a ratio."""
    return tuple(
        _gain(name, ours, theirs, judged_by)
        for name in dict.fromkeys(metrics)
        if name != SERVED and all(_known(each, name) for each in (ours, theirs))
    )


def behind(metric: str, found: Appraised, best: Appraised) -> Ratio | None:
    """A figure of one over that of another. None where one is missing or a sum that lacks a part."""
    a, b = found.figures.get(metric), best.figures.get(metric)
    return None if a is None or b is None or found.gaps(metric) or best.gaps(metric) else ratio(metric, a, b)


def ratio(metric: str, a: Measurement, b: Measurement) -> Ratio | None:
    """`a` over `b`; None where a value is missing or not over 0."""
    if a.value is None or b.value is None or b.value <= 0:
        return None
    value, ends = a.value / b.value, _ends(metric, a, b)
    if ends is None or ends[1][0] <= 0:
        return Ratio(value=value)
    first, second = ends
    return Ratio(value=value, low=first[0] / second[1], high=first[1] / second[0])


def difference(metric: str, a: Measurement, b: Measurement) -> Ratio:
    """`a` less `b`, which both have a value."""
    assert a.value is not None
    assert b.value is not None
    value, ends = a.value - b.value, _ends(metric, a, b)
    if ends is None:
        return Ratio(value=value)
    first, second = ends
    return Ratio(value=value, low=first[0] - second[1], high=first[1] - second[0])


def _gain(name: str, ours: Appraised, theirs: Appraised, judged_by: str | None) -> Gain:
    better: Direction = "lower" if name in (COST, MONTH) else way(name, judged_by)
    a, b = ours.figures[name], theirs.figures[name]
    share = kind(name) == "quality" and name in METRICS
    return Gain(
        metric=name,
        chosen=a,
        reference=b,
        better=better,
        ratio=None if share else behind(name, ours, theirs),
        difference=difference(name, a, b) if share else None,
        at_least=(bool(ours.gaps(name)), bool(theirs.gaps(name))),
    )


def _known(found: Appraised, name: str) -> bool:
    return name in found.figures and found.figures[name].value is not None


def _ends(metric: str, a: Measurement, b: Measurement) -> tuple[Interval, Interval] | None:
    first, second = interval(metric, a), interval(metric, b)
    return None if first is None or second is None or UNKNOWN in (first, second) else (first, second)
