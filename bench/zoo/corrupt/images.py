"""Images with noise, out of focus, turned, too bright, too faint or partly hidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.zoo.augment.images import Fill
from bench.zoo.corrupt.severity import Levels, strength
from bench.zoo.datasets.base import Array, Ints

# After Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
# (2019): noise, brightness and contrast are theirs for ImageNet; the blur, theirs in pixels, is a share of the
# side here. They neither turn nor hide.
LEVELS: Levels = {
    # Standard deviation, as a share of the range.
    "gaussian-noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    # Standard deviation of the Gaussian, as a share of the shorter side.
    "blur": (0.02, 0.03, 0.04, 0.055, 0.07),
    # Degrees, either way.
    "rotation": (10.0, 20.0, 30.0, 40.0, 50.0),
    # Added, as a share of the range.
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    # The factor on what differs from the mean of the image.
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    # Height and width of a grey patch, as a share of those of the image.
    "occlusion": (0.2, 0.3, 0.4, 0.5, 0.6),
}


@dataclass(frozen=True)
class ImageCorruptor:
    """Images [n, h, w, c] made worse; float32 in `low`..`high`, in one of 256 steps, as an image is stored.

    `fill` is what a turned image shows beyond its edges: `low` ("constant"), or itself mirrored ("reflect").
    """

    images: Array
    low: float = 0.0
    high: float = 1.0
    fill: Fill = "constant"
    names: ClassVar[tuple[str, ...]] = tuple(LEVELS)

    def __call__(self, name: str, severity: int, chosen: Ints, rng: np.random.Generator) -> tuple[Array]:
        """The images at the positions `chosen`, in that order, with the corruption `name` at `severity`."""
        level = strength(LEVELS, name, severity)
        shares = (self.images[chosen].astype(np.float64) - self.low) / (self.high - self.low)
        worse = np.clip(_CORRUPTIONS[name](shares, level, rng, self.fill), 0, 1)
        return ((self.low + np.round(worse * 255) / 255 * (self.high - self.low)).astype(np.float32),)


def _noise(images: Array, deviation: float, rng: np.random.Generator, _: Fill) -> Array:
    return images + rng.normal(0, deviation, images.shape)


def _blur(images: Array, share: float, _: np.random.Generator, __: Fill) -> Array:
    from scipy.ndimage import gaussian_filter

    blurred: Array = gaussian_filter(images, share * min(images.shape[1:3]), axes=(1, 2))
    return blurred


def _rotation(images: Array, degrees: float, rng: np.random.Generator, fill: Fill) -> Array:
    from scipy.ndimage import rotate

    angles = degrees * rng.choice((-1, 1), len(images))
    turned = np.empty_like(images)
    for image, angle, result in zip(images, angles, turned, strict=True):
        rotate(image, angle, reshape=False, output=result, order=1, mode=fill)
    return turned


def _brightness(images: Array, share: float, _: np.random.Generator, __: Fill) -> Array:
    return images + share


def _contrast(images: Array, factor: float, _: np.random.Generator, __: Fill) -> Array:
    mean = images.mean(axis=(1, 2), keepdims=True)
    return np.asarray(mean + factor * (images - mean))


def _occlusion(images: Array, share: float, rng: np.random.Generator, _: Fill) -> Array:
    hidden = images.copy()
    size = np.round(share * np.array(images.shape[1:3])).astype(int)
    corners = np.floor(rng.random((len(images), 2)) * (images.shape[1:3] - size + 1)).astype(int)
    for image, (top, left) in zip(hidden, corners, strict=True):
        image[top : top + size[0], left : left + size[1]] = 0.5
    return hidden


_CORRUPTIONS: dict[str, Callable[[Array, float, np.random.Generator, Fill], Array]] = {
    "gaussian-noise": _noise,
    "blur": _blur,
    "rotation": _rotation,
    "brightness": _brightness,
    "contrast": _contrast,
    "occlusion": _occlusion,
}
