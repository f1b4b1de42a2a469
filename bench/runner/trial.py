"""A small model that needs no export, for the tool to measure itself with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.files import write_whole
from bench.record.artifact import Artifact, Recipe, TensorSpec
from bench.zoo.hashing import file_sha256

_WIDTH = 512
_LAYERS = 6
_EXAMPLES = 64


class Trial:
    """An ONNX network of a few dense layers and its inputs, written to `folder`: tens of microseconds a call."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        rng = np.random.default_rng(seed)
        nodes, weights = [], []
        for layer in range(_LAYERS):
            matrix = rng.normal(0, _WIDTH**-0.5, (_WIDTH, _WIDTH)).astype(np.float32)
            weights.append(numpy_helper.from_array(matrix, f"w{layer}"))
            nodes.append(helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"m{layer}"]))
            nodes.append(helper.make_node("Relu", [f"m{layer}"], [f"x{layer + 1}"]))
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", _WIDTH]) for name in ("x0", f"x{_LAYERS}")
        ]
        graph = helper.make_graph(nodes, "trial", ends[:1], ends[1:], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        self.path = folder / "trial.onnx"
        write_whole(self.path, model.SerializeToString())
        self.inputs = folder / "inputs.npz"
        np.savez(self.inputs, allow_pickle=False, **{"0": rng.normal(size=(_EXAMPLES, _WIDTH)).astype(np.float32)})
        self.artifact = Artifact(
            model="trial",
            variant="fp32",
            format="onnx",
            recipe=Recipe("fp32"),
            path=self.path.name,
            sha256=file_sha256(self.path),
            bytes=self.path.stat().st_size,
            inputs=(TensorSpec(name="x0", dtype="float32", shape=(None, _WIDTH)),),
            outputs=(TensorSpec(name=f"x{_LAYERS}", dtype="float32", shape=(None, _WIDTH)),),
        )
