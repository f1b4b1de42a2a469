"""The tensors of a TFLite file while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.export.layers import INPUT, Step
from bench.export.origin import Array, Feed
from bench.export.tflite_facts import operator_name
from bench.export.tflite_model import TfliteModel
from bench.record.artifact import Artifact


class TfliteRecorder(TfliteModel):
    """A TFLite file run by LiteRT's own kernels, without a delegate, that keeps every tensor of its main graph."""

    def __init__(self, path: Path, artifact: Artifact) -> None:
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = path.read_bytes()
        super().__init__(content)
        self.inputs, self.outputs = artifact.inputs, artifact.outputs
        self._interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self._made, self.steps = _steps(schema.ModelT.InitFromPackedBuf(content, 0))

    def record(self, feed: Feed) -> Mapping[str, Array]:
        """See `Recorder.record`."""
        self.run(feed)
        kept = {}
        for details in self._interpreter.get_tensor_details():
            if details["index"] in self._made:
                real = _real(self._interpreter.get_tensor(details["index"]), details)
                if real is not None:
                    kept[details["name"]] = real
        return kept


def _steps(model: Any) -> tuple[set[int], Sequence[Step]]:
    """The tensors that change, by index, and the operators of the main graph in the file's order."""
    graph = model.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    made = {int(index) for index in graph.inputs}
    steps = [Step(names[index], INPUT) for index in sorted(made)]
    for op in graph.operators:
        inputs = [int(index) for index in (op.inputs if op.inputs is not None else ()) if int(index) in made]
        outputs = [int(index) for index in (op.outputs if op.outputs is not None else ()) if index >= 0]
        if inputs:
            operator = operator_name(model, op)
            steps += [Step(names[index], operator, tuple(names[at] for at in inputs)) for index in outputs]
            made.update(outputs)
    return made, steps


def _real(stored: Array, details: dict[str, Any]) -> Array | None:
    """Real values of a float or affine-quantised tensor; None for other kinds."""
    if stored.dtype.kind == "f":
        return stored
    parameters = details["quantization_parameters"]
    if len(parameters["scales"]) != 1:
        return None
    real: Array = (stored.astype(np.float64) - int(parameters["zero_points"][0])) * float(parameters["scales"][0])
    return real
