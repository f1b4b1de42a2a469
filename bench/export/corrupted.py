"""Evaluation inputs made worse on purpose, as the bundle keeps them."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from bench.files import whole
from bench.record.artifact import Corrupted
from bench.zoo.datasets.base import SEVERITIES, Array, Corruptor

CORRUPTED = "data/corrupted.npz"
EXAMPLES = 200
"""Of the evaluation data, for each corruption and severity: some thousand inferences a case in all."""


def write_corrupted(corrupt: Corruptor, examples: int, seed: int, folder: Path) -> Corrupted:
    """Write every corruption at every severity of `EXAMPLES` examples at most, chosen by `seed`.

    The severities of a corruption share their random numbers, so that a step between two of them is a step in
    severity. Real numbers are kept as float16 where that suffices: what is rounded away is part of the corruption.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(examples)[:EXAMPLES]).astype(np.int64)
    cells = [(name, severity) for name in corrupt.names for severity in SEVERITIES]
    parts = [corrupt(name, severity, chosen, _generator(name, seed)) for name, severity in cells]
    inputs = [_compact(np.concatenate(one)) for one in zip(*parts, strict=True)]
    with whole(folder / CORRUPTED) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **{str(at): array for at, array in enumerate(inputs)})
    return Corrupted(inputs=CORRUPTED, cells=tuple(cells), examples=tuple(int(at) for at in chosen), seed=seed)


def _generator(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _compact(values: Array) -> Array:
    """Half the bytes where these numbers lose less than a thousandth by it; whole otherwise, as for large amounts."""
    if values.dtype != np.float32:
        return values
    with np.errstate(over="ignore"):
        small = values.astype(np.float16)
    return small if np.allclose(small, values, rtol=1e-3, atol=1e-6) else values
