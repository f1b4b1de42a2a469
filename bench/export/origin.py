"""What every kind of source can do for the workshop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from bench.export.pruned import Pruned
from bench.record.artifact import TensorSpec, one_row_an_example

Array = npt.NDArray[Any]
Feed = tuple[Array, ...]
"""The arrays of one inference, in the order of the model's inputs."""

TfliteMode = Literal["fp32", "fp16", "int8", "int8-per-tensor", "int8-dynamic", "int16x8"]
_CHUNK = 256


class Origin(Protocol):
    """An opened source model. `not_float` says why it cannot be transformed, or is None for a float32 model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    not_float: str | None

    def run(self, feed: Feed) -> list[Array]:
        """One inference; real values in and out."""

    def float_onnx(self, to: Path, *, pruned: Pruned | None = None) -> list[str]:
        """Write the float32 ONNX file; notes. Raises `CannotMake`."""

    def tflite(
        self, to: Path, mode: TfliteMode, *, pruned: Pruned | None = None, calibration: Sequence[Feed] = ()
    ) -> list[str]:
        """Write a TFLite file; notes. Raises `CannotMake`."""

    def pruned_zeros(self, pruned: Pruned) -> float:
        """The share of zeros to find among the kernels of a pruned file. Raises `CannotMake` where none is made."""


def feeds(inputs: Sequence[Array], specs: Sequence[TensorSpec]) -> list[Feed]:
    """One feed an example. Where an example is a row (`one_row_an_example`), axis 0 stays, of length 1."""
    rows = one_row_an_example(specs)
    return [tuple(a[i : i + 1] if rows else np.asarray(a[i]) for a in inputs) for i in range(len(inputs[0]))]


def predict(run: Callable[[Feed], list[Array]], inputs: Sequence[Array], specs: Sequence[TensorSpec]) -> list[Array]:
    """The outputs for all examples, axis 0 the examples, in batches where the model has a free batch axis."""
    count = len(inputs[0])
    if one_row_an_example(specs) and all(spec.shape[0] is None for spec in specs):
        parts = [run(tuple(a[i : i + _CHUNK] for a in inputs)) for i in range(0, count, _CHUNK)]
        outputs = list(zip(*parts, strict=True))
        if all(sum(len(p) if p.ndim else 0 for p in output) == count for output in outputs):
            return [np.concatenate(output) for output in outputs]
    single = [run(feed) for feed in feeds(inputs, specs)]
    rows = one_row_an_example(specs)
    return [
        np.concatenate(output) if rows and all(p.ndim and len(p) == 1 for p in output) else np.stack(output)
        for output in zip(*single, strict=True)
    ]
