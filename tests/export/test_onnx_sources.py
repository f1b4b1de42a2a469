"""ONNX files of every kind that the checker accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.export import onnx_origin
from bench.export.bundle import read_index
from bench.export.errors import CannotMake
from bench.export.inputs import Descriptions, InputDescription
from bench.export.onnx_origin import OnnxOrigin
from bench.export.origin import feeds
from bench.export.prepare import prepare
from bench.zoo.find import find

FLOAT, INT, BOOL, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING


def made(path: Path, nodes, inputs, outputs, weights=(), opset=17, ir=8) -> Path:
    values = [[helper.make_tensor_value_info(*each) for each in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *values, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def dense(path: Path, opset: int, ir: int, *, weights_as_inputs: bool = False) -> Path:
    matrix = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "w")
    inputs = [("x", FLOAT, ["n", 3])] + ([("w", FLOAT, [3, 2])] if weights_as_inputs else [])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Relu", ["m"], ["y"])]
    return made(path, nodes, inputs, [("y", FLOAT, ["n", 2])], [matrix], opset, ir)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21, onnx.defs.onnx_opset_version()])
def test_any_opset_runs_and_becomes_an_fp32_file(tmp_path: Path, opset: int) -> None:
    newest = opset > 22
    origin = OnnxOrigin(dense(tmp_path / "m.onnx", opset, 11 if newest else 8), 0)
    origin.float_onnx(tmp_path / "out.onnx")
    again = OnnxOrigin(tmp_path / "out.onnx", 0)
    feed = (np.ones((2, 3), np.float32),)
    np.testing.assert_array_equal(origin.run(feed)[0], again.run(feed)[0])


def test_weights_listed_among_the_inputs_of_an_old_file_are_not_fed(tmp_path: Path) -> None:
    origin = OnnxOrigin(dense(tmp_path / "m.onnx", 7, 3, weights_as_inputs=True), 0)
    assert [spec.name for spec in origin.inputs] == ["x"]


@pytest.fixture
def lookup(tmp_path: Path) -> Path:
    """Token numbers, a mask and a choice give scores and a number: three types in, two out."""
    table = numpy_helper.from_array(np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32), "table")
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Cast", ["mask"], ["kept"], to=FLOAT),
        helper.make_node("Unsqueeze", ["kept", "last"], ["wide"]),
        helper.make_node("Mul", ["rows", "wide"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axis"], ["scores"], keepdims=0),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
    ]
    axes = [numpy_helper.from_array(np.array([at], np.int64), name) for at, name in ((2, "last"), (1, "axis"))]
    return made(
        tmp_path / "lookup.onnx",
        nodes,
        [("ids", INT, ["batch", "sequence"]), ("mask", BOOL, ["batch", "sequence"])],
        [("scores", FLOAT, ["batch", 4]), ("best", INT, ["batch"])],
        [table, *axes],
    )


def test_whole_and_truth_numbers_go_in_and_whole_numbers_come_out(lookup: Path, tmp_path: Path) -> None:
    described = Descriptions(
        axes={"sequence": 12}, inputs={"ids": InputDescription(range=(40, 49), generator="integers")}, where="f.toml"
    )
    folder = prepare(
        find(str(lookup)), [("fp32", "onnx")], inputs=described, cache=tmp_path, progress=lambda *_, **__: None
    )
    bundle = read_index(folder)
    kept, reference = np.load(folder / bundle.data.inputs), np.load(folder / bundle.data.reference)
    assert (kept["0"].shape, kept["0"].dtype, kept["0"].min() >= 40) == ((64, 12), np.int64, True)
    assert (kept["1"].shape, kept["1"].dtype) == ((64, 12), np.bool_)
    np.testing.assert_array_equal(reference["1"], reference["0"].argmax(axis=1))
    assert bundle.data.name == "generated inputs (ids integers 40..49, sequence 12, seed 0)"
    assert [spec.shape for spec in bundle.artifacts[0].inputs] == [(None, None), (None, None)], "the file stays free"


def test_a_number_that_the_model_cannot_take_asks_for_a_description(lookup: Path, tmp_path: Path) -> None:
    described = Descriptions(inputs={"ids": InputDescription(value=50)}, where="f.toml")
    with pytest.raises(UserError, match="does not run on these inputs") as raised:
        prepare(find(str(lookup)), [("fp32", "onnx")], inputs=described, cache=tmp_path, progress=lambda *_, **__: None)
    assert "--inputs" in str(raised.value.remedy)


def test_axes_have_the_names_of_the_file(lookup: Path) -> None:
    assert OnnxOrigin(lookup, 0).axes["ids"] == ["batch", "sequence"]


def test_text_is_refused(tmp_path: Path) -> None:
    path = made(
        tmp_path / "t.onnx", [helper.make_node("Identity", ["t"], ["y"])], [("t", TEXT, [1])], [("y", TEXT, [1])]
    )
    with pytest.raises(UserError, match="'t' is text") as raised:
        OnnxOrigin(path, 0)
    assert "text is prepared before it" in str(raised.value.remedy)


def test_a_list_of_tensors_is_refused(tmp_path: Path) -> None:
    values = helper.make_tensor_sequence_value_info("rows", FLOAT, None)
    nodes = [helper.make_node("SplitToSequence", ["x"], ["rows"], axis=0)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", FLOAT, [3, 2])], [values])
    path = tmp_path / "s.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    with pytest.raises(UserError, match="'rows' is no tensor of numbers"):
        OnnxOrigin(path, 0)


def test_numbers_that_numpy_does_not_have_are_refused(tmp_path: Path) -> None:
    kind = TensorProto.BFLOAT16
    path = made(
        tmp_path / "b.onnx", [helper.make_node("Identity", ["x"], ["y"])], [("x", kind, [1])], [("y", kind, [1])]
    )
    with pytest.raises(UserError, match="'x' is bfloat16"):
        OnnxOrigin(path, 0)


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A file whose weights lie beside it."""
    path = dense(tmp_path / "m.onnx", 17, 8)
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="m.data", size_threshold=0)
    return path


def test_the_data_beside_a_file_count_in_its_hash_and_end_up_inside_the_artifact(beside: Path, tmp_path: Path) -> None:
    before, data = find(str(beside)).sha256, tmp_path / "m.data"
    origin = OnnxOrigin(beside, 0)
    origin.float_onnx(tmp_path / "out.onnx")
    expected = origin.run((np.ones((1, 3), np.float32),))[0]
    data.write_bytes(bytes(len(data.read_bytes())))
    assert find(str(beside)).sha256 != before
    np.testing.assert_array_equal(OnnxOrigin(tmp_path / "out.onnx", 0).run((np.ones((1, 3), np.float32),))[0], expected)


def test_more_weights_than_one_file_holds_are_a_reason(
    beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = OnnxOrigin(beside, 0)
    monkeypatch.setattr(onnx_origin, "LARGEST_BYTES", 8)
    with pytest.raises(CannotMake, match="GiB of an ONNX file"):
        origin.float_onnx(tmp_path / "out.onnx")


def test_the_file_is_simplified_with_inputs_that_it_takes(lookup: Path, tmp_path: Path) -> None:
    """Where generated ones do not fit, those of the data or the descriptions show that nothing changed."""
    table = onnx.load(str(lookup))
    small = numpy_helper.from_array(np.ones((2, 4), np.float32), "table")
    table.graph.initializer[0].CopyFrom(small)
    onnx.save(table, str(tmp_path / "small.onnx"))
    origin = OnnxOrigin(tmp_path / "small.onnx", 0)
    assert any("does not run on generated inputs" in note for note in origin.float_onnx(tmp_path / "a.onnx"))
    origin.trial = (np.zeros((4, 3), np.int64), np.ones((4, 3), bool))
    assert origin.float_onnx(tmp_path / "b.onnx") == ["the given file, simplified by onnxslim"]
    assert len(feeds(origin.trial, origin.inputs)) == 4
