"""What a data set is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.record.artifact import Cleaned
from bench.zoo.augment.options import Augmentation

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Inputs = tuple[Array, ...]
Vary = Callable[[Augmentation, np.random.Generator], Inputs]
"""The training inputs as one epoch sees them: those of `Dataset.train`, in its order, varied."""

CALIBRATION_EXAMPLES = 256
SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Split:
    """Examples along axis 0: one array a model input, in the model's order, and their labels, where there are any."""

    inputs: Inputs
    labels: Array | None

    def __len__(self) -> int:
        return len(self.inputs[0])


class Corruptor(Protocol):
    """Makes evaluation inputs worse. The same generator state gives the same inputs."""

    @property
    def names(self) -> tuple[str, ...]:
        """The corruptions there are."""

    def __call__(self, name: str, severity: int, chosen: Ints, rng: np.random.Generator) -> Inputs:
        """The evaluation inputs at the positions `chosen`, with the corruption `name` at `severity` (1..5)."""


@dataclass(frozen=True)
class Baseline:
    """What can be had without a model, by the model's own metric: the mark to beat."""

    name: str
    value: float


@dataclass(frozen=True)
class Dataset:
    """Training, calibration and evaluation data.

    `calibration` is a part of the training inputs. `train` is None where the data serve a ready model only.
    `cleaning` says what was dropped or mended before the split. `vary` and `corrupt` are None where this
    kind of data has none. `preprocessing` says in words how raw data become inputs.
    """

    name: str
    seed: int
    train: Split | None
    calibration: Inputs
    evaluation: Split
    cleaning: tuple[Cleaned, ...] = ()
    vary: Vary | None = None
    corrupt: Corruptor | None = None
    baseline: Baseline | None = None
    preprocessing: str = ""


def calibration_from(train: Inputs, seed: int, limit: int = CALIBRATION_EXAMPLES) -> Inputs:
    """At most `limit` rows of the training inputs, chosen by `seed`: calibration never sees evaluation data."""
    count = len(train[0])
    chosen = np.random.default_rng(seed).permutation(count)[:limit]
    return tuple(array[chosen] for array in train)
