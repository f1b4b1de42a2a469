"""An export of nothing is refused before any work is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.runner.bundle import make_bundle


@pytest.fixture
def model(tmp_path: Path) -> str:
    """An ONNX file, which becomes nothing but ONNX."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y"))
    weights = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"formats": []}, ["nothing is named", "--formats"]),
        ({"variants": []}, ["nothing is named", "--variants"]),
        ({"formats": ["tflite"]}, ["tflite", "it can become onnx"]),
        ({"variants": ["int16x8"]}, ["nothing of what is asked for", "it can become onnx"]),
    ],
)
def test_where_nothing_is_left_to_export_that_is_said_and_nothing_is_written(
    model: str, tmp_path: Path, asked: dict[str, Any], words: list[str]
) -> None:
    given = {"variants": None, "formats": ["onnx", "tflite"], **asked}
    with pytest.raises(UserError) as raised:
        make_bundle(
            model,
            tmp_path / "out",
            own={},
            data=None,
            model_folders=[],
            seed=0,
            progress=lambda text: None,
            **given,
        )
    for word in words:
        assert word in str(raised.value)
    assert not (tmp_path / "out").exists()
