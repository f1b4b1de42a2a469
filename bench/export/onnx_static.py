"""Static int8 in ONNX: calibrated once, then quantised with or without some of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from bench.export import exclusion
from bench.export.errors import CannotMake
from bench.export.origin import Array, Feed, predict

if TYPE_CHECKING:
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_NOISE_EXAMPLES = 64
_TOLD = {
    "minmax": "by min and max",
    "entropy": "by entropy (Kullback-Leibler divergence)",
    "percentile": "by percentile",
}


class StaticQuantiser:
    """A float file on its way to QDQ int8. `ready` is what `quant_pre_process` made; `scratch` takes the ranges."""

    def __init__(self, shop: Workshop, ready: Path, scratch: Path, options: Options) -> None:
        self._shop = shop
        self._ready = ready
        self._scratch = scratch
        self._options = options
        self._calibration = shop.calibration()
        self._names = [spec.name for spec in shop.origin.inputs]
        self.layers = _named_layers(ready)

    def make(self, to: Path) -> list[str]:
        """Write the file without the layers that are excluded; notes. Raises `CannotMake`."""
        exclude = str(self._options["exclude"])
        chosen: list[str] = []
        if exclude == exclusion.NONE:
            self.write(to, ())
        else:
            found, decisions = self._found(exclude)
            self.write(to, found.layers)
            chosen = exclusion.about(found, len(self.layers), len(self._calibration), decisions=decisions)
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

    def _found(self, exclude: str) -> tuple[exclusion.Exclusion, bool]:
        columns = self._shop.material.calibration or ()
        reference = self._outputs(self._ready, columns)
        task = self._shop.card.task if self._shop.card is not None else None
        decisions = exclusion.decides(reference, task=task, labels=self._shop.material.labels)

        def loss_of(left_float: Sequence[str]) -> float:
            return exclusion.loss(reference, self._without(left_float, columns), decisions=decisions)

        if exclude != exclusion.AUTO:
            names = exclusion.named(exclude, self.layers)
            losses = {count: loss_of(names[:count]) for count in (0, len(names))}
            return exclusion.Exclusion(tuple(names), losses), decisions
        step = max(1, len(self._calibration) // _NOISE_EXAMPLES)
        few = [column[::step] for column in columns]
        expected = [output[::step] for output in reference]

        def noise_of(left_float: Sequence[str]) -> float:
            return exclusion.noise(expected, self._without(left_float, few))

        self._shop.report(f"measuring how much each of {len(self.layers)} layers loses in int8")
        found = exclusion.smallest_exclusion(self.layers, noise_of, loss_of, float(self._options["max_loss"]))
        return found, decisions

    def _without(self, left_float: Sequence[str], columns: Sequence[Array]) -> list[Array]:
        trial = self._scratch / "trial.onnx"
        self.write(trial, left_float)
        return self._outputs(trial, columns)

    def _outputs(self, path: Path, columns: Sequence[Array]) -> list[Array]:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        outputs = [spec.name for spec in self._shop.origin.outputs]

        def run(feed: Feed) -> list[Array]:
            return list(session.run(outputs, dict(zip(self._names, feed, strict=True))))

        return predict(run, columns, self._shop.origin.inputs)

    def _how(self) -> str:
        method = str(self._options["calibration"])
        kept = f" {self._options['percentile']:g}" if method == "percentile" else ""
        per = "channel" if self._options["per_channel"] else "tensor"
        symmetric = "symmetric " if self._options["symmetric"] else ""
        return (
            f"QDQ, weights int8 per {per}, {symmetric}activations int8 {_TOLD[method]}{kept} "
            f"over {len(self._calibration)} calibration examples"
        )


def _named_layers(path: Path) -> list[str]:
    """The operators that can be quantised, in their order, each with a name of its own, which is written back."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    known = {*QDQRegistry, *QLinearOpsRegistry}
    model = onnx.load(str(path))
    taken = {node.name for node in model.graph.node}
    layers, seen = [], set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{number}"
            while node.name in taken:
                node.name += "_"
        seen.add(node.name)
        if node.op_type in known:
            layers.append(node.name)
    if not layers:
        raise CannotMake("the quantiser found no operator that it quantises")
    onnx.save(model, str(path))
    return layers
