"""MNIST: 70,000 handwritten digits, with their official test set held out."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.zoo.augment.images import ImageVary
from bench.zoo.clean import Sieve, contradicting, repeated, rows_of, standing_in
from bench.zoo.corrupt.images import ImageCorruptor
from bench.zoo.datasets.base import Array, Dataset, Split, calibration_from

SIDE = 28
CLASSES = 10
PADDED = 32

_BYTE = 8
"""The code of unsigned bytes in an idx header."""
_LARGEST = 1 << 26


def load(title: str, seed: int, files: Mapping[str, Path], form: str = "28x28x1") -> Dataset:
    """Images [n, 28, 28, 1], float32 in 0..1, or [n, 32, 32, 3] in 0..255 where `form` is "32x32x3"; labels 0..9.

    The split is the official one; `seed` chooses the calibration images.

    Raises:
        UserError: a file is not what MNIST has.
    """
    images, labels = _pair(files, "train")
    test_images, test_labels = _pair(files, "t10k")
    sieve = Sieve(len(images))
    sieve.without_copies(images, labels)
    held_out = rows_of(test_images)
    sieve.drop(standing_in(images, held_out), "training images that are in the test set", "they are held out")
    # Official results are of all 10,000 test images, so none of these leaves.
    copies = int((repeated(held_out) | contradicting(held_out, test_labels)).sum())
    sieve.note("copies within the test set: kept", copies, "the official test set is not changed")
    high, made, said = _FORMS[form]
    train = Split((made(images[sieve.kept]),), labels[sieve.kept])
    evaluation = Split((made(test_images),), test_labels)
    return Dataset(
        title,
        seed,
        train,
        calibration_from(train.inputs, seed),
        evaluation,
        cleaning=sieve.report,
        vary=ImageVary(train.inputs[0], "constant", 0.0, high),
        corrupt=ImageCorruptor(evaluation.inputs[0], 0.0, high, "constant"),
        preprocessing=said,
    )


def read_idx(path: Path) -> Array:
    """The array of unsigned bytes in a gzipped idx file.

    Raises:
        UserError: it is not such a file.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _not_mnist(path, f"it cannot be unpacked ({error})") from error
    if len(content) < 4 or len(content) > _LARGEST:
        raise _not_mnist(path, f"it unpacks to {len(content):,} B")
    zeros, kind, axes = struct.unpack_from(">HBB", content)
    begins = 4 + 4 * axes
    if zeros or kind != _BYTE or len(content) < begins:
        raise _not_mnist(path, "its header is not that of an idx file of bytes")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    if len(content) - begins != math.prod(shape):
        raise _not_mnist(path, f"it says {shape} and holds {len(content) - begins:,} B")
    return np.frombuffer(content, np.uint8, offset=begins).reshape(shape)


def _pair(files: Mapping[str, Path], part: str) -> tuple[Array, Array]:
    places = [files[f"mnist/{part}-{kind}-ubyte.gz"] for kind in ("images-idx3", "labels-idx1")]
    images, labels = (read_idx(place) for place in places)
    if images.shape[1:] != (SIDE, SIDE):
        raise _not_mnist(places[0], f"it holds {images.shape}, not images of {SIDE} x {SIDE}")
    if labels.shape != images.shape[:1] or labels.max(initial=0) >= CLASSES:
        raise _not_mnist(places[1], "it does not hold a digit for every image")
    return images, labels.astype(np.int64)


def _not_mnist(path: Path, why: str) -> UserError:
    return UserError(f"not a file of MNIST: {why}", where=str(path), remedy="remove it and run `bench fetch mnist`")


def _grey(images: Array) -> Array:
    return images[..., None].astype(np.float32) / 255


def _padded(images: Array) -> Array:
    edge = (PADDED - SIDE) // 2
    grey = np.pad(images, ((0, 0), (edge, edge), (edge, edge))).astype(np.float32)
    return np.repeat(grey[..., None], 3, axis=3)


_FORMS = {
    "28x28x1": (1.0, _grey, "pixels divided by 255"),
    "32x32x3": (255.0, _padded, "2 pixels of paper added on each side; three equal channels of 0..255"),
}
