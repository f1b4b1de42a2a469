"""The options of the ONNX variants, on small graphs and on the MLPerf Tiny ResNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.export.bundle import read_index
from bench.export.prepare import prepare
from bench.export.recipes import only, parse_definition, wanted
from bench.zoo.find import find

pytestmark = pytest.mark.slow


@pytest.fixture
def export_own(export_cache):
    """Exports definitions of variants; gives the folder and the answers by name."""

    def run(model, *definitions, data=None):
        own = dict(parse_definition(text) for text in definitions)
        asked = [(name, "onnx") for name in ("fp32", *own)]
        folder = prepare(
            find(str(model)), asked, own=own, data=data, cache=export_cache, progress=lambda *_, **__: None
        )
        # The folder may hold other recipes under these names: of other tests, or of an earlier session.
        bundle = only(read_index(folder), [wanted(*each, own) for each in asked])
        return folder, {answer.variant: answer for answer in bundle.answers}

    return run


@pytest.fixture
def network(tmp_path):
    """Two products; the first one's results leave float16's range where the inputs are large. With data."""
    rng = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(rng.normal(size=(64, 64)).astype(np.float32), "a"),
        numpy_helper.from_array((rng.normal(size=(64, 10)) / 1e4).astype(np.float32), "b"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"], name="wide"),
        helper.make_node("Tanh", ["h"], ["t"], name="squash"),
        helper.make_node("Gemm", ["t", "b"], ["y"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])],
        constants,
    )
    path = tmp_path / "network.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    small, large = tmp_path / "small.npz", tmp_path / "large.npz"
    x = rng.normal(size=(40, 64)).astype(np.float32)
    np.savez(small, x=x, calibration=x[::-1])
    np.savez(large, x=x * 1e5, calibration=x[::-1] * 1e5)
    return path, small, large


def _run(folder: Path, artifact, data: Path):
    session = ort.InferenceSession(str(folder / artifact.path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.load(data)["x"]})[0]


def _types(folder: Path, artifact, operator: str) -> set[int]:
    """Element types of the constant factors of an operator's nodes."""
    model = onnx.load(str(folder / artifact.path))
    constants = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == operator]
    return {constants[name] for node in nodes for name in node.input if name in constants}


def test_what_overflows_in_half_precision_is_found_named_and_kept_in_float32(export_own, network):
    model, _, large = network
    folder, made = export_own(model, "kept=fp16", "told=fp16,overflow=report", data=large)
    for name in ("kept", "told"):
        assert any("65504" in note and "wide" in note for note in made[name].notes)
    assert any("left in float32" in note for note in made["kept"].notes)
    assert np.isfinite(_run(folder, made["kept"], large)).all()
    assert np.allclose(_run(folder, made["kept"], large), _run(folder, made["fp32"], large), atol=1e-5)


def _saved(folder: Path, nodes, constants) -> tuple[Path, Path]:
    """A model of these nodes from x [batch, 8] to y, and data for it."""
    value = helper.make_tensor_value_info
    given, made = value("x", TensorProto.FLOAT, ["batch", 8]), value("y", TensorProto.FLOAT, ["batch", 8])
    tensors = [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", [given], [made], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    x = np.random.default_rng(0).uniform(0.1, 1, (20, 8)).astype(np.float32)
    np.savez(folder / "d.npz", x=x, calibration=x[::-1])
    return folder / "m.onnx", folder / "d.npz"


def test_weights_within_the_range_of_half_precision_keep_their_values(export_own, tmp_path):
    weights = [50_000, -20_000, 12_000, 1, 0, 1e-3, 60_000, -65_000]
    model, data = _saved(tmp_path, [helper.make_node("Mul", ["x", "w"], ["y"])], {"w": weights})
    folder, made = export_own(model, "half=fp16", data=data)
    assert not any("65504" in note for note in made["half"].notes)
    assert np.allclose(_run(folder, made["half"], data), _run(folder, made["fp32"], data), rtol=2e-3)


@pytest.mark.parametrize(("operator", "factor"), [("MatMul", 1e6), ("MatMul", 60_000), ("Max", 1)])
def test_what_stays_float32_may_make_an_output(export_own, tmp_path, operator, factor):
    """By a weight beyond the range, by a result beyond it, and by an operator that the converter leaves alone."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node(operator, ["t", "b"], ["y"], name="last"),
    ]
    weights = {"a": np.eye(8), "b": np.full((8, 8) if operator == "MatMul" else 8, factor)}
    model, data = _saved(tmp_path, nodes, weights)
    folder, made = export_own(model, "half=fp16", data=data)
    assert any("last" in note for note in made["half"].notes) is (factor > 1)
    assert np.allclose(_run(folder, made["half"], data), _run(folder, made["fp32"], data), rtol=2e-3)


def test_a_result_beyond_half_precision_reaches_all_that_take_it(export_own, tmp_path):
    """Two take it, one of which gives an ordinary number; and a constant is taken in both precisions."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["k"], name="large"),
        helper.make_node("Sqrt", ["k"], ["root"], name="root"),
        helper.make_node("Log", ["k"], ["log"], name="log"),
        helper.make_node("Max", ["log", "half"], ["more"], name="more"),
        helper.make_node("Add", ["root", "more"], ["sum"], name="sum"),
        helper.make_node("Mul", ["sum", "half"], ["y"], name="last"),
    ]
    model, data = _saved(tmp_path, nodes, {"w": np.full((8, 8), 5e4), "half": np.full(8, 0.5)})
    folder, made = export_own(model, "half=fp16", data=data)
    assert np.allclose(_run(folder, made["half"], data), _run(folder, made["fp32"], data), rtol=2e-3)
    # What a runtime without float16 arithmetic of its own would not show: nothing passes through float16 in between.
    graph = onnx.load(str(folder / made["half"].path)).graph
    makers = {name: node for node in graph.node for name in node.output}
    taking = [node for node in graph.node if node.op_type in ("Sqrt", "Log")]
    assert [makers[node.input[0]].op_type for node in taking] == ["MatMul", "MatMul"]


def test_nothing_is_said_of_overflow_where_there_is_none_and_blocked_operators_stay_float32(export_own, network):
    model, small, _ = network
    folder, made = export_own(model, "half=fp16", "some=fp16,block=MatMul", data=small)
    assert not any("65504" in note for note in made["half"].notes)
    assert _types(folder, made["half"], "MatMul") == {TensorProto.FLOAT16}
    assert _types(folder, made["some"], "MatMul") == {TensorProto.FLOAT}


def test_a_block_that_names_nothing_is_refused(export_own, network):
    model, small, _ = network
    _, made = export_own(model, "bad=fp16,block=Matmull", data=small)
    assert "Matmull" in made["bad"].reason


def test_the_options_of_int8_are_in_the_file(export_own, network):
    model, small, _ = network
    folder, made = export_own(
        model,
        "usual=int8",
        "per_tensor=int8,per_channel=false",
        "symmetric=int8,symmetric=true",
        "percentile=int8,calibration=percentile,percentile=99",
        "entropy=int8,calibration=entropy",
        data=small,
    )

    def scales(name):
        graph = onnx.load(str(folder / made[name].path)).graph
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        nodes = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
        return [(constants[node.input[1]], constants[node.input[2]]) for node in nodes]

    assert max(scale.size for scale, _ in scales("usual")) > 1
    assert max(scale.size for scale, _ in scales("per_tensor")) == 1
    assert all((zero == 0).all() for _, zero in scales("symmetric"))
    assert any((zero != 0).any() for _, zero in scales("usual"))
    reference = _run(folder, made["fp32"], small)
    for name in ("usual", "per_tensor", "symmetric", "percentile", "entropy"):
        error = np.linalg.norm(_run(folder, made[name], small) - reference) / np.linalg.norm(reference)
        assert 0 < error < 0.2, name
    assert "percentile 99" in " ".join(made["percentile"].notes)
    assert made["usual"].sha256 != made["percentile"].sha256


def test_named_layers_stay_float_and_a_name_that_fits_none_lists_those_there_are(export_own, network):
    model, small, _ = network
    folder, made = export_own(model, "some=int8,exclude=wide", "bad=int8,exclude=nowhere", data=small)
    assert TensorProto.FLOAT in _types(folder, made["some"], "MatMul")
    assert made["some"].quantised_nodes == 0.5
    assert "'nowhere'" in made["bad"].reason
    assert "wide" in made["bad"].reason


def test_bfloat16_weights_take_half_the_space_and_move_outputs_by_less_than_their_rounding(export_own, network):
    model, small, _ = network
    folder, made = export_own(model, "brain=bf16", data=small)
    assert made["brain"].bytes < 0.7 * made["fp32"].bytes
    reference = _run(folder, made["fp32"], small)
    error = np.linalg.norm(_run(folder, made["brain"], small) - reference) / np.linalg.norm(reference)
    assert 0 < error < 2**-6


def test_four_bit_weights_take_an_eighth_of_the_space_and_smaller_blocks_are_closer(export_own, network):
    model, small, _ = network
    folder, made = export_own(model, "coarse=int4,block_size=64", "fine=int4,block_size=16", data=small)
    assert made["coarse"].operators["com.microsoft.MatMulNBits"] == 2
    assert made["coarse"].quantised_macs == 1.0
    reference = _run(folder, made["fp32"], small)
    errors = {name: np.abs(_run(folder, made[name], small) - reference).mean() for name in ("coarse", "fine")}
    assert 0 < errors["fine"] < errors["coarse"]


def test_four_bit_weights_leave_what_a_branch_uses(export_own, tmp_path):
    def branch(operator):
        value = helper.make_tensor_value_info(operator, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operator, ["h", "w"], [operator])], operator, [], [value])

    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"]),
        helper.make_node("ReduceSum", ["h"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["more"]),
        helper.make_node("If", ["more"], ["y"], then_branch=branch("MatMul"), else_branch=branch("MatMul")),
    ]
    model, data = _saved(tmp_path, nodes, {"w": np.random.default_rng(0).normal(size=(8, 8)), "zero": 0})
    folder, made = export_own(model, "four=int4,block_size=16", data=data)
    assert made["four"].operators["com.microsoft.MatMulNBits"] >= 1
    reference = _run(folder, made["fp32"], data)
    assert np.linalg.norm(_run(folder, made["four"], data) - reference) < 0.3 * np.linalg.norm(reference)


@pytest.mark.parametrize("opset", [15, 21])
def test_an_opset_that_is_asked_for_is_in_the_file_and_says_the_same(export_own, network, opset):
    model, small, _ = network
    folder, made = export_own(model, f"other=fp32,opset={opset}", data=small)
    assert made["other"].opset == opset
    assert np.allclose(_run(folder, made["other"], small), _run(folder, made["fp32"], small), atol=1e-6)


def test_an_opset_that_does_not_exist_is_a_reason(export_own, network):
    model, small, _ = network
    _, made = export_own(model, "other=fp32,opset=999", data=small)
    assert "999" in made["other"].reason
