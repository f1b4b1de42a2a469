"""What a data set is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
CALIBRATION_EXAMPLES = 256


@dataclass(frozen=True)
class Split:
    """Examples along axis 0: one array a model input, in the model's order, and their labels."""

    inputs: tuple[Array, ...]
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Training, calibration and evaluation data. `calibration` is a part of the training inputs."""

    name: str
    seed: int
    train: Split
    calibration: tuple[Array, ...]
    evaluation: Split


def calibration_from(train: tuple[Array, ...], seed: int, limit: int = CALIBRATION_EXAMPLES) -> tuple[Array, ...]:
    """At most `limit` rows of the training inputs, chosen by `seed`: calibration never sees evaluation data."""
    count = len(train[0])
    chosen = np.random.default_rng(seed).permutation(count)[:limit]
    return tuple(array[chosen] for array in train)
