"""The pruned variants. What is pruned and how is data (`bench.export.pruned`); the source does it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.export import quantize, tflite_quantize
from bench.export.onnx import copy_to
from bench.export.pruned import Pruned, pruned_by
from bench.record.artifact import Recipe

if TYPE_CHECKING:
    from bench.export.variants import Options
    from bench.export.workshop import Workshop


def onnx(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Small weights set to zero, float32 ONNX."""
    return _float_onnx(shop, to, _asked("pruned", options))


def tflite(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Small weights set to zero, float32 TFLite."""
    return shop.origin.tflite(to, "fp32", pruned=_asked("pruned", options))


def onnx_int8(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Small weights set to zero, static QDQ int8 ONNX."""
    return _int8_onnx(shop, to, options, _asked("pruned-int8", options))


def tflite_int8(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Small weights set to zero, full-integer TFLite."""
    return _int8_tflite(shop, to, options, _asked("pruned-int8", options))


def nm_onnx(shop: Workshop, to: Path, options: Options) -> list[str]:
    """N of every M weights left, float32 ONNX."""
    return _float_onnx(shop, to, _asked("pruned-nm", options))


def nm_tflite(shop: Workshop, to: Path, options: Options) -> list[str]:
    """N of every M weights left, float32 TFLite."""
    return shop.origin.tflite(to, "fp32", pruned=_asked("pruned-nm", options))


def channels_onnx(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Channels removed, float32 ONNX."""
    return _float_onnx(shop, to, _asked("pruned-channels", options))


def channels_tflite(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Channels removed, float32 TFLite."""
    return shop.origin.tflite(to, "fp32", pruned=_asked("pruned-channels", options))


def channels_onnx_int8(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Channels removed, static QDQ int8 ONNX."""
    return _int8_onnx(shop, to, options, _asked("pruned-channels-int8", options))


def channels_tflite_int8(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Channels removed, full-integer TFLite."""
    return _int8_tflite(shop, to, options, _asked("pruned-channels-int8", options))


def _asked(base: str, options: Options) -> Pruned:
    pruned = pruned_by(Recipe(base, dict(options)))
    assert pruned is not None  # the names above are those of pruned variants
    return pruned


def _float_onnx(shop: Workshop, to: Path, pruned: Pruned) -> list[str]:
    path, notes = shop.float_onnx(pruned)
    copy_to(path, to)
    return notes


def _int8_onnx(shop: Workshop, to: Path, options: Options, pruned: Pruned) -> list[str]:
    shop.origin.pruned_zeros(pruned)  # first, so that its reason is the one given
    return quantize.onnx_static(shop, to, options, pruned=pruned)


def _int8_tflite(shop: Workshop, to: Path, options: Options, pruned: Pruned) -> list[str]:
    shop.origin.pruned_zeros(pruned)  # first, so that its reason is the one given
    return tflite_quantize.static(shop, to, options, pruned=pruned)
