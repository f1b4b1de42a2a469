"""Files that do one thing: matrix products one after the other, large ones for rates and tiny ones for overheads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bench.files import write_whole
from bench.record.artifact import Artifact, Format, Recipe, TensorSpec
from bench.zoo.hashing import file_sha256

Kind = Literal["fp32", "fp16", "int8"]
Array = npt.NDArray[Any]
_SCALE = 0.02
_ZERO = {"onnx": 128, "tflite": 0}
"""The zero point of int8 activations: unsigned with signed weights in ONNX, signed throughout in TFLite."""
_DTYPES: dict[tuple[Kind, Format], str] = {
    ("fp32", "onnx"): "float32",
    ("fp32", "tflite"): "float32",
    ("fp16", "onnx"): "float16",
    ("int8", "onnx"): "uint8",
    ("int8", "tflite"): "int8",
}
_EXAMPLES = 4


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """`layers` products of [rows, width] by constants of [width, width], in the data type `kind`.

    An int8 layer gives int8 again, as in a network that is quantised throughout.
    """

    kind: Kind
    format: Format
    layers: int = 1
    rows: int = 1
    width: int

    @property
    def operations(self) -> int:
        """Two a multiply-accumulate."""
        return 2 * self.layers * self.rows * self.width**2

    @property
    def about(self) -> str:
        """In words."""
        one = f"{self.rows}x{self.width} by {self.width}x{self.width}"
        return f"a product of {one}" if self.layers == 1 else f"{self.layers} products of {one}"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A chain on disk: the file, what a worker has to know of it, and its inputs (npz)."""

    chain: Chain
    path: Path
    inputs: Path
    artifact: Artifact


def write(chain: Chain, folder: Path) -> Written:
    """Write the chain and its inputs to `folder`, which takes one of each name."""
    rng = np.random.default_rng(0)
    weights = [_weights(chain, rng) for _ in range(chain.layers)]
    name = f"{chain.kind}-{chain.layers}x{chain.rows}x{chain.width}"
    path = folder / f"{name}.{chain.format}"
    write_whole(path, _onnx(chain, weights) if chain.format == "onnx" else _tflite(chain, weights))
    dtype = np.dtype(_DTYPES[chain.kind, chain.format])
    values = rng.normal(size=(_EXAMPLES, chain.rows, chain.width))
    if dtype.kind in "ui":
        values = np.clip(values * 40 + _ZERO[chain.format], np.iinfo(dtype).min, np.iinfo(dtype).max)
    if chain.rows == 1:
        # Then axis 0 is the batch, and an example is a row.
        values = values[:, 0]
    inputs = folder / f"{name}.{chain.format}.npz"
    np.savez(inputs, allow_pickle=False, **{"0": values.astype(dtype)})
    shape = (chain.rows, chain.width)
    return Written(
        chain=chain,
        path=path,
        inputs=inputs,
        artifact=Artifact(
            model="peak",
            variant=chain.kind,
            format=chain.format,
            recipe=Recipe(chain.kind),
            path=path.name,
            sha256=file_sha256(path),
            bytes=path.stat().st_size,
            inputs=(TensorSpec(name="x0", dtype=dtype.name, shape=shape),),
            outputs=(TensorSpec(name=f"x{chain.layers}", dtype=dtype.name, shape=shape),),
        ),
    )


def _weights(chain: Chain, rng: np.random.Generator) -> Array:
    """Those of one layer. A reflection keeps the length of what it multiplies: no layer overflows or underflows."""
    if chain.kind == "int8":
        return rng.integers(-127, 128, (chain.width, chain.width), dtype=np.int8)
    axis = rng.normal(size=chain.width)
    axis /= np.linalg.norm(axis)
    turned = np.eye(chain.width) - 2 * np.outer(axis, axis)
    return turned.astype(_DTYPES[chain.kind, chain.format])


def _onnx(chain: Chain, weights: list[Array]) -> bytes:
    import onnx
    from onnx import helper, numpy_helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(_DTYPES[chain.kind, "onnx"]))
    constants = [numpy_helper.from_array(values, f"w{layer}") for layer, values in enumerate(weights)]
    nodes = []
    for layer in range(chain.layers):
        source, constant, target = f"x{layer}", f"w{layer}", f"x{layer + 1}"
        if chain.kind != "int8":
            nodes.append(helper.make_node("MatMul", [source, constant], [target]))
            continue
        nodes += [
            helper.make_node("DequantizeLinear", [source, "scale", "zero"], [f"{source} real"]),
            helper.make_node("DequantizeLinear", [constant, "scale", "middle"], [f"{constant} real"]),
            helper.make_node("MatMul", [f"{source} real", f"{constant} real"], [f"{target} real"]),
            helper.make_node("QuantizeLinear", [f"{target} real", "scale", "zero"], [target]),
        ]
    if chain.kind == "int8":
        constants += [
            numpy_helper.from_array(np.array(_SCALE, np.float32), "scale"),
            numpy_helper.from_array(np.array(_ZERO["onnx"], np.uint8), "zero"),
            numpy_helper.from_array(np.array(0, np.int8), "middle"),
        ]
    ends = [helper.make_tensor_value_info(name, kind, [chain.rows, chain.width]) for name in ("x0", f"x{chain.layers}")]
    graph = helper.make_graph(nodes, "peak", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _tflite(chain: Chain, weights: list[Array]) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    from bench.export.tflite import packed

    product = schema.OperatorCodeT()
    product.builtinCode = product.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    product.version = 4 if chain.kind == "int8" else 1
    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = "main", [], []
    model = schema.ModelT()
    model.version, model.description, model.operatorCodes = 3, "peak", [product]
    model.subgraphs, model.buffers = [graph], [schema.BufferT()]

    def tensor(name: str, shape: tuple[int, ...], values: Array | None = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, list(shape), 0
        made.type = schema.TensorType.INT8 if chain.kind == "int8" else schema.TensorType.FLOAT32
        if chain.kind == "int8":
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [_SCALE], [0]
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    last = tensor("x0", (chain.rows, chain.width))
    graph.inputs = [last]
    for layer, values in enumerate(weights):
        operator = schema.OperatorT()
        operator.opcodeIndex = 0
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = schema.FullyConnectedOptionsT()
        no_bias = -1
        operator.inputs = [last, tensor(f"w{layer}", values.shape, values), no_bias]
        last = tensor(f"x{layer + 1}", (chain.rows, chain.width))
        operator.outputs = [last]
        graph.operators.append(operator)
    graph.outputs = [last]
    return packed(model)
