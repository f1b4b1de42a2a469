"""Has the latency settled? The online rule of the warm-up, and the check after the fact.

NumPy only: this runs in the measuring process.

Georges, Buytaert & Eeckhout (OOPSLA 2007) call a process steady once the coefficient of variation (CoV,
standard deviation over mean) of its last k iterations falls below a cut-off of 1 % or 2 %. Three things
are changed here, since single calls last microseconds and machines hiccup:

1. an iteration is a window of many calls, stood for by its median, so a spike within it does not count;
2. of k windows, the one farthest from the median of all is left out of the CoV, unless it is the last,
   since an odd last window may be the first of a new level;
3. a slow monotone change can hide below the CoV, so the change from the first to the last window must
   also stay within the cut-off: slope by Theil and Sen (the median of all pairwise slopes; Sen 1968)
   times the k - 1 steps, over the median.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from bench.stats.checks import Floats, finite_1d

_MIN_WINDOWS = 3
_MIN_BLOCKS = 8  # below, no rank test can reach a small p


def is_steady(window_medians: Sequence[float], *, k: int = 5, cov: float = 0.02) -> bool:
    """Whether the last `k` windows are steady, by the rule above with cut-off `cov` (a share).

    False with fewer than `k` windows.

    Raises:
        ValueError: `k` is below 3, `cov` is not positive, or a median is not finite.
    """
    if k < _MIN_WINDOWS or cov <= 0:
        raise ValueError(f"k must be at least {_MIN_WINDOWS} and cov positive: k={k}, cov={cov}")
    if len(window_medians) < k:
        return False
    last = finite_1d(window_medians[-k:])
    centre = float(np.median(last))
    if centre <= 0:
        return bool(np.ptp(last) == 0)  # a clock too coarse for the call: constant is all one can ask
    farthest = int(np.argmax(np.abs(last - centre)))
    kept = last if farthest == k - 1 else np.delete(last, farthest)
    spread = float(np.std(kept, ddof=1) / np.mean(kept))
    change = theil_sen_slope(last) * (k - 1) / centre
    return spread <= cov and abs(change) <= cov


class SteadyDetector:
    """Feeds windows of latencies to `is_steady`, one at a time.

    `medians` are the medians of all windows so far; `steady` is the last answer.
    """

    def __init__(self, *, k: int = 5, cov: float = 0.02) -> None:
        self.k = k
        self.cov = cov
        self.medians: list[float] = []
        self.steady = False

    def add(self, window_latencies: npt.ArrayLike) -> bool:
        """Take the latencies of the next window (any unit, the same each time); whether now steady.

        Raises:
            ValueError: the window is empty or a latency is not finite.
        """
        window = finite_1d(window_latencies)
        if window.size == 0:
            raise ValueError("a window holds no latency")
        self.medians.append(float(np.median(window)))
        self.steady = is_steady(self.medians, k=self.k, cov=self.cov)
        return self.steady

    @property
    def how(self) -> str:
        """The rule and its outcome in one line."""
        rule = f"last {self.k} window medians within {self.cov:.0%} (CoV and trend)"
        return f"{rule}: {'steady' if self.steady else 'not steady'} after {len(self.medians)} windows"


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """A monotone change over a series.

    `change` is the change from the first to the last value as a share of the median; `p_value` the
    chance of an order at least as monotone in a series without any.
    """

    change: float
    p_value: float


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """The likeliest single step in a series.

    `at` is the index of the first value after it, `change` the median after over the median before,
    less 1, and `p_value` the chance of a step as clear in a series without any.
    """

    at: int
    change: float
    p_value: float


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a series of block medians; `sentence` is ready for a reader."""

    drifted: bool
    sentence: str
    trend: Trend
    shift: Shift


def theil_sen_slope(values: npt.ArrayLike) -> float:
    """The median of all pairwise slopes of equally spaced `values` (Sen 1968), per step; 0 for one value."""
    y = finite_1d(values)
    if y.size < 2:
        return 0.0
    i, j = np.triu_indices(y.size, k=1)
    return float(np.median((y[j] - y[i]) / (j - i)))


def trend(medians: npt.ArrayLike) -> Trend:
    """Size (Theil-Sen) and significance (Mann 1945, Kendall 1975, with ties) of a monotone trend.

    Raises:
        ValueError: a value is not finite.
    """
    y = finite_1d(medians)
    n = y.size
    if n < _MIN_WINDOWS or (centre := float(np.median(y))) == 0:
        return Trend(change=0.0, p_value=1.0)
    i, j = np.triu_indices(n, k=1)
    s = float(np.sign(y[j] - y[i]).sum())
    _, ties = np.unique(y, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    z = (abs(s) - 1) / math.sqrt(variance) if s else 0.0  # less 1: continuity
    return Trend(change=theil_sen_slope(y) * (n - 1) / centre, p_value=math.erfc(max(0.0, z) / math.sqrt(2)))


def shift(medians: npt.ArrayLike) -> Shift:
    """Place, size and significance of a single step by the rank test of Pettitt (1979).

    Raises:
        ValueError: a value is not finite.
    """
    y = finite_1d(medians)
    n = y.size
    if n < _MIN_WINDOWS or np.ptp(y) == 0:
        return Shift(at=0, change=0.0, p_value=1.0)
    signs = np.sign(y[:, None] - y[None, :])
    # U_t = sum over i <= t < j of sign(y_i - y_j): whole rows up to t, since pairs within cancel.
    u = np.abs(np.cumsum(signs.sum(axis=1))[:-1])
    at = int(np.argmax(u)) + 1
    before, after = float(np.median(y[:at])), float(np.median(y[at:]))
    p = min(1.0, 2 * math.exp(-6 * float(u[at - 1]) ** 2 / (n**3 + n**2)))
    return Shift(at=at, change=after / before - 1 if before else 0.0, p_value=p)


def drifted(block_medians: npt.ArrayLike, *, threshold: float = 0.02, alpha: float = 0.01) -> Drift:
    """Whether block medians (in order of time) moved by more than `threshold` (a share), and how.

    Both size and significance are asked for: with many quiet blocks a change of 0.1 % is significant and
    harmless, with few noisy ones a change of 5 % may be chance. Trend and step are each tested at
    `alpha` / 2; the more significant one is told.

    Raises:
        ValueError: a value is not finite.
    """
    y: Floats = finite_1d(block_medians)
    slope, step = trend(y), shift(y)
    if y.size < _MIN_BLOCKS:
        told = f"{y.size} blocks are too few to tell drift from noise ({_MIN_BLOCKS} are needed)"
        return Drift(drifted=False, sentence=told, trend=slope, shift=step)
    slides = slope.p_value <= alpha / 2 and abs(slope.change) > threshold
    steps = step.p_value <= alpha / 2 and abs(step.change) > threshold
    if steps and (not slides or step.p_value <= slope.p_value):
        told = f"latency {_moved(step.change)} at block {step.at + 1} of {y.size} and stayed there"
    elif slides:
        told = f"latency {_moved(slope.change)} from the first to the last of {y.size} blocks"
    else:
        told = f"no drift beyond {threshold:.1%} in {y.size} blocks"
    return Drift(drifted=bool(slides or steps), sentence=told, trend=slope, shift=step)


def _moved(change: float) -> str:
    return f"{'rose' if change > 0 else 'fell'} by {abs(change):.1%}"
