"""int8 variants, static and dynamic."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.export.errors import CannotMake
from bench.export.onnx_choice import Choice, named_layers
from bench.export.origin import Array, feeds

if TYPE_CHECKING:
    import onnx

    from bench.export.pruned import Pruned
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

_OLDEST_OPSET = 13  # per-channel QuantizeLinear
_CONV_NOTE = (
    "convolutions became ConvInteger, which onnxruntime's CPU provider often runs slower than a float convolution; "
    "int8 is the variant for convolutional models"
)


def onnx_static(shop: Workshop, to: Path, options: Options, *, pruned: Pruned | None = None) -> list[str]:
    """QDQ int8 as the options say; activations by what is seen on the calibration data alone."""
    from bench.export.onnx_static import StaticQuantiser

    shop.calibration()  # said before anything is made
    with tempfile.TemporaryDirectory() as scratch:
        ready, notes = _ready(shop, Path(scratch), pruned=pruned)
        made = StaticQuantiser(shop, ready, Path(scratch), options).make(to)
    _require(to, "QuantizeLinear")
    return [*notes, *made]


def onnx_dynamic(shop: Workshop, to: Path, options: Options) -> list[str]:
    """int8 weights per channel; activations quantised at run time."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.registry import IntegerOpsRegistry

    kind = QuantType.QUInt8 if options["weights"] == "uint8" else QuantType.QInt8
    products: list[str] | None = None

    def write(path: Path, left_float: Sequence[str]) -> None:
        quantize_dynamic(
            str(ready),
            str(path),
            per_channel=True,
            weight_type=kind,
            op_types_to_quantize=products,
            nodes_to_exclude=list(left_float),
        )

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        ready, notes = _ready(shop, scratch)
        layers = named_layers(ready, set(IntegerOpsRegistry))
        write(to, ())
        problem = _refused(to)
        if problem:
            products = ["MatMul", "Gemm"]
            layers = named_layers(ready, set(products))
            notes.append(f"only matrix products are quantised: with all operators onnxruntime says {problem}")
        notes += Choice(shop, ready, scratch, layers, write).make(
            to, str(options["exclude"]), float(options["max_loss"])
        )
    used = _require(to, "DynamicQuantizeLinear")
    return [*notes, _CONV_NOTE] if "ConvInteger" in used else notes


def recent_opset(model: onnx.ModelProto, shop: Workshop) -> tuple[onnx.ModelProto, list[str]]:
    """The model at an opset that the tools take, checked against the original, and a note where it was converted.

    Raises:
        CannotMake: it cannot be converted, or gives other outputs then.
    """
    from bench.export.onnx import OPSET

    return (model, []) if opset_of(model) >= _OLDEST_OPSET else at_opset(model, OPSET, shop)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that the model uses; 0 where it names none."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def at_opset(model: onnx.ModelProto, wanted: int, shop: Workshop) -> tuple[onnx.ModelProto, list[str]]:
    """The model converted to the opset `wanted`, checked against the original, and a note.

    Raises:
        CannotMake: it cannot be converted, or gives other outputs then.
    """
    import onnx

    opset = opset_of(model)
    before = model.SerializeToString()
    # Before IR 4 every initialiser also stood among the inputs, where optimisers may not touch it.
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 8)
    try:
        newer = onnx.version_converter.convert_version(model, wanted)
        onnx.checker.check_model(newer, full_check=True)
    except Exception as error:  # the converter raises RuntimeError and its own kinds
        raise CannotMake(f"its opset {opset} cannot be converted to {wanted}: {str(error).splitlines()[0]}") from error
    (feed,) = feeds([array[:1] for array in shop.material.inputs], shop.origin.inputs)
    if not _same_outputs(
        before, newer.SerializeToString(), dict(zip([spec.name for spec in shop.origin.inputs], feed, strict=True))
    ):
        raise CannotMake(f"converted from opset {opset} to {wanted} it gives other outputs")
    return newer, [f"converted from opset {opset} to {wanted}"]


def _same_outputs(left: bytes, right: bytes, feed: dict[str, Array]) -> bool:
    """Whether two ONNX models agree on `feed`."""
    import onnxruntime as ort

    made = [ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feed) for model in (left, right)]
    return close(*made)


def close(left: Sequence[Array], right: Sequence[Array]) -> bool:
    """Agreement to float32 rounding, relative to the largest output."""
    return all(
        a.shape == b.shape
        and (
            np.array_equal(a, b)
            or bool(np.allclose(a, b, rtol=1e-4, atol=1e-5 * max(1.0, float(np.max(np.abs(b), initial=0)))))
        )
        for a, b in zip(left, right, strict=True)
    )


def _ready(shop: Workshop, scratch: Path, *, pruned: Pruned | None = None) -> tuple[Path, list[str]]:
    """The float model with shapes inferred and operators fused, as the quantiser wants it."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path, notes = shop.float_onnx(pruned)
    model, upgraded = recent_opset(onnx.load(str(path)), shop)
    current, ready = scratch / "current.onnx", scratch / "ready.onnx"
    onnx.save(model, str(current))
    with contextlib.chdir(scratch):  # where shape inference leaves a file behind when it fails
        try:
            quant_pre_process(str(current), str(ready), auto_merge=True)
        except Exception:  # symbolic shape inference does not know every operator
            quant_pre_process(str(current), str(ready), skip_symbolic_shape=True)
    _flatten_biases(ready)
    return ready, [*notes, *upgraded]


def _flatten_biases(path: Path) -> None:
    """Gemm biases of shape [1, n] as [n]: onnxruntime's per-channel quantiser stumbles over the former."""
    import onnx

    model = onnx.load(str(path))
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    uses = [name for node in model.graph.node for name in node.input]
    for node in model.graph.node:
        bias = tensors.get(node.input[2]) if node.op_type == "Gemm" and len(node.input) > 2 else None
        if bias is not None and len(bias.dims) == 2 and bias.dims[0] == 1 and uses.count(bias.name) == 1:
            del bias.dims[0]
            stale = [value for value in model.graph.value_info if value.name == bias.name]
            for value in stale:
                model.graph.value_info.remove(value)
    onnx.save(model, str(path))


def _refused(path: Path) -> str | None:
    import onnxruntime as ort

    try:
        ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base class
        return str(error).splitlines()[0][:200]
    return None


def _require(path: Path, operator: str) -> dict[str, Any]:
    from bench.export.onnx_facts import operators

    used = operators(path)
    if operator not in used:
        raise CannotMake("the quantiser found no operator that it quantises")
    return dict(used)
