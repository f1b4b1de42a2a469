"""How small a difference could these rounds have shown? Said before a verdict of "no difference" counts."""

from __future__ import annotations

import functools
import math

from bench.stats.checks import check_share

_MOST_ROUNDS = 1_000_000


def minimal_detectable_effect(rounds: int, spread: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest relative change of a ratio that `rounds` paired rounds show with probability `power`.

    `spread` is the standard deviation of the rounds' log ratios (`bench.stats.ratio.log_ratios`); the
    test is the two-sided paired t test at `alpha`, its power that of the noncentral t (Cohen 1988, 2.5).
    0.03 means that a slowdown by 3 % would be found. Infinite with fewer than two rounds.

    Raises:
        ValueError: `spread` is negative or not finite, or `power` or `alpha` is not between 0 and 1.
    """
    _check(spread, power, alpha)
    if rounds < 2:
        return math.inf
    return _expm1(_shift(rounds, power, alpha) * spread)


def rounds_needed(effect: float, spread: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """The fewest rounds whose minimal detectable effect is at most `effect` (0.03: a change by 3 %).

    Raises:
        ValueError: `effect` is not positive, more than a million rounds would be needed, or as
            `minimal_detectable_effect`.
    """
    _check(spread, power, alpha)
    if not effect > 0:
        raise ValueError(f"an effect is positive: {effect}")

    def enough(n: int) -> bool:
        return minimal_detectable_effect(n, spread, power=power, alpha=alpha) <= effect

    high = 2
    while not enough(high):
        high *= 2
        if high > _MOST_ROUNDS:
            raise ValueError(f"no practical number of rounds shows {effect:.2%} with a spread of {spread:.2%}")
    low = max(1, high // 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@functools.cache
def _shift(rounds: int, power: float, alpha: float) -> float:
    """The smallest shift, in standard deviations, that is shown with this power."""
    from scipy.optimize import brentq

    high = 1.0
    while _power(rounds, high, alpha) < power:
        high *= 2
    if _power(rounds, 0.0, alpha) >= power:
        return 0.0
    return float(brentq(lambda d: _power(rounds, d, alpha) - power, 0.0, high, xtol=1e-12))


def _power(rounds: int, shift: float, alpha: float) -> float:
    """Power of the two-sided t test for a true mean of `shift` standard deviations."""
    from scipy.stats import nct, norm, t

    critical = float(t.ppf(1 - alpha / 2, rounds - 1))
    away = shift * math.sqrt(rounds)
    upper, lower = float(nct.sf(critical, rounds - 1, away)), float(nct.cdf(-critical, rounds - 1, away))
    if math.isnan(upper):  # far out, SciPy gives up: Abramowitz and Stegun, 26.7.10
        free = rounds - 1
        upper = float(norm.cdf((away - critical * (1 - 1 / (4 * free))) / math.sqrt(1 + critical**2 / (2 * free))))
    return upper + (0.0 if math.isnan(lower) else lower)


def _check(spread: float, power: float, alpha: float) -> None:
    check_share("power", power)
    check_share("alpha", alpha)
    if not 0 <= spread < math.inf:
        raise ValueError(f"a spread is finite and not negative: {spread}")


def _expm1(x: float) -> float:
    return math.expm1(x) if x < 700 else math.inf
