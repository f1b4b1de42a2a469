"""The variant `int8-qat`: fine-tuned with int8's rounding in the forward pass, then quantised like `int8`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.export import quantize, tflite_quantize
from bench.export.errors import CannotMake

if TYPE_CHECKING:
    from bench.export.variants import Options
    from bench.export.workshop import Workshop


def onnx(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Static QDQ int8 of the tuned weights."""
    tuned, notes = _tuned(shop, options)
    return [*notes, *quantize.onnx_static(tuned, to, options)]


def tflite(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Full-integer TFLite of the tuned weights."""
    tuned, notes = _tuned(shop, options)
    return [*notes, *tflite_quantize.static(tuned, to, options)]


def _tuned(shop: Workshop, options: Options) -> tuple[Workshop, list[str]]:
    """The workshop with the tuned model in it."""
    if shop.source.kind not in ("zoo", "keras"):
        raise CannotMake("quantisation-aware fine-tuning needs the Keras model and training data")
    from bench.export.keras_origin import KerasOrigin

    assert isinstance(shop.origin, KerasOrigin)  # both kinds are
    origin, notes = shop.origin.quantisation_aware(
        int(options["epochs"]), float(options["learning_rate"]), per_channel=bool(options["per_channel"])
    )
    return replace(shop, origin=origin, _float={}), notes
