"""A .pt2 file is looked at before PyTorch sees it: pickles and machine code never get that far."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.zoo.find import find

PROGRAM = {"m/archive_format": "pt2", "m/models/model.json": "{}", "m/data/weights/weight_0": "\0" * 64}


def archive(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def test_a_saved_program_becomes_onnx_only(tmp_path: Path) -> None:
    source = find(str(archive(tmp_path / "net.pt2", PROGRAM)))
    assert (source.kind, source.name, source.formats) == ("torch", "net", ("onnx",))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"m/data/constants/custom_obj_0": "x"}, "pickled object"),
        ({"m/data/constants/opaque_obj_0": "x"}, "pickled object"),
        ({"m/data/aotinductor/model/lib.so": "x"}, "machine code"),
        ({"m/archive_format": "other"}, "format 'other'"),
    ],
)
def test_what_would_run_code_is_refused(tmp_path: Path, more: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        find(str(archive(tmp_path / "net.pt2", PROGRAM | more)))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"net/constants.pkl": "x", "net/code/__torch__.py": "x"}, "TorchScript or a pickle"),
        ({"net/data.pkl": "x"}, "TorchScript or a pickle"),
        ({"serialized_exported_program.json": "{}", "version": "8.8"}, "old PyTorch"),
        ({"m/archive_format": "pt2"}, "models/model.json"),
        ({"x": "x"}, "archive_format"),
    ],
)
def test_other_files_of_pytorch_say_what_to_do(tmp_path: Path, members: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        find(str(archive(tmp_path / "net.pt2", members)))
