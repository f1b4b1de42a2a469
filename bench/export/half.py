"""float16 variants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.export.workshop import Workshop


def onnx(shop: Workshop, to: Path) -> list[str]:
    """Weights and arithmetic in float16, float32 in and out."""
    import onnx as onnx_format
    from onnxconverter_common import float16

    from bench.export.quantize import recent_opset

    path, notes = shop.float_onnx()
    model, upgraded = recent_opset(onnx_format.load(str(path)), shop)
    half = float16.convert_float_to_float16(model, keep_io_types=True)
    onnx_format.checker.check_model(half)
    onnx_format.save(half, str(to))
    return [*notes, *upgraded, "float16 weights and arithmetic between casts of the float32 inputs and outputs"]


def tflite(shop: Workshop, to: Path) -> list[str]:
    """Weights stored in float16; the runtime widens them where it has no float16 arithmetic."""
    return shop.origin.tflite(to, "fp16", pruned=False, calibration=[])
