"""A TFLite file as a function of real values, run by LiteRT's interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.export.origin import Array, Feed
from bench.export.tflite_facts import specs
from bench.record.artifact import TensorSpec


class TfliteModel:
    """A loaded file. Quantised inputs and outputs are real values here.

    `order` gives the source's input and output names where they are the signature's, see
    `bench.export.tflite_facts.specs`.

    Raises:
        ValueError: LiteRT does not load it.
        RuntimeError: it does not allocate its tensors.
    """

    def __init__(self, content: bytes, order: tuple[Sequence[str], Sequence[str]] | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content)
        self._interpreter.allocate_tensors()
        self.inputs, self.outputs = specs(content, order)

    def run(self, feed: Feed) -> list[Array]:
        """One inference. Raises `RuntimeError` or `ValueError` where the feed does not fit."""
        interpreter = self._interpreter
        given = _in_order(interpreter.get_input_details(), self.inputs)
        for details, array in zip(given, feed, strict=True):
            if tuple(details["shape"]) != array.shape:
                interpreter.resize_tensor_input(details["index"], array.shape)
        interpreter.allocate_tensors()
        for details, spec, array in zip(given, self.inputs, feed, strict=True):
            interpreter.set_tensor(details["index"], _stored(array, spec))
        interpreter.invoke()
        made = _in_order(interpreter.get_output_details(), self.outputs)
        return [
            _real(interpreter.get_tensor(details["index"]), spec)
            for details, spec in zip(made, self.outputs, strict=True)
        ]


def _in_order(details: Sequence[dict[str, Any]], wanted: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    by_name = {d["name"]: d for d in details}
    # Names need not be unique; then the file's own order is all there is.
    return [by_name[spec.name] for spec in wanted] if len(by_name) == len(details) else list(details)


def _stored(array: Array, spec: TensorSpec) -> Array:
    dtype = np.dtype(spec.dtype)
    if spec.scale is None or spec.zero_point is None or array.dtype == dtype:
        return np.ascontiguousarray(array, dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(array / spec.scale) + spec.zero_point, limits.min, limits.max).astype(dtype)


def _real(stored: Any, spec: TensorSpec) -> Array:
    if spec.scale is None or spec.zero_point is None:
        return np.asarray(stored)
    real: Array = (stored.astype(np.float32) - np.float32(spec.zero_point)) * np.float32(spec.scale)
    return real
