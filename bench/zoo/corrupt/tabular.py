"""Tables with cells missing, and with columns that have drifted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.zoo.corrupt.severity import Levels, strength
from bench.zoo.datasets.base import Array, Ints

LEVELS: Levels = {
    # The chance of a cell to be missing.
    "missing": (0.05, 0.1, 0.2, 0.3, 0.5),
    # The move of a column, in its own `scale`.
    "shifted": (0.1, 0.25, 0.5, 0.75, 1.0),
}


@dataclass(frozen=True)
class TabularCorruptor:
    """Rows of `features` [n, d] made worse; float32.

    `fill` [d] stands where a cell is missing: what the preparation of the data would put there. `scale` [d] is
    what a column moves by at a strength of 1, such as its standard deviation; 0 keeps a column where it is. All
    rows of a column move the same way, up or down, as when a source of data has changed.
    """

    features: Array
    fill: Array
    scale: Array
    names: ClassVar[tuple[str, ...]] = tuple(LEVELS)

    def __call__(self, name: str, severity: int, chosen: Ints, rng: np.random.Generator) -> tuple[Array]:
        """The rows at the positions `chosen`, in that order, with the corruption `name` at `severity`."""
        level = strength(LEVELS, name, severity)
        rows = self.features[chosen]
        if name == "missing":
            worse = np.where(rng.random(rows.shape) < level, self.fill, rows)
        else:
            worse = rows + level * self.scale * rng.choice((-1, 1), rows.shape[1])
        return (worse.astype(np.float32),)
