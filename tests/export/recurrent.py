"""A leaky sum as an ONNX file: y = x + keep · h, and the next h is y."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KEEP = 0.9
TOML = "[inputs.h]\nstate = 'hn'\n"


def leaky(path: Path, keep: float = KEEP, *, layers: int | None = None) -> Path:
    """With `layers`, the state is [layers, n, 1] of which the first counts, so that an example is a whole feed."""
    shape = ["n", 1] if layers is None else [layers, "n", 1]
    real = TensorProto.FLOAT
    first = [helper.make_node("Identity", ["h"], ["h0"])]
    if layers is not None:
        first = [helper.make_node("Gather", ["h", "zero"], ["h0"], axis=0)]
    last = [helper.make_node("Identity", ["y"], ["hn"])]
    if layers is not None:
        last = [
            helper.make_node("Unsqueeze", ["y", "axes"], ["y1"]),
            helper.make_node("Concat", ["y1"] * layers, ["hn"], axis=0),
        ]
    nodes = [
        *first,
        helper.make_node("Mul", ["h0", "keep"], ["kept"]),
        helper.make_node("Add", ["x", "kept"], ["y"]),
        *last,
    ]
    weights = [
        numpy_helper.from_array(np.float32(keep).reshape(()), "keep"),
        numpy_helper.from_array(np.int64(0).reshape(()), "zero"),
        numpy_helper.from_array(np.array([0], np.int64), "axes"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", real, ["n", 1]), helper.make_tensor_value_info("h", real, shape)],
        [helper.make_tensor_value_info("y", real, ["n", 1]), helper.make_tensor_value_info("hn", real, shape)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def summed(x: np.ndarray, keep: float = KEEP, starts: tuple[int, ...] = (0,)) -> np.ndarray:
    """What the file gives, step by step."""
    made, h = [], 0.0
    for at, value in enumerate(x.ravel()):
        h = value + keep * (0.0 if at in starts else h)
        made.append(h)
    return np.array(made)
