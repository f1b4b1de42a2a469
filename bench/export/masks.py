"""Which weights stay: masks of ones and zeros over one kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SMALLEST = 32
"""A kernel with fewer weights is left alone: it saves nothing and may be all of a model."""


def smallest_out(weights: Array, share: float) -> Array:
    """A mask of the shape of `weights`: exactly the smallest `share` of them (rounded up) are zero."""
    flat = np.abs(weights).reshape(-1)
    mask = np.ones(flat.size, dtype=weights.dtype)
    mask[np.argsort(flat, kind="stable")[: math.ceil(share * flat.size)]] = 0
    return mask.reshape(weights.shape)


def smallest_of_each(weights: Array, drop: int, m: int, axis: int) -> Array:
    """A mask of the shape of `weights`: of every `m` consecutive weights along `axis` the `drop` smallest are zero.

    Groups start at position 0 (Mishra et al. 2021, Accelerating Sparse Deep Neural Networks); what is left at the
    end, fewer than `m`, stays.
    """
    lanes = np.moveaxis(weights, axis, -1)
    whole = lanes.shape[-1] // m * m
    groups = np.abs(lanes[..., :whole]).reshape(*lanes.shape[:-1], -1, m)
    kept = np.ones_like(groups, dtype=weights.dtype)
    np.put_along_axis(kept, np.argsort(groups, axis=-1, kind="stable")[..., :drop], 0, axis=-1)
    mask = np.ones(lanes.shape, dtype=weights.dtype)
    mask[..., :whole] = kept.reshape(*lanes.shape[:-1], whole)
    return np.moveaxis(mask, -1, axis)
