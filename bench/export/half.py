"""float16 variants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.export.errors import CannotMake
from bench.export.origin import feeds

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_EXAMPLES = 16
LARGEST = float(np.finfo(np.float16).max)
BLOCK = "block"


def onnx(shop: Workshop, to: Path, options: Options) -> list[str]:
    """Weights and arithmetic in float16, float32 in and out, but for operators that are blocked or overflow."""
    import onnx as onnx_format

    from bench.export.half_graph import to_half
    from bench.export.quantize import recent_opset

    path, notes = shop.float_onnx()
    model, upgraded = recent_opset(onnx_format.load(str(path)), shop)
    taken = {""}
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}" if node.name in taken else node.name
        taken.add(node.name)
    overflowing = _overflowing(model, shop)
    blocked = [name.strip() for name in str(options["block"]).split(",") if name.strip()]
    kinds = {name for name in blocked if onnx_format.defs.has(name)}
    kept = set(blocked) - kinds
    strange = kept - {node.name for node in model.graph.node}
    if strange:
        raise CannotMake(f"block: there is no operator and no node called {', '.join(sorted(strange))}")
    if options["overflow"] == BLOCK:
        beyond = {name for node in model.graph.node if node.name in overflowing for name in node.output}
        # Who takes such a result takes it in float32 too.
        kept |= {*overflowing, *(node.name for node in model.graph.node if beyond & set(node.input))}
    half = to_half(model, kinds, kept)
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


def _told(overflowing: dict[str, float], what: str) -> list[str]:
    if not overflowing:
        return []
    listed = ", ".join(f"{name} ({value:.3g})" for name, value in overflowing.items())
    done = "left in float32" if what == BLOCK else "converted all the same, as asked"
    seen = f"in weights or on {_EXAMPLES} examples or fewer"
    return [f"beyond float16's largest number, {LARGEST:g}, {seen}: {listed}; {done}"]


def _overflowing(model: ModelProto, shop: Workshop) -> dict[str, float]:
    """The nodes of the main graph whose weights, or results on some examples, leave float16's range, and how far."""
    import onnx as onnx_format
    import onnxruntime as ort

    watched = onnx_format.shape_inference.infer_shapes(model)
    floats = {
        value.name
        for value in (*watched.graph.value_info, *watched.graph.output)
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
    largest = _largest_weights(model.graph)
    for feed in feeds(columns, shop.origin.inputs):
        results = session.run(list(made_by), dict(zip(given, feed, strict=True)))
        for name, result in zip(made_by, results, strict=True):
            if result.size:
                # NaN wins here: the built-in max would keep whichever number came first.
                seen = np.abs(result).max()
                largest[made_by[name]] = float(np.maximum(largest.get(made_by[name], 0.0), seen))
    return {name: value for name, value in largest.items() if not value <= LARGEST}


def _largest_weights(graph: GraphProto) -> dict[str, float]:
    """The largest finite magnitude among the float32 constants that each node takes."""
    from onnx import TensorProto, numpy_helper

    floats = (tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in floats}
    peaks = {name: float(np.abs(array[np.isfinite(array)]).max(initial=0)) for name, array in arrays.items()}
    return {node.name: max((peaks.get(name, 0.0) for name in node.input), default=0.0) for node in graph.node}
