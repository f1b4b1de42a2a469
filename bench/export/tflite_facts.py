"""What a TFLite file says of itself, read from the flatbuffer and, for shapes, from the interpreter."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from bench.export.facts import Facts
from bench.record.artifact import TensorSpec

_PRODUCTS = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 1,
    "FULLY_CONNECTED": 1,
    "TRANSPOSE_CONV": 1,
    "CONV_3D": 1,
    "BATCH_MATMUL": 1,
}
_UNCOUNTED = {
    "CUSTOM",
    "WHILE",
    "IF",
    "CALL_ONCE",
    "LSTM",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "RNN",
    "SVDF",
    "CONV_3D",
}


class TfliteFacts(Facts, frozen=True, kw_only=True):
    """Facts of a TFLite file: also whether it holds affine-quantised integers, and float16 constants."""

    quantised: bool
    half: bool


def facts(content: bytes, order: tuple[Sequence[str], Sequence[str]] | None = None) -> TfliteFacts:
    """Read a model. `order` gives the source's input and output names, which are the signature's.

    Raises:
        ValueError: LiteRT does not load it.
    """
    from ai_edge_litert import schema_py_generated as schema

    inputs, outputs = specs(content, order)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = _Graph(model, schema, _shapes_of_one(content))
    weights = graph.product_weights()
    total = sum(count for count, _ in weights) if weights is not None else 0
    macs = graph.macs()
    return TfliteFacts(
        inputs=inputs,
        outputs=outputs,
        parameters=graph.parameters(),
        macs=None if macs is None else sum(macs.values()),
        sparsity=sum(zeros for _, zeros in weights or []) / total if total else None,
        quantised_nodes=graph.share_quantised(dict.fromkeys(graph.products(), 1)),
        quantised_macs=None if macs is None else graph.share_quantised(macs),
        operators=graph.operators(),
        quantised=graph.is_quantised(),
        half=graph.has_half(),
    )


def specs(
    content: bytes, order: tuple[Sequence[str], Sequence[str]] | None = None
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs; axis 0 is None where the model runs with another batch. Raises ValueError."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    given, made = interpreter.get_input_details(), interpreter.get_output_details()
    signatures = interpreter.get_signature_list()
    if order is not None and len(signatures) == 1:
        runner = interpreter.get_signature_runner(next(iter(signatures)))
        by_input, by_output = runner.get_input_details(), runner.get_output_details()
        if set(by_input) == set(order[0]) and set(by_output) == set(order[1]):
            given = [by_input[name] for name in order[0]]
            made = [by_output[name] for name in order[1]]
    free = _runs_with_batch_of_two(content)
    return tuple(_spec(d, free) for d in given), tuple(_spec(d, free) for d in made)


def _spec(details: dict[str, Any], free: bool) -> TensorSpec:
    shape = [int(axis) for axis in details["shape"]]
    signature = [int(axis) for axis in details.get("shape_signature", shape)] or shape
    axes: list[int | None] = [
        have if axis == 0 or want >= 0 else None for axis, (have, want) in enumerate(zip(shape, signature, strict=True))
    ]
    if axes:
        axes[0] = None if free else shape[0]
    scale, zero_point = details["quantization"]
    quantised = bool(scale)
    return TensorSpec(
        name=details["name"],
        dtype=np.dtype(details["dtype"]).name,
        shape=tuple(axes),
        scale=float(scale) if quantised else None,
        zero_point=int(zero_point) if quantised else None,
    )


def _runs_with_batch_of_two(content: bytes) -> bool:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    details = interpreter.get_input_details()
    if not all(len(d["shape"]) and d["shape"][0] == 1 for d in details):
        return False
    try:
        for d in details:
            interpreter.resize_tensor_input(d["index"], [2, *(int(a) for a in d["shape"][1:])])
        interpreter.allocate_tensors()
        for d in interpreter.get_input_details():
            interpreter.set_tensor(d["index"], np.zeros(d["shape"], d["dtype"]))
        interpreter.invoke()
        shapes = [interpreter.get_tensor(d["index"]).shape for d in interpreter.get_output_details()]
    except (RuntimeError, ValueError):
        return False
    return all(shape and shape[0] == 2 for shape in shapes)


def _shapes_of_one(content: bytes) -> dict[int, list[int]]:
    """The shape of every tensor for one example: the file has 1 for an axis that a reshape leaves open."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    return {int(d["index"]): [int(axis) for axis in d["shape"]] for d in interpreter.get_tensor_details()}


def operator_name(model: Any, op: Any) -> str:
    """What the schema calls an operator of `model` (a `ModelT`), such as CONV_2D; UNKNOWN where it does not."""
    code = model.operatorCodes[op.opcodeIndex]
    # Old files keep the operator in one byte, newer ones in four.
    return _builtin_names().get(max(code.builtinCode, code.deprecatedBuiltinCode), "UNKNOWN")


@cache
def _builtin_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


class _Graph:
    """The main subgraph of a flatbuffer. `shapes` are those of its tensors for one example, by index."""

    def __init__(self, model: Any, schema: Any, shapes: dict[int, list[int]]) -> None:
        self._model = model
        self._shapes = shapes
        self._main = model.subgraphs[0]
        types = {
            "FLOAT32": np.float32,
            "FLOAT16": np.float16,
            "FLOAT64": np.float64,
            "INT8": np.int8,
            "UINT8": np.uint8,
            "INT16": np.int16,
            "INT32": np.int32,
            "INT64": np.int64,
        }
        self._dtypes = {getattr(schema.TensorType, name): np.dtype(kind) for name, kind in types.items()}
        self._made_by = {int(t): op for op in self._main.operators for t in op.outputs}

    def operators(self) -> dict[str, int]:
        """How many of each operator, all subgraphs."""
        found = Counter(self._name(op) for graph in self._model.subgraphs for op in graph.operators)
        return dict(sorted(found.items()))

    def is_quantised(self) -> bool:
        """Whether any tensor holds affine-quantised integers, those of less than a byte included."""
        return any(
            _scales(tensor) is not None and ((dtype := self._dtype(tensor)) is None or dtype.kind in "iu")
            for graph in self._model.subgraphs
            for tensor in graph.tensors
        )

    def has_half(self) -> bool:
        """Whether any constant is float16."""
        return any(self._dtype(t) == np.float16 and self._bytes(t) is not None for t in self._main.tensors)

    def product_weights(self) -> list[tuple[int, int]] | None:
        """(count, zeros) of the weights of every matrix product and convolution; None where one is not readable."""
        seen: dict[int, tuple[int, int]] = {}
        for op in self._main.operators:
            place = _PRODUCTS.get(self._name(op))
            if place is None:
                continue
            tensor, index = self._behind(int(op.inputs[place]))
            raw = self._bytes(tensor)
            if raw is None:
                continue
            dtype = self._dtype(tensor)
            if dtype is None or len(raw) != dtype.itemsize * math.prod(int(a) for a in _shape(tensor)):
                return None
            values = np.frombuffer(raw, dtype).reshape(_shape(tensor))
            seen[index] = (values.size, int(np.count_nonzero(values == _zero(tensor))))
        return list(seen.values())

    def parameters(self) -> int | None:
        """Real-valued constants: floats, and integers with a scale."""
        if len(self._model.subgraphs) > 1:
            return None
        by_buffer: dict[int, int] = {}
        for tensor in self._main.tensors:
            dtype = self._dtype(tensor)
            real = _scales(tensor) is not None or (dtype is not None and dtype.kind == "f")
            if real and self._bytes(tensor) is not None:
                by_buffer[tensor.buffer] = math.prod(_shape(tensor))
        return sum(by_buffer.values())

    def products(self) -> list[int]:
        """The places of the matrix products and convolutions among the operators."""
        return [place for place, op in enumerate(self._main.operators) if self._name(op) in _PRODUCTS]

    def share_quantised(self, weight: dict[int, int]) -> float | None:
        """The share of `weight`, by place of a product, on products whose weights are stored as integers."""
        total = sum(weight.values())
        integer = sum(count for place, count in weight.items() if self._on_integers(self._main.operators[place]))
        return integer / total if total else None

    def _on_integers(self, op: Any) -> bool:
        tensor, _ = self._behind(int(op.inputs[_PRODUCTS[self._name(op)]]))
        return _scales(tensor) is not None

    def macs(self) -> dict[int, int] | None:
        """Multiply-accumulates for one example by the place of a product; None where one is not understood."""
        if _UNCOUNTED & set(self.operators()):
            return None
        inputs = [self._main.tensors[i] for i in self._main.inputs]
        free = [int(a) for t in inputs if t.shapeSignature is not None for a in list(t.shapeSignature)[1:]]
        if any(axis < 0 for axis in free):
            return None
        found = {}
        for place in self.products():
            op = self._main.operators[place]
            name = self._name(op)
            weights = self._shape_of_one(int(op.inputs[1]))
            made = math.prod(self._shape_of_one(int(op.outputs[0])))
            match name:
                case "CONV_2D":
                    found[place] = made * math.prod(weights[1:])
                case "DEPTHWISE_CONV_2D":
                    found[place] = made * math.prod(weights[1:3])
                case "FULLY_CONNECTED":
                    found[place] = made * weights[-1]
                case "TRANSPOSE_CONV":
                    given = math.prod(self._shape_of_one(int(op.inputs[2])))
                    found[place] = given * weights[0] * math.prod(weights[1:3])
                case _:
                    turned = bool(getattr(op.builtinOptions, "adjY", False))
                    found[place] = made * weights[-1 if turned else -2]
        return found

    def _shape_of_one(self, index: int) -> list[int]:
        return self._shapes.get(index, _shape(self._main.tensors[index]))

    def _name(self, op: Any) -> str:
        return operator_name(self._model, op)

    def _behind(self, index: int) -> tuple[Any, int]:
        op = self._made_by.get(index)
        while op is not None and self._name(op) in ("DEQUANTIZE", "TRANSPOSE", "RESHAPE"):
            index = int(op.inputs[0])
            op = self._made_by.get(index)
        return self._main.tensors[index], index

    def _bytes(self, tensor: Any) -> Any | None:
        data = self._model.buffers[tensor.buffer].data
        return None if data is None or not len(data) else np.asarray(data, np.uint8).tobytes()

    def _dtype(self, tensor: Any) -> np.dtype[Any] | None:
        return self._dtypes.get(tensor.type)


def _shape(tensor: Any) -> list[int]:
    return [] if tensor.shape is None else [int(axis) for axis in tensor.shape]


def _scales(tensor: Any) -> Any | None:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or not len(quantization.scale):
        return None
    return quantization.scale


def _zero(tensor: Any) -> Any:
    if _scales(tensor) is None or tensor.quantization.zeroPoint is None:
        return 0
    points = np.asarray(tensor.quantization.zeroPoint)
    if points.size <= 1:
        return int(points[0]) if points.size else 0
    shape = [1] * len(_shape(tensor))
    shape[tensor.quantization.quantizedDimension] = -1
    return points.reshape(shape)
