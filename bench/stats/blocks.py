"""How far the mean of a series may be trusted when its samples come in blocks. NumPy only."""

from __future__ import annotations

import math

import numpy as np

from bench.stats.checks import Floats, Ints

_FEW_BLOCKS = 10
_OWN_BATCHES = 20
_MAX_PHI = 0.9
_MIN_FREEDOM = 3.0
_ONE_SIDED_95 = 1.645


def block_variance(side: Floats, block: Ints) -> tuple[float, float, int]:
    """Variance of the mean of `side` (n,) from blocks, its degrees of freedom, and the number of blocks."""
    n = side.size
    order = consecutive([block])
    if order[-1] + 1 < _FEW_BLOCKS:
        order = np.arange(n) * min(n, _OWN_BATCHES) // n
    count = int(order[-1]) + 1
    sizes = np.bincount(order)
    # Residuals of the ratio estimator: blocks last equally long, so fast ones hold more samples.
    residual = (np.bincount(order, weights=side) - sizes * side.mean()) / sizes.mean()
    total = float((residual**2).sum())
    if total == 0:
        return 0.0, float(count - 1), count
    phi = float((residual[1:] * residual[:-1]).sum()) / total
    phi = min(_MAX_PHI, phi + (1 + 3 * phi) / count)
    if phi < _ONE_SIDED_95 / math.sqrt(count):
        phi = 0.0
    time = (1 + phi) / (1 - phi)
    return total / (count - 1) * time / count, max(_MIN_FREEDOM, count / time - 1), count


def consecutive(parts: list[Ints]) -> Ints:
    """Blocks numbered 0, 1, … by runs of equal labels; a new part begins a new block."""
    numbers: list[Ints] = []
    following = 0
    for part in parts:
        if part.size:
            runs = following + np.concatenate(([0], np.cumsum(part[1:] != part[:-1])))
            following = int(runs[-1]) + 1
            numbers.append(runs.astype(np.int64))
    return np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)
