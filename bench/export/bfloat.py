"""bfloat16 weights in ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ml_dtypes
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.export.errors import CannotMake

if TYPE_CHECKING:
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_PRODUCTS = {"Conv": 1, "ConvTranspose": 1, "MatMul": 1, "Gemm": 1}


def weights(shop: Workshop, to: Path, options: Options) -> list[str]:
    """The weights of matrix products and convolutions in bfloat16, widened to float32 before they are used."""
    from bench.export.quantize import recent_opset

    path, notes = shop.float_onnx()
    model, upgraded = recent_opset(onnx.load(str(path)), shop)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    wanted = [
        node.input[_PRODUCTS[node.op_type]]
        for node in graph.node
        if node.op_type in _PRODUCTS and node.input[_PRODUCTS[node.op_type]] in constants
    ]
    if not wanted:
        raise CannotMake("it has no matrix product or convolution with constant float32 weights")
    casts = []
    for name in dict.fromkeys(wanted):
        tensor = constants[name]
        narrow = numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
        tensor.CopyFrom(numpy_helper.from_array(narrow, f"{name}_bfloat16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(to))
    return [
        *notes,
        *upgraded,
        f"{len(casts)} weight tensors in bfloat16, arithmetic in float32: onnxruntime's CPU provider has no bfloat16 "
        "convolutions or matrix products",
    ]
