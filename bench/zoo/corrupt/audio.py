"""Sound with noise, too quiet or too loud, or cut off at its peaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.zoo.audio import rms
from bench.zoo.corrupt.severity import Levels, strength
from bench.zoo.datasets.base import Array, Ints

LEVELS: Levels = {
    # Signal to white noise, in dB, by their mean squares over the clip.
    "noise": (20.0, 15.0, 10.0, 5.0, 0.0),
    # Louder or quieter by so many dB.
    "gain": (4.0, 8.0, 12.0, 16.0, 20.0),
    # Where the wave is cut off, as a share of the peak of the clip.
    "clipping": (0.5, 0.35, 0.2, 0.1, 0.05),
}

_STEPS = 2**15


@dataclass(frozen=True)
class AudioCorruptor:
    """Waves, 1-D float32 in -1..1 sampled `rate` times a second, made worse before their features are taken.

    A wave that is too loud is cut off at -1 and 1, and all are rounded to 16 bits, as a recording stores them.
    Silence stays silent. `features` makes of the waves what the model takes, [n, ...].
    """

    waves: Sequence[Array]
    rate: int
    features: Callable[[Sequence[Array]], Array]
    names: ClassVar[tuple[str, ...]] = tuple(LEVELS)

    def __call__(self, name: str, severity: int, chosen: Ints, rng: np.random.Generator) -> tuple[Array]:
        """The features of the waves at the positions `chosen`, with the corruption `name` at `severity`."""
        return (self.features(self.worse(name, severity, chosen, rng)),)

    def worse(self, name: str, severity: int, chosen: Ints, rng: np.random.Generator) -> list[Array]:
        """The waves themselves, in the order of `chosen`."""
        level = strength(LEVELS, name, severity)
        return [_stored(_CORRUPTIONS[name](self.waves[at].astype(np.float64), level, rng)) for at in chosen]


def _stored(wave: Array) -> Array:
    return (np.clip(np.round(wave * _STEPS), -_STEPS, _STEPS - 1) / _STEPS).astype(np.float32)


def _noise(wave: Array, decibels: float, rng: np.random.Generator) -> Array:
    return wave + rms(wave) * 10 ** (-decibels / 20) * rng.standard_normal(len(wave))


def _gain(wave: Array, decibels: float, rng: np.random.Generator) -> Array:
    return np.asarray(wave * 10 ** (rng.choice((-1, 1)) * decibels / 20))


def _clipping(wave: Array, share: float, _: np.random.Generator) -> Array:
    limit = share * np.abs(wave).max(initial=0.0)
    return np.clip(wave, -limit, limit)


_CORRUPTIONS: dict[str, Callable[[Array, float, np.random.Generator], Array]] = {
    "noise": _noise,
    "gain": _gain,
    "clipping": _clipping,
}
