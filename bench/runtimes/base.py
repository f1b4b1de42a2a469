"""What a runtime is: pure data, and a session behind one small interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.record.artifact import Artifact, TensorSpec
from bench.record.case import Option
from bench.record.observation import Placement

Array = npt.NDArray[Any]
Request = Any
"""Inputs made ready for one call, in whatever form the runtime takes them."""


class SessionError(Exception):
    """The runtime refused: the case fails with this sentence."""


@dataclass(frozen=True)
class Opening:
    """All that a runtime needs to open a session.

    `shapes` are the concrete input shapes, in the artifact's order, batch axis first.
    """

    path: Path
    artifact: Artifact
    provider: str
    threads: int
    shapes: Sequence[tuple[int, ...]]
    options: dict[str, Option] = field(default_factory=dict)


class Session(Protocol):
    """A loaded model.

    Arrays are in the model's own data types: whoever calls quantises before and dequantises after.
    """

    scope: str
    """What the timed call covers, in words."""

    call: Callable[[Request], object]
    """One inference: the call that is timed."""

    def prepare(self, feeds: Sequence[Array]) -> Request:
        """Inputs ready for `call`, without touching their bytes; this is not timed."""

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """One inference; the outputs in the artifact's order, owned by the caller."""

    def placement(self) -> Placement:
        """What ran where, as the runtime itself tells after loading."""

    def facts(self) -> dict[str, Any]:
        """Version and settings in force."""

    def close(self) -> None:
        """Free what the session holds."""


def declared_shape(spec: TensorSpec, batch: int) -> tuple[int, ...]:
    """The concrete shape of an input: axis 0 is the batch where it is free, other free axes are 1.

    Raises:
        SessionError: the artifact's batch axis is fixed to another number.
    """
    if not spec.shape:
        return ()
    first = spec.shape[0]
    if batch != 1 and first is not None and first != batch:
        raise SessionError(f"the artifact has a fixed batch of {first}; batch {batch} cannot run")
    head = batch if first is None else first
    return (head, *(1 if axis is None else axis for axis in spec.shape[1:]))


def quantise(values: Array, spec: TensorSpec) -> Array:
    """Real values in the data type of a tensor: stored = round(real / scale) + zero_point, saturated."""
    dtype = np.dtype(spec.dtype)
    if spec.scale is None or spec.zero_point is None or values.dtype == dtype:
        return np.asarray(values, dtype=dtype, order="C")
    limits = np.iinfo(dtype)
    stored = np.round(values / spec.scale) + spec.zero_point
    return np.clip(stored, limits.min, limits.max).astype(dtype)


def dequantise(stored: Array, spec: TensorSpec) -> Array:
    """Real values of a stored tensor: real = scale * (stored - zero_point)."""
    if spec.scale is None or spec.zero_point is None:
        return stored
    return (stored.astype(np.float32) - spec.zero_point) * np.float32(spec.scale)
