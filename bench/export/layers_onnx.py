"""The tensors of an ONNX file while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from bench.export.layers import INPUT, Step
from bench.export.origin import Array, Feed
from bench.record.artifact import Artifact


class OnnxRecorder:
    """An ONNX file with every tensor of its main graph among its outputs, run by onnxruntime without optimisation.

    A tensor that a QDQ file quantises is what comes out of its DequantizeLinear.
    """

    def __init__(self, path: Path, artifact: Artifact) -> None:
        model = onnx.load(str(path))
        constant = {tensor.name for tensor in model.graph.initializer}
        inputs = [spec.name for spec in artifact.inputs]
        self.steps: Sequence[Step] = [Step(name, INPUT) for name in inputs] + _steps(model.graph, constant)
        outputs = {value.name for value in model.graph.output}
        made = [name for node in model.graph.node for name in node.output if name]
        # The runtime finds the types itself.
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made if name not in outputs)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        content = model.SerializeToString()
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._inputs = inputs

    def record(self, feed: Feed) -> Mapping[str, Array]:
        """See `Recorder.record`."""
        from onnxruntime.quantization.qdq_loss_debug import create_activation_matching

        given = dict(zip(self._inputs, feed, strict=True))
        names = [output.name for output in self._session.get_outputs()]
        # Sequences and maps are no layers.
        arrays = {
            name: value
            for name, value in zip(names, self._session.run(names, given), strict=True)
            if isinstance(value, np.ndarray)
        }
        kept = {name: array for name, array in (given | arrays).items() if array.dtype.kind == "f"}
        matched = create_activation_matching({name: [array] for name, array in kept.items()})
        return kept | {name: pair["post_qdq"][0] for name, pair in matched.items()}


def _steps(graph: onnx.GraphProto, constant: set[str]) -> list[Step]:
    """The nodes in the file's order, which is one of execution; what is made of constants alone is constant too."""
    steps = []
    for node in graph.node:
        inputs = tuple(name for name in node.input if name and name not in constant)
        if not inputs:
            constant.update(node.output)
        else:
            steps += [Step(name, node.op_type, inputs) for name in node.output if name]
    return steps
