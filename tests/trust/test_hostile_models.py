"""Model files that mean harm, each small: none costs more than a sentence.

Damaged ones are in tests/fuzz, bundles in tests/export/test_bundle_refused.py, PyTorch's in tests/zoo/test_pt2.py, and
code in a Keras file in tests/cli/test_own_models.py.
"""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bench.errors import UserError
from bench.export.errors import ExportError
from bench.export.prepare import prepare
from bench.worker.measure import measure
from bench.zoo import archive
from bench.zoo.find import find
from tests.trust.captive import Nobody, job, plan

TIMEOUT_S = 2.0


def saved(path: Path, nodes: list[onnx.NodeProto], tensors: list[onnx.TensorProto] | None = None) -> Path:
    """An ONNX file of those nodes, from `x` to `y`."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors or [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def endless(path: Path) -> Path:
    """A model whose loop has no end."""
    truth = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    kept = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in ("a", "b")]
    flags = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("go", "on")]
    count = helper.make_tensor_value_info("at", TensorProto.INT64, [])
    steps = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["a"], ["b"])]
    body = helper.make_graph(steps, "body", [count, flags[0], kept[0]], [flags[1], kept[1]])
    return saved(path, [helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)], [truth])


def silent(text: str, share: float | None = None, *, passing: bool = False) -> None:
    """Nobody listens."""


def test_a_model_that_never_ends_is_ended_where_it_is_measured(tmp_path: Path) -> None:
    asked = job(tmp_path, plan(timeout_s=TIMEOUT_S), "onnxruntime", "cpu")
    endless(tmp_path / "m.onnx")
    began = time.monotonic()
    failure = measure(asked, 0, Nobody()).failure
    assert failure is not None
    assert "no answer within 2 s" in failure.reason
    assert time.monotonic() - began < 60


def test_and_where_it_is_exported(tmp_path: Path) -> None:
    source = find(str(endless(tmp_path / "m.onnx")))
    with pytest.raises(ExportError, match="2 s"):
        prepare(source, [("fp32", "onnx")], cache=tmp_path / "cache", progress=silent, timeout_s=TIMEOUT_S)


def test_a_tensor_larger_than_the_machine_is_a_refusal(tmp_path: Path) -> None:
    """Four tebibytes, made by a file of 200 bytes."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [1 << 40])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["many"]),
        helper.make_node("ReduceMax", ["many"], ["most"], keepdims=0),
        helper.make_node("Add", ["x", "most"], ["y"]),
    ]
    source = find(str(saved(tmp_path / "m.onnx", nodes, [shape])))
    with pytest.raises((UserError, ExportError)) as refused:
        prepare(source, [("fp32", "onnx")], cache=tmp_path / "cache", progress=silent, timeout_s=60)
    assert str(refused.value)


@pytest.mark.parametrize(
    "location", ["/etc/hostname", "../secret", "sub/../../secret", "..\\secret", "link", "folder/secret"]
)
def test_tensors_in_a_file_elsewhere_are_never_read(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(np.ones(1, np.float32).tobytes())
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path, target_is_directory=True)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    saved(folder / "m.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], [tensor])
    with pytest.raises(UserError, match="outside its own folder"):
        find(str(folder / "m.onnx"))


@pytest.mark.parametrize("suffix", [".keras", ".pt2"])
def test_an_archive_that_grows_without_end_is_refused_before_it_is_unpacked(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "BOMB_BYTES", 1 << 20)
    path = tmp_path / f"bomb{suffix}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("config.json", "m/archive_format", "m/models/model.json"):
            made.writestr(name, "pt2" if "format" in name else "{}")
        made.writestr("m/weights", bytes(8 << 20))
    monkeypatch.setattr(zipfile.ZipFile, "open", _never)
    with pytest.raises(UserError, match="times as many, over the limit"):
        find(str(path))


@pytest.mark.parametrize("suffix", [".keras", ".pt2"])
def test_an_archive_that_lies_about_its_size_is_damaged(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"liar{suffix}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("config.json", "m/archive_format", "m/models/model.json"):
            made.writestr(name, "pt2" if "format" in name else "{}")
        made.writestr("m/weights", bytes(1 << 20))
    told = (1 << 20).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(told, (16).to_bytes(4, "little")))
    with pytest.raises(UserError, match=r"damaged|not a whole"):
        find(str(path))


def _never(*given: object, **named: object) -> None:
    raise AssertionError("a byte of it was unpacked")
