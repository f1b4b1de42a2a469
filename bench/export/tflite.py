"""TFLite from a SavedModel, with TensorFlow's converter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.export.origin import Array, Feed, TfliteMode

if TYPE_CHECKING:
    from bench.export.program import Program
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_INTEGER: dict[TfliteMode, str] = {"int8": "int8", "int8-per-tensor": "int8", "int16x8": "int16"}
"""The modes with integer activations, and the data type of their inputs and outputs."""


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
    if mode in _INTEGER:
        names = [spec.name for spec in program.inputs]

        def examples() -> Iterator[dict[str, Array]]:
            for feed in calibration:
                yield dict(zip(names, feed, strict=True))

        sets = tf.lite.OpsSet
        converter.representative_dataset = examples
        converter.target_spec.supported_ops = (
            # Operators that have no int16 kernel stay float; int8 has kernels enough to insist.
            [sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, sets.TFLITE_BUILTINS]
            if mode == "int16x8"
            else [sets.TFLITE_BUILTINS_INT8]
        )
        converter._experimental_disable_per_channel = mode == "int8-per-tensor"
        stored = tf.dtypes.as_dtype(_INTEGER[mode])
        if all(spec.dtype == "float32" for spec in program.inputs):
            converter.inference_input_type = stored
        if all(spec.dtype == "float32" for spec in program.outputs):
            converter.inference_output_type = stored
        scales = "one scale a kernel" if mode == "int8-per-tensor" else "one scale a channel of a kernel"
        notes.append(f"full integer, {scales}, calibrated on {len(calibration)} examples")
    content = bytes(converter.convert())
    if len(program.inputs) > 1 or len(program.outputs) > 1:
        content = _named_as_signed(content)
    to.write_bytes(content)
    return notes


def _named_as_signed(content: bytes) -> bytes:
    """Input and output tensors called as in the signature, so that every interface finds them by one name."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for signature in model.signatureDefs or []:
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        for entry in (*signature.inputs, *signature.outputs):
            tensors[entry.tensorIndex].name = entry.name
    return packed(model)


def packed(model: Any) -> bytes:
    """The bytes of a model in its object form."""
    import flatbuffers  # type: ignore[import-untyped]

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
