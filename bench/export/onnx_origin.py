"""A user's `.onnx` file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from bench.errors import UserError
from bench.export.errors import CannotMake
from bench.export.inputs import Descriptions, resolve
from bench.export.onnx import slim
from bench.export.onnx_facts import input_specs, output_specs
from bench.export.onnx_prune import PrunedGraph, prune_graph
from bench.export.origin import Array, Feed, TfliteMode, feeds
from bench.export.pruned import Pruned
from bench.export.quantize import close
from bench.record.artifact import TensorSpec

_KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
_QUANTISED = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
}
_TRIED = 4
LARGEST_BYTES = 2**31 - 2**20
"""Of the weights of one file: the limit of protocol buffers, less a mebibyte for the graph."""


class OnnxOrigin:
    """An ONNX model run by onnxruntime on the CPU, as it was given.

    `axes` names the axes of the inputs that have a name. `trial` holds inputs that the model is known to take.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self._path = path
        self._seed = seed
        self._made: dict[Pruned, PrunedGraph] = {}
        self.trial: tuple[Array, ...] = ()
        try:
            self._model = onnx.load(str(path))
        except Exception as error:  # protobuf's DecodeError, onnx's checks of external data
            raise UserError(
                f"the file is not a whole .onnx model: {_said(error)}",
                where=str(path),
                remedy="export or download it again",
            ) from error
        _check_operators(self._model, path)
        try:
            self.inputs = input_specs(self._model)
            self.outputs = output_specs(self._model)
            _check_types((*self.inputs, *self.outputs))
        except TypeError as error:
            raise UserError(
                f"the model's {error}",
                where=str(path),
                remedy="export a model that takes and gives arrays of numbers; text is prepared before it",
            ) from error
        self.axes = _axis_names(self._model)
        try:
            self._session = ort.InferenceSession(str(path), _quiet(), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common base class
            raise UserError(
                f"onnxruntime cannot load the model: {_said(error)}", where=str(path), remedy="check or export it again"
            ) from error
        self.not_float = _why_not_float(self._model)

    def run(self, feed: Feed) -> list[Array]:
        """See `Origin.run`."""
        try:
            return _run(self._session, [s.name for s in self.inputs], [s.name for s in self.outputs], feed)
        except Exception as error:  # as above
            raise UserError(
                f"the model does not run on these inputs: {_said(error)}",
                where=str(self._path),
                remedy="describe its inputs with --inputs, or give some with --data",
            ) from error

    def float_onnx(self, to: Path, *, pruned: Pruned | None = None) -> list[str]:
        """The given file, simplified where that changes nothing it says; pruned in one shot where asked."""
        if pruned is not None:
            made = self._pruned(pruned)
            _save(made.model, to)
            return list(made.notes)
        if self.not_float is not None:
            _save(self._model, to)
            return [f"the file as given: {self.not_float}"]
        model, notes = self._simplified()
        _save(model, to)
        return notes

    def tflite(
        self, to: Path, mode: TfliteMode, *, pruned: Pruned | None = None, calibration: Sequence[Feed] = ()
    ) -> list[str]:
        """See `Origin.tflite`."""
        raise CannotMake("an ONNX file cannot be turned into TFLite here")

    def pruned_zeros(self, pruned: Pruned) -> float:
        """See `Origin.pruned_zeros`."""
        return self._pruned(pruned).zeros

    def _pruned(self, pruned: Pruned) -> PrunedGraph:
        if pruned not in self._made:
            self._made[pruned] = prune_graph(self._simplified()[0], pruned)
        return self._made[pruned]

    def _simplified(self) -> tuple[onnx.ModelProto, list[str]]:
        _check_size(self._model)
        copy = onnx.ModelProto()
        copy.CopyFrom(self._model)
        slimmed, notes = slim(copy)
        if not notes:
            notes = self._disagreement(slimmed)
        return (self._model, notes) if notes else (slimmed, ["the given file, simplified by onnxslim"])

    def _disagreement(self, slimmed: onnx.ModelProto) -> list[str]:
        """A note where the simplified graph has other inputs or outputs, or says something else."""
        names = [s.name for s in self.inputs], [s.name for s in self.outputs]
        try:
            if (input_specs(slimmed), [s.name for s in output_specs(slimmed)]) != (self.inputs, names[1]):
                return ["not simplified: onnxslim changed the inputs or outputs"]
            session = ort.InferenceSession(slimmed.SerializeToString(), _quiet(), providers=["CPUExecutionProvider"])
            trial = self.trial or resolve(Descriptions(), self.inputs, ()).generated(_TRIED, self._seed)
            for feed in feeds([array[:_TRIED] for array in trial], self.inputs):
                given = self.run(feed)
                if not close(_run(session, *names, feed), given):
                    return ["not simplified: the simplified graph gave other outputs"]
        except UserError:
            return ["not simplified: the model does not run on generated inputs, so that nothing could be compared"]
        except Exception as error:  # as above
            return [f"not simplified: the simplified graph does not run ({_said(error)})"]
        return []


def _check_types(specs: Sequence[TensorSpec]) -> None:
    """Raises `TypeError` for a type that NumPy does not know."""
    for spec in specs:
        if np.dtype(spec.dtype).kind not in "iufb":
            raise TypeError(f"{spec.name!r} is {spec.dtype}")


def _axis_names(model: onnx.ModelProto) -> dict[str, list[str | None]]:
    return {
        value.name: [dim.dim_param or None for dim in value.type.tensor_type.shape.dim] for value in model.graph.input
    }


def _save(model: onnx.ModelProto, to: Path) -> None:
    """Write one file. Raises `CannotMake` where it would be too large for one."""
    _check_size(model)
    onnx.save(model, str(to))


def _check_size(model: onnx.ModelProto) -> None:
    # Protocol buffers cannot even tell the size of a message beyond the limit; its weights tell enough.
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if weights > LARGEST_BYTES:
        raise CannotMake(
            f"its weights take {weights / 2**30:.1f} GiB, over the {LARGEST_BYTES / 2**30:.1f} GiB of an ONNX file"
        )


def _run(session: Any, inputs: Sequence[str], outputs: Sequence[str], feed: Feed) -> list[Array]:
    return list(session.run(list(outputs), dict(zip(inputs, feed, strict=True))))


def _quiet() -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return options


def _check_operators(model: onnx.ModelProto, path: Path) -> None:
    own = {(function.domain, function.name) for function in model.functions}

    def visit(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            standard = node.domain in ("", "ai.onnx")
            known = onnx.defs.has(node.op_type, "") if standard else node.domain in _KNOWN_DOMAINS
            if not known and (node.domain, node.op_type) not in own:
                raise UserError(
                    f"the model needs the operator {node.op_type!r} of domain {node.domain or 'ai.onnx'!r}, "
                    "which onnxruntime does not have",
                    where=f"{path}: node {node.name or '(unnamed)'}",
                    remedy="export the model without custom operators",
                )
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    if inner.node:
                        visit(inner)

    visit(model.graph)


def _why_not_float(model: onnx.ModelProto) -> str | None:
    if any(node.op_type in _QUANTISED or "QAttention" in node.op_type for node in model.graph.node):
        return "the file is already quantised"
    sizes: dict[str, int] = {}
    for tensor in model.graph.initializer:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if dtype.kind in "fV":
            count = 1
            for axis in tensor.dims:
                count *= axis
            sizes[dtype.name] = sizes.get(dtype.name, 0) + count
    main = max(sizes, key=lambda name: sizes[name], default="float32")
    return None if main == "float32" else f"the file is {main}, not float32"


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:240]
