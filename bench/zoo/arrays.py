"""What is in NumPy files from elsewhere, told from their heads: no array is read, and nothing is unpickled."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    NotImplementedError, RuntimeError, MemoryError, OverflowError, SyntaxError, tokenize.TokenError,
)  # fmt: skip
"""What NumPy raises for a file that is none of its own: the head of an array is Python's text."""
_HEADS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Head(NamedTuple):
    """Shape and type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def numbers(self) -> bool:
        """Whether it holds plain numbers or truth values."""
        return self.dtype.kind in "iufb"


def heads(path: Path) -> dict[str, Head]:
    """The arrays in a `.npz` by name; in a `.npy` one, named `""`. Raises one of `UNREADABLE`."""
    if path.suffix != ".npz":
        with path.open("rb") as file:
            return {"": _head(file)}
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                found[name.removesuffix(".npy")] = _head(file)
    return found


def _head(file: IO[bytes]) -> Head:
    version = npy.read_magic(file)
    if version not in _HEADS:
        raise ValueError(f"arrays of version {version} are not read here")
    shape, _, dtype = _HEADS[version](file)
    return Head(shape, dtype)
