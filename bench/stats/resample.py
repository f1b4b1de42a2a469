"""Bootstrap of statistics that can be written with a weight per example.

NumPy only: quality is evaluated in the measuring process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bench.stats.checks import Floats, check_share
from bench.stats.estimate import Estimate

Statistic = Callable[[Floats], Floats]
"""From weights (R, N) to R values; a weight is how often an example was drawn."""

_CHUNK_CELLS = 4_000_000  # 32 MB of weights at a time


def weighted_bootstrap(
    n: int,
    statistic: Statistic,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Percentile interval (Efron 1979) of `statistic` over `n` independent examples.

    The value is the statistic with every weight 1. Replicates that come out NaN (a resample without a
    positive example has no AUC) are left out.

    Raises:
        ValueError: `n` or `resamples` is not positive, `confidence` is not between 0 and 1.
    """
    (found,) = joint_bootstrap(
        n, lambda w: statistic(w)[:, None], confidence=confidence, resamples=resamples, seed=seed
    )
    return found


def joint_bootstrap(
    n: int,
    statistics: Callable[[Floats], Floats],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[Estimate, ...]:
    """As `weighted_bootstrap`, for K statistics of the same resamples: from weights (R, N) to values (R, K)."""
    check_share("confidence", confidence)
    if n <= 0 or resamples <= 0:
        raise ValueError(f"n and resamples must be positive: {n}, {resamples}")
    values = statistics(np.ones((1, n)))[0]
    replicates = np.concatenate([statistics(weights) for weights in _weights(n, resamples, seed)])
    tail = (1 - confidence) / 2
    return tuple(
        _estimate(float(value), column[np.isfinite(column)], n, confidence, tail)
        for value, column in zip(values, replicates.T, strict=True)
    )


def _weights(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each of `n` examples is drawn, (R, N), some resamples at a time."""
    rng = np.random.default_rng(seed)
    chunk = max(1, min(resamples, _CHUNK_CELLS // n))
    for start in range(0, resamples, chunk):
        weights = np.empty((min(chunk, resamples - start), n))
        for row in weights:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
        yield weights


def _estimate(value: float, replicates: Floats, n: int, confidence: float, tail: float) -> Estimate:
    low, high = np.quantile(replicates, (tail, 1 - tail)) if replicates.size else (value, value)
    return Estimate(
        value=value,
        # The statistic of all examples belongs to its own interval, also where the bootstrap is biased.
        low=min(value, float(low)),
        high=max(value, float(high)),
        confidence=confidence,
        n=n,
        n_effective=float(n),
        method="bootstrap over examples",
    )
