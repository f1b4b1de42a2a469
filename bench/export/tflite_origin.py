"""A user's `.tflite` file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import UserError
from bench.export.errors import CannotMake
from bench.export.origin import Array, Feed, TfliteMode
from bench.export.pruned import Pruned
from bench.export.tflite_edge import FloatTflite
from bench.export.tflite_facts import facts
from bench.export.tflite_model import TfliteModel

_NO_PRUNING = "a TFLite file cannot be pruned or fine-tuned here; give the Keras model and training data"


class TfliteOrigin:
    """A TFLite model run by LiteRT's interpreter, as it was given. Real values in and out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = path.read_bytes()
        try:
            self._model = TfliteModel(self._content)
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
        try:
            return self._model.run(feed)
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the model does not run on these inputs: {' '.join(str(error).split())[:240]}",
                where=str(self._path),
                remedy="give inputs that fit it with --data",
            ) from error

    def float_onnx(self, to: Path, *, pruned: Pruned | None = None) -> list[str]:
        """See `Origin.float_onnx`."""
        raise CannotMake("a TFLite file cannot be turned into ONNX here")

    def tflite(
        self, to: Path, mode: TfliteMode, *, pruned: Pruned | None = None, calibration: Sequence[Feed] = ()
    ) -> list[str]:
        """See `Origin.tflite`."""
        if pruned is not None:
            raise CannotMake(_NO_PRUNING)
        if mode == "fp32":
            to.write_bytes(self._content)
            return ["the file as given" + (f": {self.not_float}" if self.not_float else "")]
        source = FloatTflite(self._content, [spec.name for spec in self.inputs], calibration)
        content, what = _made(source, mode, len(calibration))
        known = facts(content)
        if mode == "fp16" and not known.half:
            raise CannotMake("it has no weights of convolutions or matrix products to store in float16")
        if mode != "fp16" and not known.quantised:
            raise CannotMake("the quantiser found no operator that it quantises")
        to.write_bytes(content)
        return [f"{what}, by ai-edge-quantizer"]

    def pruned_zeros(self, pruned: Pruned) -> float:
        """See `Origin.pruned_zeros`."""
        raise CannotMake(_NO_PRUNING)


def _made(source: FloatTflite, mode: TfliteMode, examples: int) -> tuple[bytes, str]:
    if mode == "fp16":
        return source.half(), "float16 weights of convolutions and matrix products"
    if mode == "int8-dynamic":
        return source.dynamic(), "int8 weights, one scale a channel of a kernel"
    bits, per_channel = 16 if mode == "int16x8" else 8, mode != "int8-per-tensor"
    scales = "one scale a channel of a kernel" if per_channel else "one scale a kernel"
    content = source.static(activation_bits=bits, per_channel=per_channel)
    return content, f"full integer, {scales}, calibrated on {examples} examples"
