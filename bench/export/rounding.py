"""Rounding weights so that a layer's outputs, not its weights, come out nearest.

The error of one rounded weight is made up for by the weights that are still to be rounded: Frantar et al. 2022, GPTQ:
Accurate Post-Training Quantization for Generative Pre-trained Transformers, after Hassibi and Stork 1993. Nothing
here knows a model format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_DAMPING = 0.01
"""Of the mean of the diagonal, as in the paper: inputs that hardly vary would have a say without end."""
_BLOCK = 128


def rounded(weights: Array, inputs: Array, scale: Array, limit: int) -> Array:
    """Whole numbers (K, O) so that `scale` times them takes the place of `weights` (K, O) at the least loss.

    Weights that are zero stay zero. For each of the O outputs the loss, see `loss`, is at most that of rounding to
    the nearest.

    Args:
        weights: a column an output.
        inputs: (K, K), the mean of x xᵀ over inputs x of the layer, or their covariance where a bias takes up the mean.
        scale: (O,), the step of an output's weights.
        limit: the largest magnitude of a number.
    """
    nearest = _to_grid(weights / scale, limit)
    strength = np.diag(inputs).mean()
    if not strength > 0:
        return nearest
    damped = inputs + _DAMPING * strength * np.eye(len(inputs))
    order = np.argsort(-np.diag(damped), kind="stable")  # what weighs most is rounded while all others can make up
    made = np.empty_like(nearest)
    made[order] = _compensated(weights[order], damped[np.ix_(order, order)], scale, limit)
    better = loss(weights, made * scale, inputs) < loss(weights, nearest * scale, inputs)
    return np.where(better, made, nearest)


def loss(weights: Array, others: Array, inputs: Array) -> Array:
    """The mean square (O,) of what outputs change by with `others` in place of `weights`; shapes as in `rounded`."""
    off = weights - others
    return np.einsum("ko,ko->o", off, inputs @ off)


def _compensated(weights: Array, inputs: Array, scale: Array, limit: int) -> Array:
    left = weights.astype(np.float64)
    zero = weights == 0
    share = np.linalg.cholesky(np.linalg.inv(inputs)).T
    made = np.zeros_like(left)
    # By blocks, after each of which the rest is corrected at once: the same numbers, in fewer passes over memory.
    for start in range(0, len(left), _BLOCK):
        end = min(start + _BLOCK, len(left))
        errors = np.empty((end - start, left.shape[1]))
        for row in range(start, end):
            made[row] = np.where(zero[row], 0, _to_grid(left[row] / scale, limit))
            errors[row - start] = (left[row] - made[row] * scale) / share[row, row]
            left[row + 1 : end] -= np.outer(share[row, row + 1 : end], errors[row - start])
        left[end:] -= share[start:end, end:].T @ errors
    return made


def _to_grid(numbers: Array, limit: int) -> Array:
    return np.clip(np.round(numbers), -limit, limit)
