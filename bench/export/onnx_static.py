"""Static int8 in ONNX: calibrated once, then quantised with or without some of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.export.onnx_choice import Choice, named_layers
from bench.export.origin import Array, Feed

if TYPE_CHECKING:
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_TOLD = {
    "minmax": "by min and max",
    "entropy": "by entropy (Kullback-Leibler divergence)",
    "percentile": "by percentile",
}


class StaticQuantiser:
    """A float file on its way to QDQ int8. `ready` is what `quant_pre_process` made; `scratch` takes the ranges."""

    def __init__(self, shop: Workshop, ready: Path, scratch: Path, options: Options) -> None:
        from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

        self._shop = shop
        self._ready = ready
        self._scratch = scratch
        self._options = options
        self._calibration = shop.calibration()
        self._names = [spec.name for spec in shop.origin.inputs]
        self._layers = named_layers(ready, {*QDQRegistry, *QLinearOpsRegistry})

    def make(self, to: Path) -> list[str]:
        """Write the file without the layers that are excluded; notes. Raises `CannotMake`."""
        choice = Choice(self._shop, self._ready, self._scratch, self._layers, self.write)
        chosen = choice.make(to, str(self._options["exclude"]), float(self._options["max_loss"]))
        return [self._how(), *chosen]

    def write(self, to: Path, left_float: Sequence[str]) -> None:
        """Quantise every layer but `left_float`. The calibration runs once and is kept."""
        from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
        from onnxruntime.quantization import quantize_static as quantise

        calibration, names = self._calibration, self._names

        class Reader(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self._feeds: Iterator[Feed] = iter(calibration)

            def get_next(self) -> dict[str, Array] | None:
                feed = next(self._feeds, None)
                return None if feed is None else dict(zip(names, feed, strict=True))

        methods = {
            "minmax": CalibrationMethod.MinMax,
            "entropy": CalibrationMethod.Entropy,
            "percentile": CalibrationMethod.Percentile,
        }
        extra: dict[str, Any] = {"ActivationSymmetric": self._options["symmetric"], "WeightSymmetric": True}
        if self._options["calibration"] == "percentile":
            extra["CalibPercentile"] = self._options["percentile"]
        quantise(
            str(self._ready),
            str(to),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=bool(self._options["per_channel"]),
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(left_float),
            calibrate_method=methods[str(self._options["calibration"])],
            extra_options=extra,
            calibration_cache_path=self._scratch / "ranges.json",
        )

    def _how(self) -> str:
        method = str(self._options["calibration"])
        kept = f" {self._options['percentile']:g}" if method == "percentile" else ""
        per = "channel" if self._options["per_channel"] else "tensor"
        symmetric = "symmetric " if self._options["symmetric"] else ""
        return (
            f"QDQ, weights int8 per {per}, {symmetric}activations int8 {_TOLD[method]}{kept} "
            f"over {len(self._calibration)} calibration examples"
        )
