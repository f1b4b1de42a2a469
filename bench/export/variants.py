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
_PRODUCTS = "matrix products with constant weights"

_EXCLUDE = {
    "exclude": OptionSpec(
        "", "layers that stay float: names with commas between, or auto: as few as it takes to keep to max_loss"
    ),
    "max_loss": OptionSpec(
        0.02,
        "for exclude = auto: decisions that differ from float (95 % bound; else 1 - cosine), on calibration data",
        low=0,
        high=1,
    ),
}
_INT8 = {
    "calibration": OptionSpec(
        "minmax", "how ranges of activations are found (ONNX)", choices=("minmax", "entropy", "percentile")
    ),
    "percentile": OptionSpec(99.99, "share of values within the range, for calibration = percentile", low=50, high=100),
    "per_channel": OptionSpec(True, "a scale for each output channel of a kernel, or one for all"),
    "symmetric": OptionSpec(False, "activations with their zero at 0 (ONNX)"),
    **_EXCLUDE,
}
_EPOCHS = {"epochs": OptionSpec(-1, "epochs of fine-tuning; -1: as the model's card says, 0: one shot", low=-1)}
_SPARSITY = {
    "sparsity": OptionSpec(0.0, "share of zeros in every kernel; 0: as the card says", low=0, high=0.99),
    **_EPOCHS,
}
_CHANNELS = {
    "keep": OptionSpec(0.5, "share of the channels that stay", low=0.05, high=0.95),
    "norm": OptionSpec("l2", "what makes a channel important: this norm of its filter", choices=("l1", "l2")),
    **_EPOCHS,
}

VARIANTS: dict[str, VariantSpec] = {
    spec.name: spec
    for spec in (
        VariantSpec(
            "fp32",
            "float32 as trained",
            (),
            {"onnx": "bench.export.onnx:fp32", "tflite": "bench.export.tflite:fp32"},
            {"opset": OptionSpec(0, "ONNX: convert to this opset; 0: as it is", low=0)},
        ),
        VariantSpec(
            "fp16",
            "float16 weights (ONNX: and arithmetic), float32 in and out",
            (),
            {"onnx": "bench.export.half:onnx", "tflite": "bench.export.half:tflite"},
            {
                "block": OptionSpec("", "ONNX: operators or nodes that stay float32, with commas between"),
                "overflow": OptionSpec(
                    "block",
                    "ONNX: nodes whose results leave float16's range stay float32, or are only reported",
                    choices=("block", "report"),
                ),
            },
        ),
        VariantSpec(
            "bf16",
            "bfloat16 weights, float32 arithmetic",
            (),
            {"onnx": "bench.export.bfloat:weights"},
        ),
        VariantSpec(
            "int8",
            "static int8: ONNX QDQ; TFLite full integer, int8 in and out",
            (_CALIBRATION,),
            {"onnx": "bench.export.quantize:onnx_static", "tflite": "bench.export.tflite_quantize:static"},
            _INT8,
        ),
        VariantSpec(
            "int8-dynamic",
            "int8 weights, activations quantised at run time",
            (),
            {"onnx": "bench.export.quantize:onnx_dynamic", "tflite": "bench.export.tflite_quantize:dynamic"},
            {"weights": OptionSpec("int8", "type of the weights (ONNX)", choices=("int8", "uint8")), **_EXCLUDE},
        ),
        VariantSpec(
            "int16x8",
            "int16 activations, int8 weights",
            (_CALIBRATION,),
            {"tflite": "bench.export.tflite_quantize:int16x8"},
        ),
        VariantSpec(
            "int4",
            "int4 weights of matrix products (MatMulNBits), float32 arithmetic: for transformers",
            (_PRODUCTS,),
            {"onnx": "bench.export.int4:weights"},
            {
                "block_size": OptionSpec(32, "weights that share a scale", choices=(16, 32, 64, 128, 256)),
                "symmetric": OptionSpec(True, "zero at 0, or a zero point for every block"),
                "accuracy_level": OptionSpec(
                    0,
                    "type of the products: 1 float32, 2 float16, 3 bfloat16, 4 int8; 0: the runtime's choice",
                    low=0,
                    high=4,
                ),
            },
        ),
        VariantSpec(
            "int8-qat",
            "fine-tuned with rounded weights and activations (quantisation-aware), then static int8",
            (_TRAINABLE, _CALIBRATION),
            {"onnx": "bench.export.qat:onnx", "tflite": "bench.export.qat:tflite"},
            {
                "epochs": OptionSpec(3, "epochs of fine-tuning", low=1),
                # A tenth of what trains a model: weights are to move by rounding steps, not to another minimum.
                "learning_rate": OptionSpec(1e-4, "of the fine-tuning", low=1e-9, high=1),
                **_INT8,
            },
        ),
        VariantSpec(
            "pruned",
            "small weights set to zero (magnitude), fine-tuned where there is training data, float32",
            (),
            {"onnx": "bench.export.prune:onnx", "tflite": "bench.export.prune:tflite"},
            _SPARSITY,
        ),
        VariantSpec(
            "pruned-int8",
            "pruned, then static int8",
            (_CALIBRATION,),
            {"onnx": "bench.export.prune:onnx_int8", "tflite": "bench.export.prune:tflite_int8"},
            {**_SPARSITY, **_INT8},
        ),
        VariantSpec(
            "pruned-nm",
            "the n largest of every m weights along the input channels stay, float32",
            (),
            {"onnx": "bench.export.prune:nm_onnx", "tflite": "bench.export.prune:nm_tflite"},
            {
                "n": OptionSpec(2, "weights that stay in a group", low=1),
                "m": OptionSpec(4, "weights in a group", low=2),
                **_EPOCHS,
            },
        ),
        VariantSpec(
            "pruned-channels",
            "whole channels removed: a smaller dense model, float32",
            (),
            {"onnx": "bench.export.prune:channels_onnx", "tflite": "bench.export.prune:channels_tflite"},
            _CHANNELS,
        ),
        VariantSpec(
            "pruned-channels-int8",
            "channels removed, then static int8",
            (_CALIBRATION,),
            {"onnx": "bench.export.prune:channels_onnx_int8", "tflite": "bench.export.prune:channels_tflite_int8"},
            {**_CHANNELS, **_INT8},
        ),
    )
}
