"""The two checks that every statistic makes of what it is given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def finite_1d(samples: npt.ArrayLike) -> Floats:
    """`samples` as a flat float64 array; raises ValueError where one is NaN or infinite."""
    x = np.asarray(samples, dtype=np.float64).ravel()
    if not np.isfinite(x).all():
        raise ValueError("a sample is not finite")
    return x


def check_share(name: str, value: float) -> None:
    """Raises ValueError unless 0 < value < 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1: {value}")
