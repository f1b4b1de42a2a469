"""From a change to a decision: beyond what is allowed, within it, or not known. Nothing is guessed."""

from __future__ import annotations

import math
import statistics

import msgspec

from bench.record.comparison import Change, Outcome, Series
from bench.record.metric import Direction
from bench.stats.interval import over_invocations
from bench.stats.location import kept, location
from bench.stats.mde import minimal_detectable_effect, rounds_needed
from bench.stats.ratio import log_ratios

FEWEST_PROCESSES = 3
"""Process invocations a side that an interval needs to know how much one differs from the next."""
_ERROR = 0.05
_FEWEST_ROUNDS = 2
_POWER_Z = 1.959964 + 0.841621
"""Of a two-sided test at 5 % with a power of 80 %, for normal errors."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A decision on one change. `p_value` is that of "no worse than allowed"; None where nothing is left to chance."""

    outcome: Outcome
    reason: str
    detectable: float | None = None
    remedy: str | None = None
    p_value: float | None = None


def change_of_series(series: Series, confidence: float = 0.95) -> Change:
    """The middle over rounds of b / a: the trimmed mean of the logarithms (`bench.stats.location`), its interval."""
    change = Change(case=series.case, metric=series.metric, unit=series.unit, n=len(series.a))
    if not series.a or not series.b:
        return msgspec.structs.replace(change, absent="no round gave it on both sides")
    if min((*series.a, *series.b)) <= 0:
        return msgspec.structs.replace(change, absent="a value is not positive, so that there is no ratio")
    before, after = (statistics.median(side) for side in (series.a, series.b))
    logs = log_ratios(series.a, series.b)
    if logs.size < _FEWEST_ROUNDS:
        why = f"one round of {_FEWEST_ROUNDS} that an interval takes"
        return msgspec.structs.replace(change, before=before, after=after, absent=why)
    found = location(logs)
    half = found.half_width(confidence)
    bounds = over_invocations(series.b, confidence=confidence)
    return msgspec.structs.replace(
        change,
        before=before,
        after=after,
        after_low=None if bounds is None else bounds[0],
        after_high=None if bounds is None else bounds[1],
        ratio=math.exp(found.middle),
        low=math.exp(found.middle - half),
        high=math.exp(found.middle + half),
        confidence=confidence,
        basis="paired rounds",
        n=logs.size,
        spread=found.error,
    )


def judge(change: Change, allowed: float, better: Direction) -> Judged:
    """Hold a change against the worsening that is allowed: a share of the baseline, 0.05 for 5 %.

    Regressed where the whole interval lies beyond what is allowed, improved where it lies as far on the good side,
    pass where it lies within and the evidence could have shown a change of the allowed size, or holds nothing worse
    at all. All else is open.
    """
    if change.ratio is None or change.ratio <= 0:
        return _without_ratio(change)
    limit = math.log1p(allowed) if better == "lower" else -math.log1p(-allowed)
    sign = 1 if better == "lower" else -1
    cost = sign * math.log(change.ratio)
    told = _told(change)
    if change.basis == "exact":
        return Judged(outcome=_exact(cost, limit), reason=told)
    if change.low is None or change.high is None or change.spread is None or _too_few(change):
        return _without_interval(change, told)
    low, high = sorted((sign * math.log(change.low), sign * math.log(change.high)))
    detectable = _detectable(change)
    p_value = _p_value(cost - limit, change)
    outcome: Outcome
    if low > limit:
        outcome = "regressed"
    elif high < -limit:
        outcome = "improved"
    elif high <= 0 or (high <= limit and detectable <= allowed):
        outcome = "pass"
    else:
        remedy = _needed(change, allowed) if detectable > allowed else "more rounds: the change is close to the limit"
        reason = f"{told}; only a change of {detectable:.1%} or more could be shown"
        return Judged(outcome="inconclusive", reason=reason, detectable=detectable, remedy=remedy, p_value=p_value)
    return Judged(outcome=outcome, reason=told, detectable=detectable, p_value=p_value)


def _too_few(change: Change) -> bool:
    return change.basis == "intervals" and change.n < FEWEST_PROCESSES


def _without_ratio(change: Change) -> Judged:
    if change.ratio is not None or (change.before is not None and change.after is not None and not change.absent):
        return Judged(outcome="inconclusive", reason="a side is not positive, so that there is no ratio")
    return Judged(outcome="inconclusive" if change.refused else "missing", reason=change.absent or "there is no figure")


def _without_interval(change: Change, told: str) -> Judged:
    """One process a side cannot tell how much one differs from the next."""
    lacks = (
        f"from {change.n} process{'' if change.n == 1 else 'es'} a side" if _too_few(change) else "without an interval"
    )
    return Judged(
        outcome="inconclusive",
        reason=f"{told}, {lacks}: how much one process differs from the next is not known",
        remedy=f"set invocations = {FEWEST_PROCESSES} or more in [measure], or use --paired",
    )


def _exact(cost: float, limit: float) -> Outcome:
    slack = 1e-12  # two ways to the same number may differ in the last place
    return "regressed" if cost > limit + slack else "improved" if cost < -limit - slack else "pass"


def _told(change: Change) -> str:
    """The change as a share, with its interval."""
    assert change.ratio is not None
    text = f"{change.ratio - 1:+.1%}"
    if change.low is None or change.high is None:
        return text
    return f"{text} [{change.low - 1:+.1%}, {change.high - 1:+.1%}] ({_rests_on(change)})"


def _rests_on(change: Change) -> str:
    if change.basis == "paired rounds":
        return f"{change.n} rounds"
    return f"{change.n} process{'' if change.n == 1 else 'es'} a side"


def _detectable(change: Change) -> float:
    """The smallest change that evidence of this spread shows with a power of 80 %."""
    assert change.spread is not None
    if change.basis == "paired rounds":
        rounds = kept(change.n)
        return minimal_detectable_effect(rounds, change.spread * math.sqrt(rounds), alpha=_alpha(change))
    return math.expm1(_POWER_Z * change.spread)


def _alpha(change: Change) -> float:
    return _ERROR if change.confidence is None else 1 - change.confidence


def _p_value(beyond: float, change: Change) -> float:
    """One-sided, of log cost no more than the limit; Student's t over rounds, normal for two intervals.

    Where one look of several spends a part of the error only, its p-value counts as many times more (Bonferroni).
    """
    assert change.spread is not None
    assert change.confidence is not None
    if change.spread == 0:
        return 0.0 if beyond > 0 else 1.0
    from scipy.stats import norm, t

    z = beyond / change.spread
    alone = float(t.sf(z, kept(change.n) - 1)) if change.basis == "paired rounds" else float(norm.sf(z))
    return min(1.0, alone * max(1.0, _ERROR / (1 - change.confidence)))


def _needed(change: Change, allowed: float) -> str:
    assert change.spread is not None
    if allowed <= 0:
        return "allow more than 0 %: no evidence shows that nothing changed at all"
    if change.basis == "paired rounds":
        try:
            rounds = rounds_needed(allowed, change.spread * math.sqrt(kept(change.n)), alpha=_alpha(change))
            rounds = math.ceil(rounds * change.n / kept(change.n))
        except ValueError as error:
            return str(error)
        return f"{rounds} rounds would show a change by {allowed:.1%}"
    times = (math.log1p(_detectable(change)) / math.log1p(allowed)) ** 2
    return f"about {math.ceil(times * change.n)} invocations a side would show a change by {allowed:.1%}; or --paired"
