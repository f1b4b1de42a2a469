"""Which operators of an ONNX file stay float, by name or by what is measured on the calibration data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from bench.export import exclusion
from bench.export.choice import choose
from bench.export.errors import CannotMake
from bench.export.origin import Array, Feed, predict

if TYPE_CHECKING:
    from bench.export.workshop import Workshop

Write = Callable[[Path, Sequence[str]], None]


class Choice:
    """`write` makes the integer file of `ready` without the operators that it is given; `layers` are all of them."""

    def __init__(self, shop: Workshop, ready: Path, scratch: Path, layers: Sequence[str], write: Write) -> None:
        self._shop = shop
        self._ready = ready
        self._trial = scratch / "trial.onnx"
        self._layers = layers
        self._write = write

    def make(self, to: Path, exclude: str, max_loss: float) -> list[str]:
        """Write the file; notes. Raises `CannotMake`."""
        if exclude == exclusion.NONE:
            self._write(to, ())
            return []
        if exclude != exclusion.AUTO and self._shop.material.calibration is None:
            names = exclusion.named(exclude, self._layers)
            self._write(to, names)
            return [f"left float as asked: {', '.join(names)}; {len(self._layers) - len(names)} layers are int8"]
        layers, notes = choose(self._shop, self._layers, exclude, max_loss, self._without)
        self._write(to, layers)
        return notes

    def _without(self, left_float: Sequence[str] | None, columns: Sequence[Array]) -> list[Array]:
        if left_float is None:
            return self._outputs(self._ready, columns)
        self._write(self._trial, left_float)
        return self._outputs(self._trial, columns)

    def _outputs(self, path: Path, columns: Sequence[Array]) -> list[Array]:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [spec.name for spec in self._shop.origin.inputs]
        outputs = [spec.name for spec in self._shop.origin.outputs]

        def run(feed: Feed) -> list[Array]:
            return list(session.run(outputs, dict(zip(names, feed, strict=True))))

        return predict(run, columns, self._shop.origin.inputs)


def named_layers(path: Path, known: Collection[str]) -> list[str]:
    """The operators of the kinds `known`, in their order, each with a name of its own, which is written back.

    Raises:
        CannotMake: there is none.
    """
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
