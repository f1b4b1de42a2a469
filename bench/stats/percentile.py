"""Percentiles with exact rank intervals, and how many samples each of them needs.

A percentile here is the nearest-rank one (the inverse of the empirical distribution function, type 1 of
Hyndman & Fan 1996): the smallest sample that at least a share `q` of all samples does not exceed. It is
always a latency that was really seen.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bench.stats.checks import Floats, check_share, finite_1d
from bench.stats.estimate import Estimate, TooFew
from bench.stats.ranks import RELATIVE_SLACK, nearest_rank


def min_samples(q: float, confidence: float = 0.99) -> int:
    """The fewest independent samples from which percentile `q` (0..1) may be told.

    MLPerf LoadGen's early stopping (`early_stopping.cc`) with d = 0 and t = 1 sample allowed above:
    the smallest n so that P(Binomial(n, 1 - q) <= 1) <= 1 - confidence. With fewer, a run whose true
    percentile lies higher would too often show only one sample above it. At 99 %: p50 11, p90 64,
    p95 130, p99 662, p99.9 6,636.

    Raises:
        ValueError: `q` or `confidence` is not between 0 and 1.
    """
    check_share("q", q)
    check_share("confidence", confidence)
    log_q = math.log(q)

    def enough(n: int) -> bool:
        # q^n + n (1 - q) q^(n - 1), through logarithms so that q^n cannot underflow.
        return (n - 1) * log_q + math.log(q + n * (1 - q)) <= math.log1p(-confidence)

    high = 2
    while not enough(high):
        high *= 2
    low = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def rank_interval(n: int, q: float, confidence: float = 0.95) -> tuple[int, int] | None:
    """1-based ranks (lo, hi) whose samples enclose the true percentile `q` with at least `confidence`.

    Exact and free of any assumption on the distribution: the count of samples below the true percentile
    is Binomial(n, q) (David & Nagaraja, Order Statistics, 3rd ed., 7.1). Each tail holds at most
    (1 - confidence) / 2. None where n samples are too few for such ranks to exist.

    Raises:
        ValueError: `q` or `confidence` is not between 0 and 1, or `n` is negative.
    """
    from scipy.stats import binom  # late: only analysis needs SciPy

    check_share("q", q)
    check_share("confidence", confidence)
    if n < 0:
        raise ValueError(f"n is negative: {n}")
    tail = (1 - confidence) / 2
    low = int(binom.ppf(tail, n, q))
    high = int(binom.isf(tail, n, q)) + 1
    return (low, high) if low >= 1 and high <= n else None


def percentile(
    samples: npt.ArrayLike,
    q: float,
    *,
    confidence: float = 0.95,
    n_effective: float | None = None,
) -> Estimate | TooFew:
    """Percentile `q` (0..1) of `samples` (any shape, flattened) with its rank interval.

    `n_effective` is the number of independent samples that these are worth (see
    `bench.stats.autocorrelation.effective_sample_size`); where it is lower than n the ranks of that
    many samples are spread over all n, which widens the interval. `TooFew` where they are fewer than
    `min_samples(q)` or no rank interval exists.

    Raises:
        ValueError: a sample is not finite, or `q` or `confidence` is not between 0 and 1.
    """
    x = finite_1d(samples)
    n = x.size
    worth = float(n) if n_effective is None else max(0.0, min(float(n), n_effective))
    needed = min_samples(q)
    found = enclose(x, q, worth, confidence) if worth >= needed else None
    if found is None:
        return TooFew(n=n, n_effective=worth, needed=max(needed, _first_with_interval(q, confidence)))
    value, low, high = found
    return Estimate(
        value=value,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        n_effective=worth,
        method="binomial rank interval" + ("" if worth == n else " on the effective sample size"),
    )


def enclose(samples: Floats, q: float, n_effective: float, confidence: float) -> tuple[float, float, float] | None:
    """(value, low, high) of percentile `q` of finite `samples` (n,), or None where there is no rank interval.

    The ranks are those of floor(`n_effective`) samples, spread over all n.

    Raises:
        ValueError: `q` or `confidence` is not between 0 and 1.
    """
    n = samples.size
    m = min(n, math.floor(n_effective * (1 + RELATIVE_SLACK)))
    ranks = rank_interval(m, q, confidence)
    if ranks is None:
        return None
    # Rank r of m samples lies at r / (m + 1) of the distribution, rank s of n samples at s / (n + 1).
    stretch = (n + 1) / (m + 1)
    low = math.floor(ranks[0] * stretch * (1 + RELATIVE_SLACK))
    high = math.ceil(ranks[1] * stretch * (1 - RELATIVE_SLACK))
    at = nearest_rank(n, q)
    # Spreading a few ranks over many samples may leave the value's own rank just outside.
    low, high = min(low, at), max(high, at)
    picked = np.partition(samples, (low - 1, at - 1, high - 1))
    return float(picked[at - 1]), float(picked[low - 1]), float(picked[high - 1])


def _first_with_interval(q: float, confidence: float) -> int:
    """The smallest n with a rank interval: neither q^n nor (1 - q)^n may exceed one tail."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(q, 1 - q)))
