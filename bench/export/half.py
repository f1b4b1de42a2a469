"""float16 variants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

    from bench.export.variants import Options
    from bench.export.workshop import Workshop


def onnx(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Weights and arithmetic in float16, float32 in and out."""
    import onnx as onnx_format
    from onnxconverter_common import float16

    from bench.export.quantize import recent_opset

    path, notes = shop.float_onnx()
    model, upgraded = recent_opset(onnx_format.load(str(path)), shop)
    own = _casts_to_float(model)
    half = float16.convert_float_to_float16(model, keep_io_types=True)
    for node in half.graph.node:
        if node.name in own:
            # The converter takes the result for float16 already but leaves what the node casts to.
            node.attribute[0].i = onnx_format.TensorProto.FLOAT16
    onnx_format.checker.check_model(half)
    onnx_format.save(half, str(to))
    return [*notes, *upgraded, "float16 weights and arithmetic between casts of the float32 inputs and outputs"]


def tflite(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Weights stored in float16; the runtime widens them where it has no float16 arithmetic."""
    return shop.origin.tflite(to, "fp16")


def _casts_to_float(model: ModelProto) -> set[str]:
    """The model's own nodes that cast to float32, under names by which they are found again."""
    from onnx import TensorProto

    casts = [n for n in model.graph.node if n.op_type == "Cast" and n.attribute[0].i == TensorProto.FLOAT]
    for number, node in enumerate(casts):
        node.name = f"cast_to_float_{number}"
    return {node.name for node in casts}
