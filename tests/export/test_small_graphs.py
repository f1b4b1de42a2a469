"""ONNX variants of graphs out of the ordinary: what is made of them, or why nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from bench.export import bfloat, half, int4, quantize
from bench.export import onnx as as_onnx
from bench.export.artifact import describe_artifact
from bench.export.errors import CannotMake
from bench.export.onnx_choice import named_layers
from bench.export.onnx_facts import facts
from bench.export.onnx_origin import OnnxOrigin
from bench.export.origin import Array, predict
from bench.export.pruned import Pruned
from bench.export.recipes import wanted
from bench.export.variants import VARIANTS
from bench.export.workshop import Workshop
from bench.record.artifact import TensorSpec

Open = Callable[..., Workshop]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 8)).astype(np.float32)
W = RNG.normal(size=(8, 8)).astype(np.float32)
node = helper.make_node


def options(variant: str, **given: Any) -> dict[str, Any]:
    """All options of a variant, those that are not given at their defaults."""
    return {name: spec.default for name, spec in VARIANTS[variant].options.items()} | given


def run(path: Path, *, x: Array = X) -> Array:
    made: Array = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    return made


# What there is nothing to make of

NOTHING = {
    "bf16": (bfloat.weights, [node("Relu", ["x"], ["y"])], "no matrix product or convolution with constant"),
    "int4": (int4.weights, [node("Relu", ["x"], ["y"])], "no matrix product with constant weights"),
    "int8": (quantize.onnx_static, [node("Softplus", ["x"], ["y"])], "no operator that it quantises"),
    "int8-dynamic": (quantize.onnx_dynamic, [node("MatMul", ["x", "x"], ["y"])], "no operator that it quantises"),
}


@pytest.mark.parametrize("variant", NOTHING)
def test_a_graph_without_what_a_variant_is_for_says_so(workshop: Open, tmp_path: Path, variant: str) -> None:
    maker, nodes, reason = NOTHING[variant]
    rows = X[:, :1]
    shop = workshop(nodes, inputs=(rows,), calibration=(rows,))
    with pytest.raises(CannotMake, match=reason):
        maker(shop, tmp_path / "m.onnx", options(variant))


def test_a_graph_of_which_every_layer_is_excluded_is_not_called_int8(workshop: Open, tmp_path: Path) -> None:
    shop = workshop([node("MatMul", ["x", "w"], ["y"])], {"w": W}, inputs=(X,), calibration=(X,))
    with pytest.raises(CannotMake, match="no operator that it quantises"):
        quantize.onnx_static(shop, tmp_path / "m.onnx", options("int8", exclude="*"))


def test_what_onnxruntime_does_not_run_is_no_artifact(workshop: Open, tmp_path: Path) -> None:
    """Its quantiser does not see that a product with a vector has no columns to scale."""
    feeds = X.reshape(10, 4, 8)
    shop = workshop([node("MatMul", ["x", "w"], ["y"])], {"w": W[0]}, inputs=(feeds,), shapes=([4, 8], [4]))
    notes = quantize.onnx_dynamic(shop, tmp_path / "m.onnx", options("int8-dynamic"))
    assert any(note.startswith("only matrix products are quantised") for note in notes)
    with pytest.raises(CannotMake, match="onnxruntime does not run it"):
        describe_artifact(shop, wanted("int8-dynamic", "onnx"), tmp_path / "m.onnx", notes)


def test_a_file_that_lost_the_zeros_of_its_pruned_model_is_no_artifact(workshop: Open, tmp_path: Path) -> None:
    shop = workshop([node("MatMul", ["x", "w"], ["y"])], {"w": W}, inputs=(X,))
    assert shop.origin.pruned_zeros(Pruned("magnitude")) >= 0.7
    as_onnx.fp32(shop, tmp_path / "whole.onnx", {})
    with pytest.raises(CannotMake, match=r"holds 0\.0% zeros where the pruned model has 70\.3%"):
        describe_artifact(shop, wanted("pruned", "onnx"), tmp_path / "whole.onnx", [])


def test_values_that_are_not_finite_are_noted(workshop: Open, tmp_path: Path) -> None:
    shop = workshop([node("Log", ["x"], ["y"])], inputs=(-np.abs(X),))
    notes = as_onnx.fp32(shop, tmp_path / "m.onnx", {})
    made = describe_artifact(shop, wanted("fp32", "onnx"), tmp_path / "m.onnx", notes)
    assert made.notes[-1] == "gives values that are not finite on the first example"


# Simplified, or converted to another opset, only where that changes nothing


def test_a_conversion_of_the_opset_that_changes_outputs_is_refused(workshop: Open, tmp_path: Path) -> None:
    """Resize of opset 10 counts positions from the corners of pixels, which the converter does not hand on."""
    pictures = RNG.normal(size=(2, 1, 4, 4)).astype(np.float32)
    nodes = [node("Resize", ["x", "s"], ["y"], mode="linear")]
    shop = workshop(nodes, {"s": np.array([1, 1, 2, 2], np.float32)}, inputs=(pictures,), opset=10)
    with pytest.raises(CannotMake, match="converted from opset 10 to 17 it gives other outputs"):
        half.onnx(shop, tmp_path / "m.onnx", options("fp16"))


def test_a_graph_that_simplified_gives_other_outputs_is_left_as_it_is(workshop: Open, tmp_path: Path) -> None:
    """One that draws numbers: it has drawn some already, the simplified one has not."""
    shop = workshop([node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["y"])], inputs=(X[:4],))
    shop.origin.run((X[:1],))
    assert as_onnx.fp32(shop, tmp_path / "m.onnx", {}) == ["not simplified: the simplified graph gave other outputs"]


def test_an_input_that_nothing_reads_stays(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    inputs = [value(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "idle")]
    graph = helper.make_graph([node("Relu", ["x"], ["y"])], "g", inputs, [value("y", TensorProto.FLOAT, ["n", 4])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    notes = OnnxOrigin(tmp_path / "m.onnx", 0).float_onnx(tmp_path / "out.onnx")
    assert notes == ["not simplified: onnxslim changed the inputs or outputs"]
    assert [spec.name for spec in facts(tmp_path / "out.onnx").inputs] == ["x", "idle"]


def test_a_graph_that_the_simplifier_does_not_bear_is_left_as_it_is(workshop: Open, tmp_path: Path) -> None:
    shop = workshop([node("Optional", ["x"], ["o"]), node("OptionalGetElement", ["o"], ["y"])], inputs=(X[:4],))
    (note,) = as_onnx.fp32(shop, tmp_path / "m.onnx", {})
    assert note.startswith("not simplified: onnxslim failed with ")
    np.testing.assert_array_equal(run(tmp_path / "m.onnx"), X)


def test_a_bias_of_one_row_becomes_a_vector_whose_old_shape_is_forgotten(workshop: Open, tmp_path: Path) -> None:
    shop = workshop([node("Gemm", ["x", "w", "b"], ["y"])], {"w": W, "b": W[:1]}, inputs=(X,))
    path = tmp_path / "given.onnx"
    model = onnx.load(str(path))
    model.graph.value_info.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 8]))
    onnx.save(model, str(path))
    quantize._flatten_biases(path)
    changed = onnx.load(str(path))
    onnx.checker.check_model(changed, full_check=True)
    assert [list(tensor.dims) for tensor in changed.graph.initializer] == [[8, 8], [8]]
    np.testing.assert_array_equal(run(path), shop.origin.run((X,))[0])


# Layers by their names


def test_layers_are_left_float_by_name_where_there_are_no_calibration_data(workshop: Open, tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["h"], name="first"), node("MatMul", ["h", "w"], ["y"], name="second")]
    shop = workshop(nodes, {"w": W}, inputs=(X,))
    notes = quantize.onnx_dynamic(shop, tmp_path / "m.onnx", options("int8-dynamic", exclude="first"))
    assert "left float as asked: first; 1 layers are int8" in notes
    assert facts(tmp_path / "m.onnx").quantised_nodes == 0.5


def test_layers_without_names_get_one_that_no_other_has(workshop: Open, tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("MatMul", ["a", "w"], ["b"]),
        node("MatMul", ["b", "w"], ["y"], name="MatMul_1"),
    ]
    workshop(nodes, {"w": W}, inputs=(X,))
    path = tmp_path / "given.onnx"
    assert named_layers(path, {"MatMul"}) == ["MatMul_0", "MatMul_1_", "MatMul_1"]
    assert [each.name for each in onnx.load(str(path)).graph.node] == ["MatMul_0", "MatMul_1_", "MatMul_1"]


# Half precision


@pytest.mark.parametrize(
    ("nodes", "constants", "given"),
    [
        (
            [
                node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
                node("Cast", ["whole"], ["real"], to=TensorProto.FLOAT),
                node("MatMul", ["real", "w"], ["y"]),
            ],
            {},
            {},
        ),
        (
            [
                node("ReduceMax", ["x"], ["most"], axes=[0], keepdims=0),
                node("Greater", ["most", "huge"], ["beyond"]),
                node("Compress", ["x", "beyond"], ["none"], axis=1),
                node("Concat", ["x", "none"], ["all"], axis=1),
                node("MatMul", ["all", "w"], ["y"]),
            ],
            {"huge": np.float32(1000)},
            {},
        ),
        (
            [
                node("Add", ["x", "b"], ["s"], name="first"),
                node("Sub", ["s", "b"], ["d"], name="second"),
                node("Mul", ["d", "b"], ["y"], name="last"),
            ],
            {"b": W[0]},
            {"block": "first,second"},
        ),
    ],
    ids=["casts of its own", "a tensor of no numbers", "a constant of two that stay float32 and one that does not"],
)
def test_half_precision_bears(
    workshop: Open, tmp_path: Path, nodes: list[onnx.NodeProto], constants: dict[str, Array], given: dict[str, Any]
) -> None:
    shop = workshop(nodes, {"w": W} | constants, inputs=(X,))
    half.onnx(shop, tmp_path / "half.onnx", options("fp16", **given))
    expected = np.concatenate([shop.origin.run((row[None],))[0] for row in X])
    np.testing.assert_allclose(run(tmp_path / "half.onnx"), expected, rtol=5e-3, atol=2e-2)
    stored = {tensor.data_type for tensor in onnx.load(str(tmp_path / "half.onnx")).graph.initializer}
    assert TensorProto.FLOAT16 in stored


def test_outputs_that_are_not_one_a_row_are_taken_example_by_example() -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=(None, 8))
    (sums,) = predict(lambda feed: [feed[0].sum()], (X,), [spec])
    np.testing.assert_allclose(sums, X.sum(axis=1), rtol=1e-5)
