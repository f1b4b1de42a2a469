"""A program that torch.export saved becomes ONNX; PyTorch's own outputs are its reference."""

from __future__ import annotations

import importlib.util
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.export.bundle import read_index
from bench.export.prepare import prepare
from bench.record.artifact import Bundle
from bench.zoo.find import find

SAVED = """
import sys, torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.dense = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Linear(8, 5)
    def forward(self, x, scale):
        y = self.dense(torch.relu(self.conv(x)).mean((2, 3)) * scale)
        return {"logits": y, "best": y.argmax(-1)}
torch.manual_seed(0)
batch = torch.export.Dim("batch", min=1, max=512)
arguments = (torch.randn(2, 3, 8, 8), torch.rand(2, 1))
program = torch.export.export(Net().eval(), arguments, dynamic_shapes={"x": {0: batch}, "scale": {0: batch}})
torch.export.save(program, sys.argv[1])
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with two inputs and two outputs, saved by another process: this one never imports PyTorch."""
    for package in ("torch", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'counterpoise[torch]'")
    path = tmp_path_factory.mktemp("torch") / "net.pt2"
    subprocess.run([sys.executable, "-c", SAVED, str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def exported(program: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    folder = prepare(
        find(str(program)),
        [("fp32", "onnx"), ("int8-dynamic", "onnx"), ("fp32", "tflite")],
        cache=tmp_path_factory.mktemp("cache"),
        progress=lambda *_, **__: None,
    )
    return folder, read_index(folder)


def test_its_onnx_file_says_what_pytorch_says(exported: tuple[Path, Bundle]) -> None:
    import onnxruntime as ort

    folder, bundle = exported
    artifact = next(a for a in bundle.artifacts if a.variant == "fp32")
    session = ort.InferenceSession(str(folder / artifact.path))
    kept, reference = np.load(folder / bundle.data.inputs), np.load(folder / bundle.data.reference)
    made = session.run(None, {spec.name: kept[str(at)] for at, spec in enumerate(artifact.inputs)})
    np.testing.assert_allclose(made[0], reference["0"], atol=1e-5)
    np.testing.assert_array_equal(made[1], reference["1"])
    assert reference["0"].shape == (64, 5)


def test_its_batch_stays_free_and_its_other_variants_are_made(exported: tuple[Path, Bundle]) -> None:
    _, bundle = exported
    assert {a.variant for a in bundle.artifacts} == {"fp32", "int8-dynamic"}
    assert {spec.name: spec.shape for spec in bundle.artifacts[0].inputs} == {
        "x": (None, 3, 8, 8),
        "scale": (None, 1),
    }
    assert bundle.artifacts[0].notes[0].startswith("converted by PyTorch ")
    assert "PyTorch cannot be turned into TFLite" in bundle.unavailable[0].reason
    assert {"torch", "onnxscript"} <= set(bundle.tools)


def test_the_parent_never_imports_pytorch(exported: tuple[Path, Bundle]) -> None:
    assert exported
    assert "torch" not in sys.modules


class Evil:
    """What a pickle can do: anything."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_inside_the_program_is_not_run(program: Path, tmp_path: Path) -> None:
    mark, path = tmp_path / "was-run", tmp_path / "evil.pt2"
    old = io.BytesIO()
    with zipfile.ZipFile(old, "w") as inner:
        inner.writestr("archive/data.pkl", pickle.dumps(Evil(mark), protocol=2))
        inner.writestr("archive/version", "3\n")
        inner.writestr("archive/byteorder", "little")
    with zipfile.ZipFile(program) as source, zipfile.ZipFile(path, "w") as made:
        for entry in source.infolist():
            changed = entry.filename.endswith("sample_inputs/model.pt")
            made.writestr(entry.filename, old.getvalue() if changed else source.read(entry))
    with pytest.raises(UserError, match="cannot load the program"):
        prepare(find(str(path)), [("fp32", "onnx")], cache=tmp_path / "cache", progress=lambda *_, **__: None)
    assert not mark.exists()


def test_a_program_that_is_cut_short_is_refused(program: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt2"
    cut.write_bytes(program.read_bytes()[:-200])
    with pytest.raises(UserError, match="zip"):
        find(str(cut))


def test_without_pytorch_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("m/archive_format", "pt2")
        made.writestr("m/models/model.json", "{}")
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else there(name))
    with pytest.raises(UserError, match="PyTorch, which is not installed") as raised:
        prepare(find(str(path)), [("fp32", "onnx")], cache=tmp_path / "cache", progress=lambda *_, **__: None)
    assert "counterpoise[torch]" in str(raised.value.remedy)
