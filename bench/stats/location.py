"""Where the middle of a few noisy values lies, though some of them are far off.

A round in which the machine did something else may be off by a third. A mean over rounds follows it, and its interval
grows so wide that nothing is decided any more. The mean of what is left when a fifth is cut off on both sides does
not, with the error and the degrees of freedom of Tukey and McLaughlin (1963; Wilcox, Introduction to Robust Estimation
and Hypothesis Testing, 4.3). Of normal values it needs some tenth more rounds. With fewer than ten values nothing is
cut off: too few would be left to know the error by.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from bench.stats.checks import check_share, finite_1d

_CUT = 0.2
_FEWEST_TO_CUT = 10


class Location(msgspec.Struct, frozen=True):
    """The trimmed mean, its standard error, and how many of the values were kept: degrees of freedom and one."""

    middle: float
    error: float
    kept: int

    def half_width(self, confidence: float) -> float:
        """Half the width of the interval at `confidence`, by Student's t. Raises `ValueError` for no share."""
        check_share("confidence", confidence)
        from scipy.stats import t

        return float(t.ppf(0.5 + confidence / 2, self.kept - 1)) * self.error


def kept(n: int) -> int:
    """How many of `n` values the trimmed mean keeps."""
    return n - 2 * _cut(n)


def location(values: npt.ArrayLike) -> Location:
    """The middle of (n,) values.

    Raises:
        ValueError: there are fewer than two, or one is not finite.
    """
    x = np.sort(finite_1d(values))
    n, cut = x.size, _cut(x.size)
    if n < 2:
        raise ValueError(f"two values or more, not {n}")
    left = kept(n)
    # Winsorised: what was cut off counts as the outermost that was not.
    spread = float(np.clip(x, x[cut], x[n - cut - 1]).std(ddof=1))
    error = spread * math.sqrt((n - 1) / (left * (left - 1)))
    return Location(float(x[cut : n - cut].mean()), error, left)


def _cut(n: int) -> int:
    return int(_CUT * n) if n >= _FEWEST_TO_CUT else 0
