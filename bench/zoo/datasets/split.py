"""Which examples are held out."""

from __future__ import annotations

import numpy as np

from bench.zoo.datasets.base import Array, Ints


def stratified(labels: Array, share: float, seed: int) -> tuple[Ints, Ints]:
    """Positions to train on and positions held out: `share` of each class, rounded, drawn by `seed`; both in order."""
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out[members[: round(share * len(members))]] = True
    return np.flatnonzero(~held_out).astype(np.int64), np.flatnonzero(held_out).astype(np.int64)
