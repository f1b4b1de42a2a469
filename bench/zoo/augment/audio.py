"""Sound played faster or slower, moved in time, and with noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.zoo.audio import rms
from bench.zoo.augment.options import Augmentation
from bench.zoo.datasets.base import Array

_SPEEDS = 100
"""Speeds are drawn in steps of one in so many: a ratio of small numbers is quick to resample by."""


@dataclass(frozen=True)
class AudioVary:
    """Waves, 1-D float32 in -1..1 sampled `rate` times a second, as one epoch sees them, in their order.

    `speed` plays a wave up to that share faster or slower, its pitch with it. `shift` moves it in time by up to
    that share of its length: silence comes before it, or its beginning is cut away. `noise` adds white noise of
    up to that share of its root mean square. What leaves -1..1 is cut off. `features` makes of the waves what
    the model takes, [n, ...].
    """

    waves: Sequence[Array]
    rate: int
    features: Callable[[Sequence[Array]], Array]

    def __call__(self, options: Augmentation, rng: np.random.Generator) -> tuple[Array]:
        """The features of the waves varied as `options` ask."""
        return (self.features(self.varied(options, rng)),)

    def varied(self, options: Augmentation, rng: np.random.Generator) -> Sequence[Array]:
        """The waves themselves; those given where nothing is asked."""
        if not (options.speed or options.shift or options.noise):
            return self.waves
        count = len(self.waves)
        speeds = rng.uniform(1 - options.speed, 1 + options.speed, count)
        shifts = rng.uniform(-options.shift, options.shift, count)
        levels = rng.uniform(0, options.noise, count)
        return [
            _with_noise(_moved(_at_speed(wave, speed), shift), level, rng)
            for wave, speed, shift, level in zip(self.waves, speeds, shifts, levels, strict=True)
        ]


def _at_speed(wave: Array, speed: float) -> Array:
    from scipy.signal import resample_poly

    # At least one step, lest a wave be played for ever.
    steps = max(1, round(speed * _SPEEDS))
    return wave if steps == _SPEEDS else np.asarray(resample_poly(wave, _SPEEDS, steps), np.float32)


def _moved(wave: Array, share: float) -> Array:
    samples = round(share * len(wave))
    return np.pad(wave, (samples, 0)) if samples > 0 else wave[-samples:]


def _with_noise(wave: Array, level: float, rng: np.random.Generator) -> Array:
    noise = np.float32(level * rms(wave)) * rng.standard_normal(len(wave), np.float32)
    return np.asarray(np.clip(wave + noise, -1, 1), np.float32)
