"""Hierarchical bootstrap: process invocations first, then blocks within each (Kalibera & Jones 2013)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.stats.checks import Floats, Ints, check_share, finite_1d
from bench.stats.estimate import Estimate
from bench.stats.ranks import nearest_rank

_CELLS = 512
_SLACK = 1e-9


def hierarchical_interval(
    samples: npt.ArrayLike,
    invocation: npt.ArrayLike,
    block: npt.ArrayLike,
    *,
    statistic: Literal["median", "mean"] | float = "median",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Percentile bootstrap interval of a statistic of `samples` (n,), grouped by `invocation` and `block` (n,).

    Each resample draws as many invocations as there are, then from each as many of its blocks as it has;
    single samples are never drawn apart, since neighbours depend on each other. With one invocation only
    blocks are drawn. `statistic` is "median", "mean" or a quantile (0..1, nearest rank). With fewer than about
    20 blocks, or few invocations, such an interval covers less often than it says:
    `bench.stats.interval` is what rows use; this serves statistics that have no other interval.

    Resamples are never laid out: a block's multiplicity is a weight, and a weighted quantile is found by
    one matrix product over 512 cells of the sorted samples and a scan of one cell.

    Raises:
        ValueError: there is no sample or one is not finite, lengths differ, or a share is not between 0 and 1.
    """
    check_share("confidence", confidence)
    x = finite_1d(samples)
    q = 0.5 if statistic == "median" else statistic
    if not isinstance(q, str):
        check_share("statistic", q)
    group, owner = _groups(invocation, block, x.size)
    if x.size == 0 or resamples < 1:
        raise ValueError(f"samples and resamples must be there: {x.size}, {resamples}")
    weights = _multiplicities(owner, resamples, np.random.default_rng(seed))
    counts = np.bincount(group, minlength=owner.size).astype(np.float64)
    if isinstance(q, str):
        value = float(x.mean())
        # Around the mean: block sums of large, close values would eat the digits of the differences.
        sums = np.bincount(group, weights=x - value, minlength=owner.size)
        replicates: Floats = value + (weights @ sums) / (weights @ counts)
    else:
        at = nearest_rank(x.size, q) - 1
        value = float(np.partition(x, at)[at])
        replicates = _weighted_quantiles(x, group, weights, q)
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, (tail, 1 - tail))
    levels = int(owner.max()) + 1
    return Estimate(
        value=value,
        low=min(value, float(low)),
        high=max(value, float(high)),
        confidence=confidence,
        n=x.size,
        n_effective=float(owner.size),
        method=f"bootstrap of {owner.size} blocks" + (f" in {levels} invocations" if levels > 1 else ""),
    )


def _groups(invocation: npt.ArrayLike, block: npt.ArrayLike, n: int) -> tuple[Ints, Ints]:
    """Block number 0..K-1 of each sample (n,), and invocation number of each block (K,)."""
    pairs = np.stack([np.asarray(invocation, dtype=np.int64).ravel(), np.asarray(block, dtype=np.int64).ravel()])
    if pairs.shape[1] != n:
        raise ValueError(f"{pairs.shape[1]} labels do not fit {n} samples")
    unique, group = np.unique(pairs, axis=1, return_inverse=True)
    _, owner = np.unique(unique[0], return_inverse=True)
    return group.ravel().astype(np.int64), owner.astype(np.int64)


def _multiplicities(owner: Ints, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each block is drawn, (resamples, K)."""
    members = [np.flatnonzero(owner == i) for i in range(int(owner.max()) + 1)]
    count = len(members)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    weights = np.zeros((resamples, owner.size))
    for i, blocks in enumerate(members):
        # An invocation drawn twice is drawn from twice: so many independent draws of its blocks, summed.
        weights[:, blocks] = rng.multinomial(drawn[:, i] * blocks.size, np.full(blocks.size, 1 / blocks.size))
    return weights


def _weighted_quantiles(x: Floats, group: Ints, weights: Floats, q: float) -> Floats:
    """For each row of `weights` (R, K) the smallest sample up to which a share `q` of the weight lies."""
    order = np.argsort(x)
    sorted_x, sorted_group = x[order], group[order]
    blocks = weights.shape[1]
    size = math.ceil(x.size / _CELLS)
    cells = math.ceil(x.size / size)
    # How many samples of each block lie in each cell, (K, cells), and the weight up to each cell's end.
    cell = np.arange(x.size) // size
    table = np.bincount(sorted_group * cells + cell, minlength=blocks * cells).reshape(blocks, cells)
    ends = np.cumsum(weights @ table, axis=1)
    target = q * ends[:, -1] * (1 - _SLACK)
    hit = (ends < target[:, None]).sum(axis=1)
    before = np.where(hit > 0, np.take_along_axis(ends, np.maximum(hit - 1, 0)[:, None], axis=1)[:, 0], 0.0)
    found = np.empty(len(weights))
    for c in np.unique(hit):
        rows = np.flatnonzero(hit == c)
        inside = slice(c * size, min(x.size, (c + 1) * size))
        running = before[rows, None] + np.cumsum(weights[rows][:, sorted_group[inside]], axis=1)
        found[rows] = sorted_x[inside][(running < target[rows, None]).sum(axis=1)]
    return found
