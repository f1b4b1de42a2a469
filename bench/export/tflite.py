"""TFLite: from a SavedModel with TensorFlow's converter, and from a float TFLite file without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.export.origin import Array, Feed, TfliteMode

if TYPE_CHECKING:
    from bench.export.program import Program
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_SIGNATURE = "serving_default"


def fp32(shop: Workshop, to: Path, options: Options) -> list[str]:
    """The model as it is, float32 (or the given file, where it is not float32)."""
    return shop.origin.tflite(to, "fp32")


def from_saved_model(
    folder: Path, program: Program, mode: TfliteMode, calibration: Sequence[Feed], to: Path
) -> list[str]:
    """Convert and write; notes."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    notes: list[str] = []
    if mode != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if mode == "int8":
        names = [spec.name for spec in program.inputs]

        def examples() -> Iterator[dict[str, Array]]:
            for feed in calibration:
                yield dict(zip(names, feed, strict=True))

        converter.representative_dataset = examples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if all(spec.dtype == "float32" for spec in program.inputs):
            converter.inference_input_type = tf.int8
        if all(spec.dtype == "float32" for spec in program.outputs):
            converter.inference_output_type = tf.int8
        notes.append(f"full integer, calibrated on {len(calibration)} examples")
    content = bytes(converter.convert())
    if len(program.inputs) > 1 or len(program.outputs) > 1:
        content = _named_as_signed(content)
    to.write_bytes(content)
    return notes


def requantise(content: bytes, mode: TfliteMode, names: Sequence[str], calibration: Sequence[Feed]) -> bytes:
    """A float model as `int8`, `int8-dynamic` or `fp16`, by ai-edge-quantizer. `names` are the input tensors'."""
    from ai_edge_quantizer import quantizer, recipe

    content = _signed(content)
    tool = quantizer.Quantizer(bytearray(content))
    if mode == "int8-dynamic":
        tool.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        return bytes(tool.quantize().quantized_model)
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    key, inputs = _signature(content)
    by_tensor = dict(zip(names, zip(*calibration, strict=True), strict=True))
    columns = {signed: by_tensor[tensor] for signed, tensor in inputs.items()}
    examples = [{signed: column[i] for signed, column in columns.items()} for i in range(len(calibration))]
    seen = tool.calibrate({key: examples}, num_threads=1)
    return bytes(tool.quantize(seen).quantized_model)


def _signature(content: bytes) -> tuple[str, dict[str, str]]:
    """The key of the first signature, and the tensor name behind each of its input names."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    key = next(iter(interpreter.get_signature_list()))
    details = interpreter.get_signature_runner(key).get_input_details()
    return key, {name: str(detail["name"]) for name, detail in details.items()}


def _signed(content: bytes) -> bytes:
    """The model with a signature, as the quantiser wants it; tensor names where it has none."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if model.signatureDefs:
        return content
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey = _SIGNATURE
    signature.subgraphIndex = 0
    signature.inputs = [_tensor_map(schema, graph, int(index)) for index in graph.inputs]
    signature.outputs = [_tensor_map(schema, graph, int(index)) for index in graph.outputs]
    model.signatureDefs = [signature]
    return _packed(model)


def _tensor_map(schema: Any, graph: Any, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name = graph.tensors[index].name
    entry.tensorIndex = index
    return entry


def _named_as_signed(content: bytes) -> bytes:
    """Input and output tensors called as in the signature, so that every interface finds them by one name."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for signature in model.signatureDefs or []:
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for entry in (*signature.inputs, *signature.outputs):
            tensors[entry.tensorIndex].name = entry.name
    return _packed(model)


def _packed(model: Any) -> bytes:
    import flatbuffers  # type: ignore[import-untyped]

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
