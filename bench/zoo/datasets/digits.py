"""scikit-learn's 1,797 handwritten digits, resampled from 8 x 8 to 28 x 28."""

from __future__ import annotations

import numpy as np

from bench.zoo.datasets.base import Array, Dataset, Split, calibration_from

SIDE = 28
HELD_OUT = 600


def load(title: str, seed: int) -> Dataset:
    """Images [n, 28, 28, 1], float32 in 0..1, labels 0..9; `HELD_OUT` images are kept for evaluation."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    stretch = _linear_interpolation(digits.images.shape[1], SIDE)
    images = (stretch @ (digits.images / 16.0) @ stretch.T).astype(np.float32)[..., None]
    labels = digits.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(images))
    held_out, kept = order[:HELD_OUT], order[HELD_OUT:]
    train = Split((images[kept],), labels[kept])
    return Dataset(
        title, seed, train, calibration_from(train.inputs, seed), Split((images[held_out],), labels[held_out])
    )


def _linear_interpolation(source: int, target: int) -> Array:
    """The [target, source] matrix that resamples a line of pixels, pixel centres aligned, edges held."""
    centre = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low = np.floor(centre).astype(int)
    high = np.minimum(low + 1, source - 1)
    weights = np.zeros((target, source))
    weights[np.arange(target), low] += 1 - (centre - low)
    weights[np.arange(target), high] += centre - low
    return weights
