"""How much slower is b than a? The ratio of medians over paired rounds, with its interval.

A round measures both, one right after the other, so that whatever the machine does in between meets
both alike; only the ratio within a round counts (Kalibera & Jones 2013 on effect sizes as ratios).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.stats.checks import Floats, check_share, finite_1d
from bench.stats.estimate import Estimate, TooFew

_MIN_ROUNDS = 2


def log_ratios(a_rounds: Sequence[npt.ArrayLike], b_rounds: Sequence[npt.ArrayLike]) -> Floats:
    """log(median of b / median of a) of each round, (rounds,).

    A round is an array of latencies, or a single number that is its median already.

    Raises:
        ValueError: the counts of rounds differ, a round is empty, or a median is not positive.
    """
    if len(a_rounds) != len(b_rounds):
        raise ValueError(f"rounds are pairs: {len(a_rounds)} of a, {len(b_rounds)} of b")
    if len(a_rounds) == 0:
        return np.zeros(0)
    medians = np.array([[_median(a), _median(b)] for a, b in zip(a_rounds, b_rounds, strict=True)])
    found: Floats = np.log(medians[:, 1] / medians[:, 0])
    return found


def ratio_of_medians(
    a_rounds: Sequence[npt.ArrayLike],
    b_rounds: Sequence[npt.ArrayLike],
    *,
    confidence: float = 0.95,
    method: Literal["t", "bootstrap"] = "t",
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate | TooFew:
    """Geometric mean over rounds of median(b) / median(a): above 1, b is slower.

    "t": Student's t over the rounds' log ratios, good from two rounds on. "bootstrap": percentile
    bootstrap over rounds, free of the normal assumption, but too narrow below about ten rounds.
    `TooFew` with fewer than two rounds.

    Raises:
        ValueError: as `log_ratios`, or `confidence` is not between 0 and 1.
    """
    check_share("confidence", confidence)
    logs = log_ratios(a_rounds, b_rounds)
    n = logs.size
    if n < _MIN_ROUNDS:
        return TooFew(n=n, n_effective=float(n), needed=_MIN_ROUNDS)
    middle = float(logs.mean())
    if method == "t":
        from scipy.stats import t

        half = float(t.ppf(0.5 + confidence / 2, n - 1) * logs.std(ddof=1)) / math.sqrt(n)
        low, high = middle - half, middle + half
    else:
        draws = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
        tail = (1 - confidence) / 2
        ends = np.quantile(logs[draws].mean(axis=1), (tail, 1 - tail))
        low, high = min(middle, float(ends[0])), max(middle, float(ends[1]))
    return Estimate(
        value=math.exp(middle),
        low=math.exp(low),
        high=math.exp(high),
        confidence=confidence,
        n=n,
        n_effective=float(n),
        method=f"{'t interval' if method == 't' else 'bootstrap'} over {n} paired rounds",
    )


def ratio_p_value(
    a_rounds: Sequence[npt.ArrayLike],
    b_rounds: Sequence[npt.ArrayLike],
    *,
    ratio: float = 1.0,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
) -> float:
    """The p-value of the paired t test that the true ratio b / a is `ratio`; 1 with fewer than two rounds.

    It agrees with the t interval of `ratio_of_medians`: two-sided p < 0.05 exactly when `ratio` lies
    outside the 95 % interval. "greater" tests for a ratio above `ratio`.

    Raises:
        ValueError: as `log_ratios`, or `ratio` is not positive.
    """
    if ratio <= 0:
        raise ValueError(f"a ratio is positive: {ratio}")
    logs = log_ratios(a_rounds, b_rounds) - math.log(ratio)
    if logs.size < _MIN_ROUNDS:
        return 1.0
    spread = float(logs.std(ddof=1))
    middle = float(logs.mean())
    if spread == 0:  # SciPy would answer NaN and warn
        away = {"two-sided": middle != 0, "greater": middle > 0, "less": middle < 0}[alternative]
        return 0.0 if away else 1.0
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(logs, 0.0, alternative=alternative).pvalue)


def _median(values: npt.ArrayLike) -> float:
    x = finite_1d(values)
    if x.size == 0:
        raise ValueError("a round holds no sample")
    found = float(np.median(x))
    if found <= 0:
        raise ValueError(f"the median of a round is not positive: {found}")
    return found
