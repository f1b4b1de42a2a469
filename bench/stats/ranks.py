"""Where a percentile stands among sorted samples."""

from __future__ import annotations

import math

RELATIVE_SLACK = 1e-9
"""q * n is a float: 0.07 * 100 must give rank 7."""


def nearest_rank(n: int, q: float) -> int:
    """The 1-based rank of percentile `q` among `n` sorted samples."""
    return min(n, max(1, math.ceil(q * n * (1 - RELATIVE_SLACK))))
