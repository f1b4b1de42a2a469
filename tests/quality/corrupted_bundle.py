"""A bundle whose evaluation data also come in corrupted form, made by hand from one that has none."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np

from bench.files import write_whole
from bench.record.artifact import Bundle, Corrupted
from bench.record.codec import json_bytes
from bench.zoo.hashing import file_sha256

SEVERITIES = (1, 2, 3, 4, 5)
EXAMPLES = 60


def with_corruption(bundle: tuple[Path, Bundle], to: Path, seed: int = 3) -> tuple[Path, Bundle]:
    """A copy of the bundle in the folder `to`, with noise and erased rows on 60 of its examples, kept as float16."""
    folder, index = bundle
    shutil.copytree(folder, to)
    with np.load(folder / index.data.inputs) as archive:
        clean = archive["0"]
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(clean), EXAMPLES, replace=False))
    cells, parts = [], []
    for severity in SEVERITIES:
        cells.append(("noise", severity))
        parts.append(clean[chosen] + 0.2 * severity * rng.normal(size=clean[chosen].shape))
        cells.append(("erased_rows", severity))
        parts.append(clean[chosen] * (np.arange(clean.shape[1]) >= 4 * severity)[None, :, None, None])
    path = to / "data" / "corrupted.npz"
    np.savez_compressed(path, **{"0": np.concatenate(parts).astype(np.float16)})
    corrupted = Corrupted(
        inputs="data/corrupted.npz", cells=tuple(cells), examples=tuple(int(at) for at in chosen), seed=seed
    )
    made = msgspec.structs.replace(
        index,
        data=msgspec.structs.replace(index.data, corrupted=corrupted),
        files={**index.files, corrupted.inputs: file_sha256(path)},
    )
    write_whole(to / "bundle.json", json_bytes(made))
    return to, made
