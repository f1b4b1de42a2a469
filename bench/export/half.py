"""float16 variants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.export.errors import CannotMake
from bench.export.origin import feeds

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_EXAMPLES = 16
_LARGEST = float(np.finfo(np.float16).max)
BLOCK = "block"


def onnx(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Weights and arithmetic in float16, float32 in and out, but for operators that are blocked or overflow."""
    import onnx as onnx_format
    from onnxconverter_common import float16

    from bench.export.quantize import recent_opset

    path, notes = shop.float_onnx()
    model, upgraded = recent_opset(onnx_format.load(str(path)), shop)
    own = _casts_to_float(model)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    overflowing = _overflowing(model, shop)
    blocked = [name.strip() for name in str(options["block"]).split(",") if name.strip()]
    kinds = [name for name in blocked if onnx_format.defs.has(name)]
    kept = [name for name in blocked if name not in kinds]
    strange = set(kept) - {node.name for node in model.graph.node}
    if strange:
        raise CannotMake(f"block: there is no operator and no node called {', '.join(sorted(strange))}")
    if options["overflow"] == BLOCK:
        kept += list(overflowing)
    half = float16.convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *kinds],
        node_block_list=kept,
    )
    for node in _nodes(half.graph):
        if node.name in own:
            # The converter takes the result for float16 already but leaves what the node casts to.
            node.attribute[0].i = onnx_format.TensorProto.FLOAT16
    half = _sorted(half)
    # The converter also calls float16 what a blocked node gives; the runtime infers types anew.
    del half.graph.value_info[:]
    onnx_format.checker.check_model(half)
    onnx_format.save(half, str(to))
    return [
        *notes,
        *upgraded,
        "float16 weights and arithmetic between casts of the float32 inputs and outputs",
        *([f"left in float32 as asked: {', '.join(blocked)}"] if blocked else []),
        *_told(overflowing, str(options["overflow"])),
    ]


def tflite(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Weights stored in float16; the runtime widens them where it has no float16 arithmetic."""
    return shop.origin.tflite(to, "fp16")


def _sorted(model: ModelProto) -> ModelProto:
    """The same graph with its nodes in order: the converter puts casts of what a subgraph takes at the end."""
    from onnx_ir import serde

    held = serde.deserialize_model(model)
    held.graph.sort()
    return serde.serialize_model(held)


def _told(overflowing: dict[str, float], what: str) -> list[str]:
    if not overflowing:
        return []
    listed = ", ".join(f"{name} ({value:.3g})" for name, value in overflowing.items())
    done = "left in float32" if what == BLOCK else "converted all the same, as asked"
    return [f"beyond float16's largest number, {_LARGEST:g}, on {_EXAMPLES} examples or fewer: {listed}; {done}"]


def _overflowing(model: ModelProto, shop: Workshop) -> dict[str, float]:
    """The nodes of the main graph whose results leave float16's range on some examples, with the largest result."""
    import onnx as onnx_format
    import onnxruntime as ort

    watched = onnx_format.shape_inference.infer_shapes(model)
    floats = {
        value.name
        for value in watched.graph.value_info
        if value.type.tensor_type.elem_type == onnx_format.TensorProto.FLOAT
    }
    made_by = {name: node.name for node in watched.graph.node for name in node.output if name in floats}
    known = {value.name for value in watched.graph.output}
    watched.graph.output.extend(onnx_format.ValueInfoProto(name=name) for name in made_by if name not in known)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # Fused operators would hide what lies between them.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = [spec.name for spec in shop.origin.inputs]
    columns = [column[:_EXAMPLES] for column in (shop.material.calibration or shop.material.inputs)]
    largest: dict[str, float] = {}
    for feed in feeds(columns, shop.origin.inputs):
        results = session.run(list(made_by), dict(zip(given, feed, strict=True)))
        for name, result in zip(made_by, results, strict=True):
            if result.size:
                largest[made_by[name]] = max(largest.get(made_by[name], 0.0), float(np.abs(result).max()))
    return {name: value for name, value in largest.items() if not value <= _LARGEST}


def _casts_to_float(model: ModelProto) -> set[str]:
    """The model's own nodes that cast to float32, under names by which they are found again."""
    from onnx import TensorProto

    casts = [n for n in _nodes(model.graph) if n.op_type == "Cast" and n.attribute[0].i == TensorProto.FLOAT]
    for number, node in enumerate(casts):
        node.name = f"cast_to_float_{number}"
    return {node.name for node in casts}


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, those of subgraphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)
