"""Raw latencies of a case as the few hundred numbers that its pictures need."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

_NANO = 1e9
_MOST = 120
"""Points of the quantiles at most; fewer samples are kept whole."""
_BODY = np.union1d(np.linspace(0.01, 0.9, 72), (0.25, 0.5, 0.75))
_DECADE = 12
"""Points of the quantiles for every further nine: 90 %, 99 %, 99.9 %, …"""
_ENOUGH = 10
"""Samples below which a density would be of the kernel, not of them."""
_KERNELS = 800
_EVEN, _DENSE = 32, 64
"""Points of the density's grid: evenly apart, and where the samples are."""
_SIGNIFICANT = 4


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies (s) of one case. `quantiles` are values at the probabilities `at`; `density` over `grid` (s).

    `n` counts the raw samples; `density` is per decade (of log10 s), so that it suits a logarithmic axis. Every
    quantile is a sample: the least one whose rank is `at` of `n` or more. `grid` and `density` are empty where the
    samples are too few or all alike.
    """

    n: int
    at: tuple[float, ...]
    quantiles: tuple[float, ...]
    grid: tuple[float, ...]
    density: tuple[float, ...]

    def quantile(self, probability: float) -> float:
        """The value (s) at the first kept probability that is not less than the one asked for."""
        return self.quantiles[min(int(np.searchsorted(self.at, probability - 1e-12)), len(self.at) - 1)]


def distribution(latency_ns: npt.NDArray[np.int64]) -> Distribution | None:
    """The distribution of raw latencies (ns, in any order); None where there is no sample."""
    n = len(latency_ns)
    if n == 0:
        return None
    ordered = np.sort(latency_ns)
    ranks = _ranks(n)
    quantiles = ordered[ranks - 1] / _NANO
    grid, density = _density(ordered)
    return Distribution(
        n=n,
        at=tuple((ranks / n).tolist()),
        quantiles=tuple(quantiles.tolist()),
        grid=tuple(grid.tolist()),
        density=tuple(float(f"{value:.{_SIGNIFICANT}g}") for value in density),
    )


def _ranks(n: int) -> npt.NDArray[np.int64]:
    """Ranks from 1 to `n` that are kept: all of a few, else evenly to 90 %, and then as many for every nine."""
    if n <= _MOST:
        return np.arange(1, n + 1)
    nines = min(math.log10(n), (_MOST - len(_BODY) - 2) / _DECADE)
    tail = 1 - 10 ** -np.linspace(1, nines, max(2, round(_DECADE * (nines - 1)) + 1))
    ranks = np.ceil(np.concatenate([_BODY, tail]) * n).astype(np.int64)
    return np.unique(np.concatenate([[1], np.clip(ranks, 1, n), [n]]))


def _density(ordered: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Grid (s) and density per decade, by Gaussian kernels over the logarithms of evenly spaced order statistics.

    The width is Silverman's (Density Estimation for Statistics and Data Analysis, 1986, equation 3.31), of the spread
    or the quartiles, whichever is less: a few slow calls are not to blur all others.
    """
    none = np.array([])
    positive = ordered[ordered > 0]
    if len(positive) < _ENOUGH or positive[0] == positive[-1]:
        return none, none
    logs = np.log10(positive / _NANO)
    taken = logs if len(logs) <= _KERNELS else logs[((np.arange(_KERNELS) + 0.5) / _KERNELS * len(logs)).astype(int)]
    spread = float(np.std(taken, ddof=1))
    low, high = np.quantile(taken, [0.25, 0.75])
    # A clock that ticks coarsely may put half of all samples on one value.
    width = 0.9 * min(filter(None, (spread, (high - low) / 1.34)), default=0.0) * len(taken) ** -0.2
    if not width:
        return none, none
    even = np.linspace(taken[0] - 3 * width, taken[-1] + 3 * width, _EVEN)
    dense = np.quantile(taken, np.linspace(0.002, 0.998, _DENSE))
    grid = np.unique(np.concatenate([even, dense]))
    # Written out: scipy's estimator asks for BLAS threads, which on a busy machine wait for each other at every case.
    away = (grid[:, None] - taken[None, :]) / width
    return 10**grid, np.exp(-0.5 * away**2).mean(axis=1) / (width * math.sqrt(2 * math.pi))
