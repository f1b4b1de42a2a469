"""Many comparisons at once: keep the share of false alarms among the alarms down."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.stats.checks import Floats, check_share


def adjusted(p_values: npt.ArrayLike) -> Floats:
    """p-values (m,) adjusted by Benjamini & Hochberg (1995), in the given order.

    Raises:
        ValueError: a p-value is not in 0..1.
    """
    p = np.asarray(p_values, dtype=np.float64).ravel()
    if p.size == 0:
        return p
    from scipy.stats import false_discovery_control

    found: Floats = false_discovery_control(p, method="bh")
    return found


def discoveries(p_values: npt.ArrayLike, *, rate: float = 0.05) -> npt.NDArray[np.bool_]:
    """Which of the comparisons (m,) count, so that at most a share `rate` of these are false on average.

    Raises:
        ValueError: a p-value is not in 0..1, or `rate` is not between 0 and 1.
    """
    check_share("rate", rate)
    found: npt.NDArray[np.bool_] = adjusted(p_values) <= rate
    return found
