"""How many independent samples a series of dependent ones is worth."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bench.stats.checks import Floats, check_share, finite_1d
from bench.stats.ranks import nearest_rank

_WINDOW = 5.0  # Sokal's c: the window ends at c times the time found
_COARSE_BATCHES = 128
_MIN_SERIES = 8
_DEADBAND = 3.0  # standard errors


def autocorrelation(x: npt.ArrayLike) -> Floats:
    """Sample autocorrelation at lags 0..n-1 by FFT, O(n log n); 1 at lag 0, zeros for a constant series.

    The biased estimator (each sum divided by n), as is usual since its variance is lower.

    Raises:
        ValueError: a sample is not finite.
    """
    y = finite_1d(x)
    n = y.size
    if n == 0:
        return np.zeros(0)
    y = y - y.mean()
    found = np.zeros(n)
    found[0] = 1.0
    if not np.ptp(y):
        return found
    # Twice the length, so that the circular correlation does not wrap; a power of two is fast.
    length = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(y / np.abs(y).max(), length)
    raw = np.fft.irfft(spectrum * np.conj(spectrum), length)[:n]
    return np.asarray(raw / raw[0], dtype=np.float64)


def integrated_time(x: npt.ArrayLike) -> float:
    """1 + 2 sum of the autocorrelations, tau: n samples are worth n / tau independent ones. At least 1.

    The sum ends at the smallest lag M >= 5 tau(M) (Sokal 1997, Monte Carlo Methods in Statistical
    Mechanics, section 3). Two corrections:

    - the sample mean takes up part of a slow series' variance, so each autocorrelation is too low by
      about tau / n (Marriott & Pope 1954): tau is divided by 1 - (2 M + 1) / n;
    - a tau within three standard errors of 1 is taken as 1, lest every independent series lose some of its
      samples to noise. For independent samples each autocorrelation has variance 1 / n (Bartlett 1946),
      hence tau has the standard error sqrt(4 M / n).

    Raises:
        ValueError: a sample is not finite.
    """
    rho = autocorrelation(x)
    n = rho.size
    if n < _MIN_SERIES or not rho[1:].any():
        return 1.0
    taus = 2 * np.cumsum(rho) - 1
    ends = np.arange(n) >= _WINDOW * np.maximum(taus, 1.0)
    # All autocorrelations together sum to nothing (of differences from a mean), so the window does end.
    m = min(int(np.argmax(ends)), n // 4)
    tau = float(taus[m]) / (1 - (2 * m + 1) / n)
    return tau if tau > 1 + _DEADBAND * math.sqrt(4 * m / n) else 1.0


def inflation(x: npt.ArrayLike) -> float:
    """Variance of the series' mean over what independent samples would give, at least 1.

    The larger of two views: `integrated_time` of the series itself, and that of its means over 128
    batches. A weak dependence that lasts long (clock frequency, a neighbour's load) hides in the noise of
    single samples, where the window closes before it has added up, but stands out in batch means.

    Raises:
        ValueError: a sample is not finite.
    """
    y = finite_1d(x)
    fine = integrated_time(y)
    size = y.size // _COARSE_BATCHES
    if size < 2 or not np.ptp(y):
        return fine
    means = y[y.size - size * _COARSE_BATCHES :].reshape(_COARSE_BATCHES, size).mean(axis=1)
    ratio = size * float(means.var(ddof=1) / y.var(ddof=1))
    # Batches of independent samples give 1 with a relative standard error of sqrt(2 / batches).
    plain = ratio if ratio > 1 + _DEADBAND * math.sqrt(2 / _COARSE_BATCHES) else 1.0
    return max(fine, plain * integrated_time(means))


def effective_sample_size(x: npt.ArrayLike) -> float:
    """The count n over `inflation`: between 1 and n; n for a constant series and for one without dependence.

    For a quantile give the series 1{x <= quantile}, or call `quantile_effective_size`.

    Raises:
        ValueError: a sample is not finite.
    """
    y = finite_1d(x)
    return float(max(min(1.0, y.size), y.size / inflation(y)))


def quantile_effective_size(samples: npt.ArrayLike, q: float) -> float:
    """The effective sample size for quantile `q` (0..1) of `samples`, in order of time.

    That of the indicator 1{x <= quantile}, up to scale the influence function of the quantile: what
    matters is whether exceedances come in bursts, not how large they are (Heidelberger & Lewis 1984).

    Raises:
        ValueError: a sample is not finite, or `q` is not between 0 and 1.
    """
    check_share("q", q)
    x = finite_1d(samples)
    if x.size == 0:
        return 0.0
    at = nearest_rank(x.size, q) - 1
    return effective_sample_size(np.sign(x - np.partition(x, at)[at]))
