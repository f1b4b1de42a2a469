"""A user's `.tflite` file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.export.errors import CannotMake
from bench.export.origin import Array, Feed, TfliteMode
from bench.export.pruned import Pruned
from bench.export.tflite import requantise
from bench.export.tflite_facts import facts
from bench.record.artifact import TensorSpec

_NO_TUNING = "a TFLite file cannot be fine-tuned here; give the Keras model and training data"


class TfliteOrigin:
    """A TFLite model run by LiteRT's interpreter, as it was given. Real values in and out."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._path = path
        self._content = path.read_bytes()
        try:
            self._interpreter = Interpreter(model_content=self._content)
            self._interpreter.allocate_tensors()
            known = facts(self._content)
        except Exception as error:  # a damaged flatbuffer fails in many ways
            raise UserError(
                f"LiteRT cannot load the model: {' '.join(str(error).split())[:240] or type(error).__name__}",
                where=str(path),
                remedy="export or download it again; custom operators are not available here",
            ) from error
        self.inputs, self.outputs = known.inputs, known.outputs
        self.not_float = (
            "the file is already quantised"
            if known.quantised
            else "the file is float16, not float32"
            if known.half
            else None
        )

    def run(self, feed: Feed) -> list[Array]:
        """See `Origin.run`."""
        given = self._interpreter.get_input_details()
        try:
            for details, array in zip(given, feed, strict=True):
                if tuple(details["shape"]) != array.shape:
                    self._interpreter.resize_tensor_input(details["index"], array.shape)
            self._interpreter.allocate_tensors()
            for details, spec, array in zip(given, self.inputs, feed, strict=True):
                self._interpreter.set_tensor(details["index"], _stored(array, spec))
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the model does not run on these inputs: {' '.join(str(error).split())[:240]}",
                where=str(self._path),
                remedy="give inputs that fit it with --data",
            ) from error
        made = self._interpreter.get_output_details()
        return [
            _real(self._interpreter.get_tensor(details["index"]), spec)
            for details, spec in zip(made, self.outputs, strict=True)
        ]

    def float_onnx(self, to: Path, *, pruned: Pruned | None = None) -> list[str]:
        """See `Origin.float_onnx`."""
        raise CannotMake("a TFLite file cannot be turned into ONNX here")

    def tflite(
        self, to: Path, mode: TfliteMode, *, pruned: Pruned | None = None, calibration: Sequence[Feed] = ()
    ) -> list[str]:
        """See `Origin.tflite`."""
        if pruned is not None:
            raise CannotMake(_NO_TUNING)
        if mode == "fp16":
            raise CannotMake("a TFLite file cannot be turned into float16 here; give the Keras model")
        if mode == "fp32":
            to.write_bytes(self._content)
            return ["the file as given" + (f": {self.not_float}" if self.not_float else "")]
        to.write_bytes(requantise(self._content, mode, [spec.name for spec in self.inputs], calibration))
        seen = f", calibrated on {len(calibration)} examples" if mode == "int8" else ""
        return [f"quantised by ai-edge-quantizer{seen}"]

    def pruned_zeros(self, pruned: Pruned) -> float:
        """See `Origin.pruned_zeros`."""
        raise CannotMake(_NO_TUNING)


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
