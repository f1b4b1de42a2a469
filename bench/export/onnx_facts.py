"""What an ONNX file says of itself."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from bench.export.facts import Facts
from bench.record.artifact import TensorSpec

_PRODUCTS = {
    "Conv": 1,
    "ConvTranspose": 1,
    "ConvInteger": 1,
    "QLinearConv": 3,
    "MatMul": 1,
    "Gemm": 1,
    "MatMulInteger": 1,
    "QLinearMatMul": 3,
    "MatMulNBits": 1,
}
"""Operators whose weights are counted, and which input they are."""

_INTEGER = {"ConvInteger", "QLinearConv", "MatMulInteger", "QLinearMatMul", "MatMulNBits"}
_CONTROL = {"If", "Loop", "Scan"}
_MULTIPLY = ("Conv", "MatMul", "Gemm", "Einsum", "LSTM", "GRU", "RNN", "Attention", "MoE")
"""Operators that multiply, in whatever domain, have one of these in their names."""
_STORED: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "QuantizeLinear": ((), (1, 2)),
    "DequantizeLinear": ((0,), (1, 2)),
    "ConvInteger": ((1,), ()),
    "MatMulInteger": ((1,), ()),
    "QLinearConv": ((3, 8), (1, 4, 6)),
    "QLinearMatMul": ((3,), (1, 4, 6)),
    "MatMulNBits": ((1,), (2, 3)),
    "QGemm": ((3, 6), (1, 4, 7)),
    "QAttention": ((1,), (3, 4)),
    "MatMulIntegerToFloat": ((1,), (2, 3)),
    "DynamicQuantizeMatMul": ((1,), (2,)),
    "DynamicQuantizeLSTM": ((1, 2), (8, 10)),
}
"""Which inputs of an operator hold parameters as integers, and which their scales (or zero points as real numbers).

After https://onnx.ai/onnx/operators/ and https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""
_DOMAINS = {"", "ai.onnx"}
_PASSED = {"DequantizeLinear", "Cast", "Transpose", "Identity", "Reshape"}


class OnnxFacts(Facts, frozen=True, kw_only=True):
    """Facts of an ONNX file."""

    opset: int | None


def facts(path: Path) -> OnnxFacts:
    """Read the file. Raises what `onnx.load` raises."""
    model = onnx.load(str(path))
    macs = _macs(model)
    nodes, share = _quantised(model, macs)
    return OnnxFacts(
        inputs=input_specs(model),
        outputs=tuple(_spec(value) for value in model.graph.output),
        opset=next((entry.version for entry in model.opset_import if entry.domain in _DOMAINS), None),
        parameters=_parameters(model),
        macs=None if macs is None else sum(macs.values()),
        sparsity=_sparsity(model),
        quantised_nodes=nodes,
        quantised_macs=share,
        operators=dict(sorted(_count(model.graph).items())),
    )


def operators(path: Path) -> dict[str, int]:
    """How many nodes of each operator the file has, subgraphs included."""
    return dict(_count(onnx.load(str(path), load_external_data=False).graph))


def input_specs(model: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """The inputs that have to be fed. Raises `TypeError` for one that is no tensor of numbers."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return tuple(_spec(value) for value in model.graph.input if value.name not in constants)


def output_specs(model: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """The outputs. Raises as `input_specs`."""
    return tuple(_spec(value) for value in model.graph.output)


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    if kind.elem_type == onnx.TensorProto.STRING:
        raise TypeError(f"{value.name!r} is text (a tensor of strings)")
    if not value.type.HasField("tensor_type") or not kind.elem_type:
        raise TypeError(f"{value.name!r} is no tensor of numbers")
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    shape = tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in kind.shape.dim)
    return TensorSpec(name=value.name, dtype=dtype, shape=shape)


def _count(graph: onnx.GraphProto) -> Counter[str]:
    found: Counter[str] = Counter()
    for node in graph.node:
        found[node.op_type if node.domain in _DOMAINS else f"{node.domain}.{node.op_type}"] += 1
        for inner in _subgraphs(node):
            found += _count(inner)
    return found


def _subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    graphs = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    return graphs + [g for a in node.attribute if a.type == onnx.AttributeProto.GRAPHS for g in a.graphs]


class _Constants:
    """Constant tensors by name, seen through dequantisation, casts and reshapes."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._values = {tensor.name: tensor for tensor in graph.initializer}
        self._made_by = {name: node for node in graph.node for name in node.output}
        for node in graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self._values[node.output[0]] = attribute.t

    def array(self, name: str) -> np.ndarray[Any, Any] | None:
        tensor = self._values.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def holds_integers(self, node: onnx.NodeProto) -> bool:
        """Whether both factors of a product are dequantised, or its weights are stored as integers."""
        factors = [self._origin(name) for name in node.input[:2]]
        if all(factor is not None and factor.op_type == "DequantizeLinear" for factor in factors):
            return True
        stored = [f.input[0] for f in factors if f is not None and f.op_type == "DequantizeLinear"]
        return any(self.array(name) is not None for name in stored)

    def _origin(self, name: str) -> onnx.NodeProto | None:
        """The node that makes `name`, seen through transpositions and reshapes."""
        node = self._made_by.get(name)
        while node is not None and node.op_type in ("Transpose", "Reshape", "Identity", "Cast"):
            node = self._made_by.get(node.input[0])
        return node

    def weights(self, name: str, zero: np.ndarray[Any, Any] | int = 0) -> tuple[str, int, int] | None:
        """(name, count, zeros) of the constant behind `name`, or None where it is not constant.

        `zero` is what stands for zero in it, where no node on the way says so.
        """
        for _ in range(4):
            values = self.array(name)
            if values is not None:
                return name, values.size, int(np.count_nonzero(_real_zero(values, zero)))
            node = self._made_by.get(name)
            if node is None or node.op_type not in _PASSED:
                return None
            if node.op_type == "DequantizeLinear" and len(node.input) > 2:
                point = self.array(node.input[2])
                stored = self.array(node.input[0])
                if point is not None and stored is not None:
                    zero = _along(point, stored.shape, _number(node, "axis", 1), _number(node, "block_size", 0))
            name = node.input[0]
        return None


def _real_zero(values: np.ndarray[Any, Any], zero: np.ndarray[Any, Any] | int) -> Any:
    return values.astype(np.float64) == zero if values.dtype.kind not in "iuf" else values == zero


def _number(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)


def _along(
    point: np.ndarray[Any, Any], shape: tuple[int, ...], axis: int, block: int = 0
) -> np.ndarray[Any, Any] | int:
    """Zero points so that they stand against stored values of `shape`: one, one a channel or one a block."""
    point = point.astype(np.int64)
    if point.size == 1:
        return int(point.reshape(-1)[0])
    if block:
        return point.repeat(block, axis).take(range(shape[axis]), axis)
    against = [1] * len(shape)
    against[axis] = -1
    return point.reshape(against)


def _four_bits(node: onnx.NodeProto, constants: _Constants) -> tuple[int, int] | None:
    """Count and zeros of the packed weights of a MatMulNBits; None where they are not of four bits."""
    packed = constants.array(node.input[1])
    points = constants.array(node.input[3]) if len(node.input) > 3 and node.input[3] else None
    if packed is None or _number(node, "bits", 4) != 4 or (points is not None and points.dtype != np.uint8):
        return None
    rows, columns = _number(node, "N", 0), _number(node, "K", 0)
    values = _nibbles(packed, rows)[:, :columns]
    zero: np.ndarray[Any, Any] | int = 8
    if points is not None:
        zero = _nibbles(points, rows).repeat(_number(node, "block_size", 0), axis=1)[:, :columns]
    return values.size, int(np.count_nonzero(values == zero))


def _nibbles(packed: np.ndarray[Any, Any], rows: int) -> np.ndarray[Any, Any]:
    """Two values from each byte, the lower half first: [rows, values of a row and what fills it up]."""
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, -1)


def _sparsity(model: onnx.ModelProto) -> float | None:
    constants = _Constants(model.graph)
    seen: dict[str, tuple[int, int]] = {}
    for node in model.graph.node:
        place = _PRODUCTS.get(node.op_type)
        if place is None or place >= len(node.input):
            continue
        if node.op_type == "MatMulNBits":
            counts = _four_bits(node, constants)
            if counts is None:
                return None
            seen[node.input[1]] = counts
            continue
        found = constants.weights(node.input[place], _integer_zero_point(node, constants))
        if found is None and node.op_type in ("MatMul", "Gemm"):
            found = constants.weights(node.input[0])
        if found is not None:
            name, count, zeros = found
            seen[name] = (count, zeros)
    total = sum(count for count, _ in seen.values())
    return sum(zeros for _, zeros in seen.values()) / total if total else None


def _integer_zero_point(node: onnx.NodeProto, constants: _Constants) -> np.ndarray[Any, Any] | int:
    """The weights' zero point of ConvInteger and MatMulInteger (input 3), of QLinear operators (input 5); else 0."""
    place = {"ConvInteger": 3, "MatMulInteger": 3, "QLinearConv": 5, "QLinearMatMul": 5}.get(node.op_type)
    if place is None or place >= len(node.input):
        return 0
    point = constants.array(node.input[place])
    weights = constants.array(node.input[_PRODUCTS[node.op_type]])
    if point is None or weights is None:
        return 0
    return _along(point, weights.shape, 0 if "Conv" in node.op_type else weights.ndim - 1)


def _parameters(model: onnx.ModelProto) -> int | None:
    """Real-valued constants: everything but shapes, indices, scales and zero points. None with subgraphs."""
    graph = model.graph
    if any(_subgraphs(node) for node in graph.node):
        return None
    helpers: set[str] = set()
    weights: set[str] = set()
    sizes: dict[str, int] = {}
    # Scales that a product in integers leaves to a multiplication of their own.
    dynamic = {node.output[1] for node in graph.node if node.op_type == "DynamicQuantizeLinear"}
    for node in graph.node:
        if node.op_type in _STORED:
            stored, scales = _STORED[node.op_type]
            weights.update(name for place, name in enumerate(node.input) if place in stored)
            helpers.update(name for place, name in enumerate(node.input) if place in scales)
        elif node.op_type in ("Resize", "Clip", "Pad", "Upsample"):
            helpers.update(node.input[1:])
        elif node.op_type == "Mul" and dynamic & set(node.input):
            helpers.update(node.input)
        if node.op_type == "MatMulNBits":
            sizes[node.input[1]] = _number(node, "K", 0) * _number(node, "N", 0)
    total = 0
    for tensor in graph.initializer:
        is_real = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).kind == "f"
        if tensor.name not in helpers and (is_real or tensor.name in weights):
            total += sizes.get(tensor.name, math.prod(tensor.dims))
    return total


def _quantised(model: onnx.ModelProto, macs: dict[str, int] | None) -> tuple[float | None, float | None]:
    """The shares of the products, and of their MACs, that work on integers or on weights stored as integers."""
    constants = _Constants(model.graph)
    products = [node for node in model.graph.node if node.op_type in _PRODUCTS]
    if not products or any(_subgraphs(node) for node in model.graph.node):
        return None, None
    integer = [node for node in products if node.op_type in _INTEGER or constants.holds_integers(node)]
    total = sum(macs.values()) if macs is not None else 0
    share = sum(macs[node.output[0]] for node in integer) / total if macs is not None and total else None
    return len(integer) / len(products), share


def _macs(model: onnx.ModelProto) -> dict[str, int] | None:
    """Multiply-accumulates for one example by a product's output; None where one is not understood.

    An example is what it is elsewhere (`one_row_an_example`): with a fixed batch axis, a whole feed.
    """
    if model.functions or any(_uncounted(name.rpartition(".")[2]) for name in _count(model.graph)):
        return None
    one = onnx.ModelProto()
    one.CopyFrom(model)
    # Old files list initialisers as inputs too; then inference does not take them as constants.
    free = {spec.name for spec in input_specs(model)}
    inputs = [value for value in model.graph.input if value.name in free]
    del one.graph.input[:]
    one.graph.input.extend(inputs)
    one.ir_version = max(one.ir_version, 8)
    _as_standard(one.graph)
    for value in one.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not (dim.HasField("dim_value") and dim.dim_value > 0):
                if axis:
                    return None  # a free length: there is no one number
                dim.dim_value = 1
    for value in one.graph.output:
        value.type.tensor_type.ClearField("shape")
    del one.graph.value_info[:]
    try:
        shaped = onnx.shape_inference.infer_shapes(one, data_prop=True).graph
    except onnx.shape_inference.InferenceError:
        return None
    shapes: dict[str, list[int]] = {tensor.name: list(tensor.dims) for tensor in shaped.initializer}
    for value in (*shaped.input, *shaped.value_info, *shaped.output):
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = [
                d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim
            ]
    found = {}
    for node in shaped.node:
        if node.op_type in _PRODUCTS:
            count = _node_macs(node, shapes)
            if count is None:
                return None
            found[node.output[0]] = count
    return found


def _uncounted(operator: str) -> bool:
    return operator in _CONTROL or (operator not in _PRODUCTS and any(word in operator for word in _MULTIPLY))


def _as_standard(graph: onnx.GraphProto) -> None:
    """Products of 4-bit weights as plain ones of the same shape, which shape inference understands."""
    for number, node in enumerate(graph.node):
        if node.op_type == "MatMulNBits":
            sides = {a.name: a.i for a in node.attribute}
            weights = f"weights of product {number}"
            kind = onnx.TensorProto.FLOAT
            graph.input.append(onnx.helper.make_tensor_value_info(weights, kind, [sides["K"], sides["N"]]))
            node.CopyFrom(onnx.helper.make_node("MatMul", [node.input[0], weights], node.output))


def _node_macs(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int | None:
    weights = shapes.get(node.input[_PRODUCTS[node.op_type]])
    # Of a transposed convolution every input element meets the kernel, of the others every output element.
    counted = shapes.get(node.input[0] if node.op_type == "ConvTranspose" else node.output[0])
    if weights is None or counted is None or min(*weights, *counted, 1) < 0:
        return None
    if "Conv" in node.op_type:
        return math.prod(counted) * math.prod(weights[1:])
    if node.op_type == "Gemm":
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        return math.prod(counted) * weights[1 if turned else 0]
    return math.prod(counted) * weights[-2 if len(weights) > 1 else 0]
