"""The integer variants in TFLite: static int8, int8 weights alone, and int16 activations with int8 weights."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.export import exclusion
from bench.export.choice import choose
from bench.export.errors import CannotMake
from bench.export.origin import Array, TfliteMode, predict
from bench.export.tflite_edge import FloatTflite
from bench.export.tflite_model import TfliteModel
from bench.export.variants import VARIANTS

if TYPE_CHECKING:
    from bench.export.pruned import Pruned
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_HONOURED = {"per_channel", "exclude", "max_loss"}


def static(shop: Workshop, to: Path, options: Options, *, pruned: Pruned | None = None) -> list[str]:
    """int8 weights, activations, inputs and outputs.

    The option `per_channel` gives each output channel of a kernel a scale of its own; `exclude` leaves layers float
    (names, or "auto": as few as it takes for a loss of at most `max_loss` on the calibration data).
    """
    _refuse_others(options)
    per_channel = bool(options["per_channel"])
    exclude = str(options["exclude"])
    if exclude == exclusion.NONE:
        mode: TfliteMode = "int8" if per_channel else "int8-per-tensor"
        return shop.origin.tflite(to, mode, pruned=pruned, calibration=shop.calibration())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        notes = shop.origin.tflite(path, "fp32", pruned=pruned)
        choice = _Choice(shop, path.read_bytes(), per_channel)
    content, chosen = choice.make(exclude, float(options["max_loss"]))
    to.write_bytes(content)
    kind = "channel" if per_channel else "tensor"
    return [
        *(notes if pruned is not None else []),
        f"static int8 by ai-edge-quantizer, weights per {kind}, calibrated on {choice.examples} examples; "
        "layers are called by their operator and place in the float file",
        *chosen,
    ]


def dynamic(shop: Workshop, to: Path, options: Options) -> list[str]:
    """int8 weights; activations quantised at run time. Raises `CannotMake` for an option that only ONNX has."""
    for name, spec in VARIANTS["int8-dynamic"].options.items():
        if name != "max_loss" and options[name] != spec.default:
            raise CannotMake(f"TFLite's dynamic quantiser has no option {name}: leave it at {spec.default!r}")
    return shop.origin.tflite(to, "int8-dynamic")


def int16x8(shop: Workshop, to: Path, options: Options) -> list[str]:
    """int16 activations, inputs and outputs, int8 weights."""
    notes = shop.origin.tflite(to, "int16x8", calibration=shop.calibration())
    return [
        *notes,
        "int16 activations, inputs and outputs, int8 weights: made for signal processors; "
        "XNNPACK has no int16 operators, so that LiteRT's plain kernels run it on a CPU",
    ]


class _Choice:
    """A float file on its way to int8 with some of its layers left float."""

    def __init__(self, shop: Workshop, content: bytes, per_channel: bool) -> None:
        calibration = shop.calibration()
        self._shop = shop
        self._content = content
        self._order = [spec.name for spec in shop.origin.inputs], [spec.name for spec in shop.origin.outputs]
        self._source = FloatTflite(content, self._order[0], calibration)
        self._per_channel = per_channel
        self.examples = len(calibration)

    def make(self, exclude: str, max_loss: float) -> tuple[bytes, list[str]]:
        """The file without the excluded layers, and notes. Raises `CannotMake`."""
        layers = self._source.integer_layers(self._without(()))
        if not layers:
            raise CannotMake("the quantiser found no operator that it quantises")
        left_float, notes = choose(self._shop, layers, exclude, max_loss, self._outputs, self._source.tensor_names())
        return self._without(left_float), notes

    def _without(self, left_float: Sequence[str]) -> bytes:
        return self._source.static(per_channel=self._per_channel, left_float=left_float)

    def _outputs(self, left_float: Sequence[str] | None, columns: Sequence[Array]) -> list[Array]:
        content = self._content if left_float is None else self._without(left_float)
        return predict(TfliteModel(content, self._order).run, columns, self._shop.origin.inputs)


def _refuse_others(options: Options) -> None:
    """Raise `CannotMake` for an option of int8 that only ONNX has, where it was asked for."""
    for name, spec in VARIANTS["int8"].options.items():
        if name not in _HONOURED and options[name] != spec.default:
            raise CannotMake(f"TFLite's quantisers have no option {name}: leave it at {spec.default!r}")
