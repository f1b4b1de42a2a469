"""How closely is the median known by now? The stopping rule of the measured phase.

NumPy only: this runs in the measuring process.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from bench.stats.autocorrelation import inflation
from bench.stats.blocks import block_variance
from bench.stats.checks import check_share

_BATCHES = 32
_MIN_BATCH = 4


def median_half_width(
    samples_ns: npt.ArrayLike, confidence: float = 0.95, block: npt.NDArray[np.int64] | None = None
) -> float:
    """Half the width of the median's interval as a share of the median; infinite while it cannot be told.

    `samples_ns` are in order of time (any unit). The interval lies between the ranks
    n/2 ± z sqrt(n tau)/2, the normal approximation of the binomial rank interval, where tau is the
    variance inflation by autocorrelation: 32 batch means of the series 1{x <= median} (the median's
    influence function) vary tau times more than those of independent samples would (batch means: Law,
    Simulation Modeling and Analysis, 9.5.3). tau is never taken below 1. Selection instead of sorting
    keeps a call on 1e6 samples below 0.1 s.

    With `block` (n,), which block each sample is of, the variance between blocks counts as well, as in
    `bench.stats.interval`: the larger of the two inflations, and Student's t for so many blocks. What then
    is precise enough here is so in a row.

    Raises:
        ValueError: `confidence` is not between 0 and 1.
    """
    check_share("confidence", confidence)
    x = np.asarray(samples_ns).ravel()
    n = x.size
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (n + 1) // 2
    if n < 2:
        return math.inf
    median = float(np.partition(x, middle - 1)[middle - 1])
    half = z * math.sqrt(n * (_inflation(x, median) if block is None else _by_blocks(x, median, block, z))) / 2
    low, high = math.floor(n / 2 - half), math.ceil(n / 2 + half) + 1
    if low < 1:  # and then high is beyond n: both lie as far from the middle
        return math.inf
    picked = np.partition(x, (low - 1, high - 1))
    width = float(picked[high - 1]) - float(picked[low - 1])
    if width == 0:
        return 0.0
    return width / 2 / median if median > 0 else math.inf


def _by_blocks(x: npt.NDArray[np.generic], median: float, block: npt.NDArray[np.int64], z: float) -> float:
    """The inflation that `bench.stats.interval` finds, with Student's t for so many blocks worked in."""
    side = (np.sign(median - x.astype(np.float64, copy=False)) + 1) / 2
    variance, freedom, _ = block_variance(side, block)
    return max(inflation(side), 4 * x.size * variance) * (_student(z, freedom) / z) ** 2


def _student(z: float, freedom: float) -> float:
    """Student's quantile from the normal one, by expansion in 1 / freedom (Abramowitz & Stegun 26.7.5)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _inflation(x: npt.NDArray[np.generic], median: float) -> float:
    """Variance of batch means of 1{x <= median} over what independent samples would give, at least 1.

    Ties at the median count one half, so that a coarse clock does not tilt the series.
    """
    size = x.size // _BATCHES
    if size < _MIN_BATCH:
        return 1.0
    y = x[x.size - size * _BATCHES :]
    side = (np.sign(y.astype(np.float64, copy=False) - median)).reshape(_BATCHES, size)
    single = float(side.var())
    if single == 0:
        return 1.0
    return max(1.0, size * float(side.mean(axis=1).var(ddof=1)) / single)
