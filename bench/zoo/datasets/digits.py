"""scikit-learn's 1,797 handwritten digits, resampled from 8 x 8 to 28 x 28."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.zoo.augment.images import ImageVary
from bench.zoo.clean import Sieve, beyond
from bench.zoo.corrupt.images import ImageCorruptor
from bench.zoo.datasets.base import Array, Dataset, Split, calibration_from

SIDE = 28
HELD_OUT = 600

_INK = 16
"""The darkest pixel: so many of 4 x 4 scanned ones had ink."""


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """Images [n, 28, 28, 1], float32 in 0..1, labels 0..9; `HELD_OUT` images are kept for evaluation."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    stretch = _linear_interpolation(digits.images.shape[1], SIDE)
    images = (stretch @ (digits.images / _INK) @ stretch.T).astype(np.float32)[..., None]
    labels = digits.target.astype(np.int64)
    sieve = Sieve(len(images))
    sieve.drop(beyond(digits.images, 0, _INK), f"images with a pixel outside 0 to {_INK}", "impossible")
    sieve.without_copies(digits.images, labels)
    order = np.random.default_rng(seed).permutation(sieve.kept)
    held_out, kept = order[:HELD_OUT], order[HELD_OUT:]
    train = Split((images[kept],), labels[kept])
    evaluation = Split((images[held_out],), labels[held_out])
    return Dataset(
        title,
        seed,
        train,
        calibration_from(train.inputs, seed),
        evaluation,
        cleaning=sieve.report,
        vary=ImageVary(train.inputs[0]),
        corrupt=ImageCorruptor(evaluation.inputs[0]),
        preprocessing=f"pixels divided by {_INK}, resampled from 8 x 8 to {SIDE} x {SIDE} by linear interpolation",
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
