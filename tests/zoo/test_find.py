"""Names and paths become sources; what is not a whole model is one clear error."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from bench.errors import UserError
from bench.zoo.find import case_name, find, zoo_models
from bench.zoo.hashing import file_sha256


@pytest.fixture
def model(tmp_path: Path) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    path = tmp_path / "my model (v2).onnx"
    onnx.save(helper.make_model(graph), str(path))
    return path


def test_a_zoo_model_in_one_of_its_settings():
    source = find("mnist_cnn@digits")
    assert (source.kind, source.name, source.formats) == ("zoo", "mnist_cnn@digits", ("onnx", "tflite"))
    assert {"mnist_cnn", "linear_regression"} <= set(zoo_models())


def test_the_folder_of_a_zoo_model_is_that_model_by_its_path():
    source = find(str(zoo_models()["linear_regression"]))
    assert source == find("linear_regression")
    assert source.kind == "zoo"


def test_the_plain_name_is_the_first_setting_whose_data_are_here(tmp_path, monkeypatch, data_dir):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("BENCH_DATA_DIR", str(data_dir))
    assert find("mnist_cnn").name == "mnist_cnn@mnist"
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    assert find("mnist_cnn").name == "mnist_cnn@digits"


def test_a_setting_that_is_not_there_gets_the_nearest():
    with pytest.raises(UserError, match="unknown setting 'digit'") as raised:
        find("mnist_cnn@digit")
    assert "'digits'" in raised.value.remedy


def test_the_given_folder_comes_first(tmp_path):
    mine = tmp_path / "mnist_cnn"
    mine.mkdir()
    text = (zoo_models()["mnist_cnn"] / "model.toml").read_text()
    (mine / "model.toml").write_text(text.replace('licence = "Apache-2.0"', 'licence = "MIT"'))
    (mine / "model.py").write_text("")
    assert find("mnist_cnn@digits", [tmp_path]).path == str(mine.resolve())
    assert find("mnist_cnn@digits", [tmp_path]).sha256 != find("mnist_cnn@digits").sha256


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UserError, match="unknown model") as raised:
        find("mnist-cnn")
    assert "'mnist_cnn'" in raised.value.remedy


def test_a_file_keeps_its_plain_checksum_and_gets_a_tidy_name(model):
    source = find(str(model))
    assert (source.kind, source.formats) == ("onnx", ("onnx",))
    assert source.name == "my_model_v2"
    assert source.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()


@pytest.mark.parametrize(("stem", "name"), [("a/b c", "a_b_c"), ("..", "model"), ("ä", "model"), ("m-1.2", "m-1.2")])
def test_case_names_hold_no_slash_or_space(stem, name):
    assert case_name(stem) == name


BAD = {
    "empty.onnx": (b"", "empty"),
    "text.onnx": (b"this is not a model at all", "ONNX"),
    "page.onnx": (b"<!DOCTYPE html><html></html>", "web page"),
    "flat.onnx": (b"\x1c\0\0\0TFL3" + b"\0" * 64, "tflite"),
    "text.tflite": (b"hello hello", "TFL3"),
    "cut.tflite": (b"\xff\xff\0\0TFL3", "cut short"),
    "text.keras": (b"no zip", "zip"),
    "text.h5": (b"no hdf", "HDF5"),
    "signature.h5": (b"\x89HDF\r\n\x1a\n", "cut short: 8 bytes"),
    "cut.h5": (
        b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + b"\0" * 24 + b"\xff\xff\xff" + b"\0" * 21,
        "cut short",
    ),
    "model.pt": (b"PK\x03\x04", "torch.export.save"),
    "text.pt2": (b"no zip", "zip"),
    "model.pkl": (b"x", "pickled"),
    "model": (b"x", "formats read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_error_with_place_and_remedy(tmp_path, name):
    content, said = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        find(str(path))
    assert raised.value.where == str(path)
    assert raised.value.remedy
    assert said in str(raised.value)


def test_a_truncated_onnx_file(model, tmp_path):
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(model.read_bytes()[:-15])
    with pytest.raises(UserError, match="not a whole"):
        find(str(cut))


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (helper.make_graph([], "g", [], []), "no graph"),
        (helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], []), "no outputs"),
    ],
)
def test_an_onnx_file_without_a_whole_graph(graph, said, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(UserError, match=said):
        find(str(path))


def test_hdf5_of_a_version_to_come_is_left_to_its_library(tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n\x09" + bytes(64))
    assert find(str(path)).kind == "keras"


@pytest.mark.skipif(sys.platform != "linux", reason="the file that even root cannot read is Linux's")
def test_a_file_that_cannot_be_read(tmp_path):
    path = tmp_path / "m.onnx"
    path.symlink_to("/proc/self/mem")
    with pytest.raises(UserError, match="cannot read the model: Input/output error") as raised:
        find(str(path))
    assert raised.value.where == str(path)
    with pytest.raises(UserError, match="cannot read the file: Input/output error"):
        file_sha256(path)


def test_a_zip_that_is_no_keras_model(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "x")
    with pytest.raises(UserError, match=r"config\.json"):
        find(str(path))


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(UserError, match="not a model") as raised:
        find(str(tmp_path))
    assert "saved_model.pb" in raised.value.remedy


def test_a_missing_file():
    with pytest.raises(UserError, match="no such model file"):
        find("nowhere/model.onnx")


def _external(model: Path, location: str) -> None:
    loaded = onnx.load(str(model))
    tensor = loaded.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    model.write_bytes(loaded.SerializeToString())


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../b"])
def test_tensors_outside_the_folder_are_refused(model, location):
    _external(model, location)
    with pytest.raises(UserError, match="outside its own folder"):
        find(str(model))


def test_tensors_that_are_missing(model):
    _external(model, "w.bin")
    with pytest.raises(UserError, match="missing"):
        find(str(model))


def test_external_tensors_are_part_of_the_checksum(model):
    _external(model, "w.bin")
    (model.parent / "w.bin").write_bytes(b"\0\0\0\0")
    before = find(str(model)).sha256
    (model.parent / "w.bin").write_bytes(b"\0\0\0\1")
    assert find(str(model)).sha256 != before


def test_looking_imports_no_tensorflow(model):
    code = f"import sys; from bench.zoo.find import find; find({str(model)!r}); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
