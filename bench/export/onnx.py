"""Float32 ONNX: from TensorFlow, and the tidying that every ONNX file gets."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxslim

from bench.export.quantize import at_opset
from bench.record.artifact import TensorSpec

if TYPE_CHECKING:
    from bench.export.program import Program
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

OPSET = 17
BATCH = "batch"
_MADE_UP = re.compile(r"^unk__\d+$")


def fp32(shop: Workshop, to: Path, options: Options) -> list[str]:
    """The model as it is, float32 (or the given file, where it is not float32), at its own opset or the one asked."""
    path, notes = shop.float_onnx()
    opset = int(options.get("opset", 0))
    if not opset:
        copy_to(path, to)
        return notes
    model, converted = at_opset(onnx.load(str(path)), opset, shop)
    onnx.save(model, str(to))
    return [*notes, *converted]


def from_program(program: Program, to: Path) -> list[str]:
    """Convert, tidy, check and write; notes."""
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(program.function, input_signature=program.signature, opset=OPSET)
    name_axes(model)
    model, note = slim(model)
    order(model, program.inputs, program.outputs)
    model.producer_name = "counterpoise"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(to))
    return note


def slim(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The graph simplified, or as it was with a note that says why."""
    before = model.SerializeToString()
    try:
        return onnxslim.slim(model), []
    except Exception as error:  # a simplifier must not stop an export
        note = f"not simplified: onnxslim failed with {type(error).__name__}"
        return onnx.load_from_string(before), [note]


def order(model: onnx.ModelProto, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    """Put the graph's inputs and outputs in the order of the source, in place.

    An input that nothing reads is among them, though converters leave it out.
    """
    for values, specs in ((model.graph.input, inputs), (model.graph.output, outputs)):
        by_name = {value.name: value.SerializeToString() for value in values}
        kept = [by_name.get(spec.name) or _value(spec).SerializeToString() for spec in specs]
        del values[:]
        values.extend(onnx.ValueInfoProto.FromString(each) for each in kept)


def _value(spec: TensorSpec) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    axes = [_axis_name(spec.name, at) if axis is None else axis for at, axis in enumerate(spec.shape)]
    return onnx.helper.make_tensor_value_info(spec.name, kind, axes)


def name_axes(model: onnx.ModelProto) -> None:
    """Call a free axis 0 `batch` and other free axes after their tensor, in place of the converter's numbers."""
    for value in (*model.graph.input, *model.graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value") and (not dim.dim_param or _MADE_UP.match(dim.dim_param)):
                dim.dim_param = _axis_name(value.name, axis)
    # The converter's own shapes still hold the old names; they are inferred anew.
    del model.graph.value_info[:]


def _axis_name(tensor: str, axis: int) -> str:
    return BATCH if axis == 0 else f"{tensor}_axis_{axis}"


def copy_to(path: Path, to: Path) -> None:
    """Copy an ONNX file that is one file."""
    shutil.copyfile(path, to)
