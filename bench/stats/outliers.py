"""How many samples stand far out? They are counted and told, never taken away."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from bench.stats.checks import Floats, finite_1d

_SIGMA_PER_MAD = 0.6745
_SIGMA_PER_MEAN_DEVIATION = 0.7979  # sqrt(2 / pi), for normal samples


class Outliers(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of samples beyond `threshold` modified z-scores below and above the median."""

    n: int
    low: int
    high: int
    threshold: float

    @property
    def share(self) -> float:
        """Outliers among all samples, 0..1."""
        return (self.low + self.high) / self.n if self.n else 0.0


def modified_z(samples: npt.ArrayLike) -> Floats:
    """0.6745 (x - median) / MAD of each sample (Iglewicz & Hoaglin 1993), flattened.

    Where more than half of the samples are equal and the MAD is 0, the mean absolute deviation takes
    its place, as there advised; zeros for a constant series.

    Raises:
        ValueError: a sample is not finite.
    """
    x = finite_1d(samples)
    if x.size == 0:
        return x
    away = x - np.median(x)
    mad = float(np.median(np.abs(away)))
    if mad > 0:
        return _SIGMA_PER_MAD * away / mad
    mean = float(np.abs(away).mean())
    return _SIGMA_PER_MEAN_DEVIATION * away / mean if mean > 0 else np.zeros_like(x)


def outliers(samples: npt.ArrayLike, *, threshold: float = 10.0) -> Outliers:
    """Count samples whose modified z-score exceeds `threshold`: of normal samples, so many standard deviations.

    The default is hyperfine's: |x - median| > 10 * 1.4826 * MAD, where 1 / 1.4826 is 0.6745.

    Raises:
        ValueError: a sample is not finite or `threshold` is not positive.
    """
    if threshold <= 0:
        raise ValueError(f"a threshold is positive: {threshold}")
    z = modified_z(samples)
    return Outliers(n=z.size, low=int((z < -threshold).sum()), high=int((z > threshold).sum()), threshold=threshold)
