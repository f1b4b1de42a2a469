"""The table of variants. A new one is a file with its function and a line here; nothing heavy is imported.

A function takes the workshop (see `bench.export.workshop`), the path to write and the variant's options, which
are complete and checked, and returns notes. It raises `CannotMake` with a reason where this model cannot become
the variant.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.record.artifact import Format
from bench.record.case import Option

if TYPE_CHECKING:
    from bench.export.workshop import Workshop

Options = Mapping[str, Option]
Make = Callable[["Workshop", Path, Options], list[str]]

SOURCE = "source"
"""A given file that is already quantised or not float32: it stands where `fp32` was asked for."""


@dataclass(frozen=True)
class OptionSpec:
    """An option of a variant: its default, whose type every value has, and what values it may take."""

    default: Option
    about: str
    choices: tuple[Option, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class VariantSpec:
    """A variant as pure data. `makers` gives `module:function` by format; `needs` is for people."""

    name: str
    title: str
    needs: tuple[str, ...]
    makers: dict[Format, str]
    options: dict[str, OptionSpec] = field(default_factory=dict)

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats in which the variant exists."""
        return tuple(self.makers)

    def maker(self, fmt: Format) -> Make:
        """The function that makes the variant in `fmt`, imported now."""
        module, _, function = self.makers[fmt].partition(":")
        return cast(Make, getattr(importlib.import_module(module), function))


_CALIBRATION = "calibration data"
_TRAINABLE = "a Keras model and training data"

VARIANTS: dict[str, VariantSpec] = {
    spec.name: spec
    for spec in (
        VariantSpec(
            "fp32",
            "float32 as trained",
            (),
            {"onnx": "bench.export.onnx:fp32", "tflite": "bench.export.tflite:fp32"},
        ),
        VariantSpec(
            "fp16",
            "float16 weights (ONNX: and arithmetic), float32 in and out",
            (),
            {"onnx": "bench.export.half:onnx", "tflite": "bench.export.half:tflite"},
        ),
        VariantSpec(
            "int8",
            "static int8: ONNX QDQ, per channel; TFLite full integer, int8 in and out",
            (_CALIBRATION,),
            {"onnx": "bench.export.quantize:onnx_static", "tflite": "bench.export.quantize:tflite_static"},
        ),
        VariantSpec(
            "int8-dynamic",
            "int8 weights, activations quantised at run time",
            (),
            {"onnx": "bench.export.quantize:onnx_dynamic", "tflite": "bench.export.quantize:tflite_dynamic"},
        ),
        VariantSpec(
            "pruned",
            "small weights set to zero (magnitude, cubic schedule) with fine-tuning, float32",
            (_TRAINABLE,),
            {"onnx": "bench.export.prune:onnx", "tflite": "bench.export.prune:tflite"},
        ),
        VariantSpec(
            "pruned-int8",
            "pruned, then static int8",
            (_TRAINABLE, _CALIBRATION),
            {"onnx": "bench.export.prune:onnx_int8", "tflite": "bench.export.prune:tflite_int8"},
        ),
    )
}
