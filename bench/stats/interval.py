"""The interval of a percentile that the rows use: from samples of blocks of process invocations.

Calls in a row are not independent: clock frequency, cache state and neighbours last longer than a call,
and two invocations of a process differ by memory layout (Kalibera & Jones 2013). An interval that takes
all calls for independent is too narrow, often by a factor of five. What is done instead:

*One invocation.* The interval of Woodruff (1952) for quantiles of clustered samples: the error of the
share of samples below the quantile is found first, then carried to latency through the ranks. Its
variance is the larger of two estimates. One takes the shares of the blocks (`Samples.block`) as a first-order
autoregressive series, whose mean has the variance s²/B (1 + φ)/(1 - φ); φ is corrected for its downward
bias (1 + 3 φ)/B (Kendall 1954) and taken as 0 where it is not significant. The other is the
inflation of `bench.stats.autocorrelation`, blind to block borders. The quantile of Student's t with the
degrees of freedom of the effective number of blocks replaces the normal one. For tail percentiles the
ranks are the exact binomial ones of the effective sample size, since there the normal form is skewed.

*Several invocations.* Student's t over the logarithms of the invocations' own percentiles, as Georges et
al. (2007) and Kalibera & Jones (2013) advise, since nothing within an invocation tells how much the next
one will differ. By chance the invocations may agree better than each of them is known; the interval is
therefore never narrower than the one that their own errors give.

A percentile bootstrap of blocks was not chosen: with 20 to 60 blocks it covers too seldom.
Coverage of all this is held by `tests/stats/test_coverage.py`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bench.stats.autocorrelation import inflation
from bench.stats.blocks import block_variance, consecutive
from bench.stats.checks import Floats, Ints, check_share, finite_1d
from bench.stats.estimate import Estimate, TooFew
from bench.stats.percentile import enclose, min_samples
from bench.stats.ranks import nearest_rank

_OWN_CONFIDENCE = 0.95  # the one whose coverage is tested; only its standard error is used
_FEWEST_INVOCATIONS = 2
_CENTRAL = 0.25  # from this share on both sides, the range of the samples encloses a quantile as good as surely


def median_interval(
    samples: npt.ArrayLike,
    invocation: npt.ArrayLike | None = None,
    block: npt.ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> Estimate | TooFew:
    """The median of `samples` with its interval; `quantile_interval` at 0.5."""
    return quantile_interval(samples, 0.5, invocation, block, confidence=confidence)


def quantile_interval(
    samples: npt.ArrayLike,
    q: float,
    invocation: npt.ArrayLike | None = None,
    block: npt.ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> Estimate | TooFew:
    """Percentile `q` (0..1, nearest rank) of all `samples` with its interval, by the method above.

    Args:
        samples: (n,), in order of time within each invocation.
        q: which percentile.
        invocation: (n,) which process invocation each sample comes from; None: one for all.
        block: (n,) which block of its invocation; consecutive samples share one. None: none are known.
        confidence: of the interval, 0..1.

    `TooFew` with fewer samples than `min_samples(q)` and, for q outside 0.25..0.75, where they are worth
    fewer independent ones. Where the invocations together are enough but one alone is not, they are taken
    as one series.

    Raises:
        ValueError: lengths differ, a sample is not finite, or `q` or `confidence` is not between 0 and 1.
    """
    check_share("q", q)
    check_share("confidence", confidence)
    x = finite_1d(samples)
    who = _labels(invocation, x.size)
    where = _labels(block, x.size)
    names = list(dict.fromkeys(who.tolist()))  # in order of first sight
    parts = [(x[who == name], where[who == name]) for name in names]
    if len(parts) > 1:
        each = [_within(part, blocks, q, _OWN_CONFIDENCE) for part, blocks in parts]
        known = [e for e in each if isinstance(e, Estimate)]
        if len(known) == len(each):
            return _between(x, q, known, confidence)
    pooled = np.concatenate([part for part, _ in parts]) if parts else x
    blocks = consecutive([blocks for _, blocks in parts])
    found = _within(pooled, blocks, q, confidence)
    if isinstance(found, Estimate) and len(parts) > 1:
        return Estimate(
            value=found.value,
            low=found.low,
            high=found.high,
            confidence=confidence,
            n=found.n,
            n_effective=found.n_effective,
            method=found.method.replace("one invocation", f"{len(parts)} invocations taken as one series"),
        )
    return found


def over_invocations(values: npt.ArrayLike, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Bounds of the median of (k,) figures of k invocations, by Student's t over their logarithms.

    Of the figures themselves where one is not positive; None with fewer than two of them.

    Raises:
        ValueError: a figure is not finite, or `confidence` is not between 0 and 1.
    """
    check_share("confidence", confidence)
    x = finite_1d(values)
    if x.size < _FEWEST_INVOCATIONS:
        return None
    from scipy.stats import t

    logs = bool((x > 0).all())
    middle = float(np.median(x))
    spread = np.log(x / middle) if logs else x - middle
    half = float(t.ppf(0.5 + confidence / 2, x.size - 1) * spread.std(ddof=1)) / math.sqrt(x.size)
    return (middle * math.exp(-half), middle * math.exp(half)) if logs else (middle - half, middle + half)


def _within(x: Floats, block: Ints, q: float, confidence: float) -> Estimate | TooFew:
    """Woodruff's interval for one invocation."""
    from scipy.stats import norm, t

    n, needed = x.size, min_samples(q)
    if n < needed:
        return TooFew(n=n, n_effective=float(n), needed=needed)
    at = nearest_rank(n, q)
    value = np.partition(x, at - 1)[at - 1]
    # Ties at the quantile belong half to each side, so that a coarse clock does not tilt the shares.
    side = (np.sign(value - x) + 1) / 2
    alone = q * (1 - q) / n
    inflated = alone * inflation(side)
    clustered, freedom, blocks = block_variance(side, block)
    variance = max(inflated, clustered)
    upper = 0.5 + confidence / 2
    factor = float(t.ppf(upper, freedom))
    if _CENTRAL <= q <= 1 - _CENTRAL:
        half = factor * math.sqrt(variance)
        low = max(1, math.floor(n * (q - half)))
        high = min(n, math.ceil(n * (q + half)) + 1)
        ends = np.partition(x, (low - 1, high - 1))[[low - 1, high - 1]]
    else:
        # The exact ranks bring the normal quantile with them; what t adds goes into the sample size.
        size = n * alone / (variance * (factor / float(norm.ppf(upper))) ** 2)
        found = enclose(x, q, size, confidence) if n * alone / inflated >= needed else None
        if found is None:
            return TooFew(n=n, n_effective=size, needed=needed)
        ends = np.array(found[1:])
    return Estimate(
        value=float(value),
        low=float(ends[0]),
        high=float(ends[1]),
        confidence=confidence,
        n=n,
        n_effective=n * alone / variance,
        method=f"rank interval over {blocks} blocks of one invocation",
    )


def _between(x: Floats, q: float, each: list[Estimate], confidence: float) -> Estimate:
    """Student's t over invocations, at least as wide as a standard error from within them."""
    from scipy.stats import norm, t

    count = len(each)
    at = nearest_rank(x.size, q) - 1
    value = float(np.partition(x, at)[at])
    ends = np.array([(e.value, e.low, e.high) for e in each])
    logs = bool((ends > 0).all())  # a clock too coarse may give 0
    # Relative to the value, so that equal samples give exactly 0.
    ends = np.log(ends / value) if logs else ends - value
    middle = float(ends[:, 0].mean())
    between = float(t.ppf(0.5 + confidence / 2, count - 1) * ends[:, 0].std(ddof=1)) / math.sqrt(count)
    errors = (ends[:, 2] - ends[:, 1]) / 2 / norm.ppf(0.5 + _OWN_CONFIDENCE / 2)
    half = max(between, float(np.sqrt((errors**2).sum())) / count)
    low, high = middle - half, middle + half
    low, high = (value * math.exp(low), value * math.exp(high)) if logs else (value + low, value + high)
    return Estimate(
        value=value,
        low=min(value, low),
        high=max(value, high),
        confidence=confidence,
        n=x.size,
        n_effective=sum(e.n_effective for e in each),
        method=f"t interval over {count} invocations",
    )


def _labels(given: npt.ArrayLike | None, n: int) -> Ints:
    labels: Ints = np.zeros(n, dtype=np.int64) if given is None else np.asarray(given, dtype=np.int64).ravel()
    if labels.size != n:
        raise ValueError(f"{labels.size} labels do not fit {n} samples")
    return labels
