"""Crops of the two photographs that come with scikit-learn: what a camera sees, without labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.zoo.clean import Sieve, rows_of
from bench.zoo.datasets.base import Array, Dataset, Split

SIDE = 32
SCALES = (1, 2, 4)
EVALUATION = 1024
CALIBRATION = 1024
EVALUATION_WIDTH = 0.6
"""Of the photograph, from its left; calibration crops lie in the rest, a `GAP` of pixels away."""
GAP = 16

_SPARE = 1.25


def load(title: str, seed: int, files: Mapping[str, Path]) -> Dataset:
    """Images [n, 32, 32, 3], float32 in 0..255, at places and scales drawn by `seed`; no labels, nothing to train on.

    Evaluation and calibration crops come from parts of the photographs that do not touch.
    """
    from sklearn.datasets import load_sample_images

    photographs: list[Array] = load_sample_images().images
    width = min(image.shape[1] for image in photographs)
    edge = round(EVALUATION_WIDTH * width)
    rng = np.random.default_rng(seed)
    evaluation, report = _crops([image[:, :edge] for image in photographs], EVALUATION, rng)
    calibration, _ = _crops([image[:, edge + GAP :] for image in photographs], CALIBRATION, rng)
    return Dataset(
        title,
        seed,
        None,
        (calibration,),
        Split((evaluation,), None),
        cleaning=report.report,
        preprocessing=(
            f"windows of {', '.join(str(SIDE * scale) for scale in SCALES)} pixels, reduced to {SIDE} x {SIDE} by the "
            f"mean; evaluation from the left {EVALUATION_WIDTH:.0%} of the photographs, calibration from the right"
        ),
    )


def _crops(parts: list[Array], count: int, rng: np.random.Generator) -> tuple[Array, Sieve]:
    """`count` different crops, in equal shares of the parts and scales but for chance."""
    crops = np.stack([_crop(parts, rng) for _ in range(round(_SPARE * count))])
    sieve = Sieve(len(crops))
    sieve.without_copies(rows_of(crops))
    return crops[sieve.kept[:count]], sieve


def _crop(parts: list[Array], rng: np.random.Generator) -> Array:
    part = parts[rng.integers(len(parts))]
    scale = SCALES[rng.integers(len(SCALES))]
    window = SIDE * scale
    top, left = rng.integers(part.shape[0] - window + 1), rng.integers(part.shape[1] - window + 1)
    seen = part[top : top + window, left : left + window].astype(np.float32)
    return np.asarray(np.round(seen.reshape(SIDE, scale, SIDE, scale, 3).mean(axis=(1, 3))))
