"""The interval of a share, as of right answers among all."""

from __future__ import annotations

import math
from statistics import NormalDist

from bench.stats.checks import check_share
from bench.stats.estimate import Estimate


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """The share `successes` / `n` with Wilson's score interval (Wilson 1927; Brown, Cai & DasGupta 2001).

    Never outside 0..1 and sound at 0 and n successes, where the textbook interval has no width.
    Equal to `scipy.stats.binomtest(...).proportion_ci(method="wilson")`, to which the tests hold it;
    written out because quality is evaluated in the measuring process, which does not load SciPy.

    Raises:
        ValueError: `n` is not positive, `successes` is not in 0..n, or `confidence` not between 0 and 1.
    """
    check_share("confidence", confidence)
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..n with n positive: {successes} of {n}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Estimate(
        value=share,
        low=0.0 if successes == 0 else max(0.0, (centre - half) / scale),
        high=1.0 if successes == n else min(1.0, (centre + half) / scale),
        confidence=confidence,
        n=n,
        n_effective=float(n),
        method="Wilson score interval",
    )
