"""int4 weights in ONNX: `MatMulNBits`, activations as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bench.export.errors import CannotMake
from bench.export.onnx_channels import used_beside_nodes

if TYPE_CHECKING:
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_BITS = 4


def weights(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Constant factors of matrix products in 4 bits, a scale for each block of `block_size` along their first axis."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    from bench.export.quantize import recent_opset

    path, notes = shop.float_onnx()
    model, upgraded = recent_opset(onnx.load(str(path)), shop)
    _gemm_as_matmul(model.graph)
    products = sum(node.op_type == "MatMul" for node in model.graph.node)
    level = int(options["accuracy_level"])
    quantiser = MatMulNBitsQuantizer(
        model,
        bits=_BITS,
        block_size=int(options["block_size"]),
        is_symmetric=bool(options["symmetric"]),
        accuracy_level=level or None,
    )
    quantiser.process()
    made = quantiser.model.model
    done = sum(node.op_type == "MatMulNBits" for node in made.graph.node)
    if not done:
        raise CannotMake("it has no matrix product with constant weights, which int4 is for")
    onnx.save(made, str(to))
    kind = "symmetric" if options["symmetric"] else "with zero points"
    return [
        *notes,
        *upgraded,
        f"{done} of {products} matrix products have int4 weights, {kind}, a scale for {options['block_size']} weights; "
        "convolutions stay float32",
    ]


def _gemm_as_matmul(graph: onnx.GraphProto) -> None:
    """Gemm with a constant factor as MatMul and Add, which is what the quantiser knows."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(graph.node):
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        plain = given.get("alpha", 1.0) == 1.0 and given.get("beta", 1.0) == 1.0 and not given.get("transA", 0)
        factor = constants.get(node.input[1]) if node.op_type == "Gemm" and plain else None
        if factor is None:
            nodes.append(node)
            continue
        values = numpy_helper.to_array(factor)
        name = f"{factor.name}_of_product_{number}"
        turned = np.ascontiguousarray(values.T if given.get("transB", 0) else values)
        graph.initializer.append(numpy_helper.from_array(turned, name))
        biased = len(node.input) > 2 and bool(node.input[2])
        product = f"{node.output[0]}_product" if biased else node.output[0]
        nodes.append(helper.make_node("MatMul", [node.input[0], name], [product], name=f"{node.name}_product_{number}"))
        if biased:
            nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]]))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input} | used_beside_nodes(graph)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
