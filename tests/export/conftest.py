from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.export.bundle import read_index
from bench.export.onnx_origin import OnnxOrigin
from bench.export.prepare import prepare
from bench.export.recipes import only, wanted
from bench.export.variants import VARIANTS
from bench.export.workshop import Material, Workshop
from bench.record.artifact import Artifact, Bundle
from bench.zoo.card import ModelCard
from bench.zoo.find import ModelSource, find

Array = np.ndarray[Any, Any]
ALL = [(name, fmt) for name, spec in VARIANTS.items() for fmt in spec.formats]


@dataclass(frozen=True)
class Exported:
    """A model exported in every variant, and what it took."""

    source: ModelSource
    cache: Path
    folder: Path
    bundle: Bundle
    told: list[str]

    def artifact(self, variant: str, fmt: str) -> Artifact:
        return next(a for a in self.bundle.artifacts if (a.variant, a.format) == (variant, fmt))

    def reason(self, variant: str, fmt: str) -> str:
        return next(u.reason for u in self.bundle.unavailable if (u.variant, u.format) == (variant, fmt))

    @property
    def inputs(self) -> Array:
        return np.load(self.folder / self.bundle.data.inputs)["0"]

    @property
    def labels(self) -> Array:
        assert self.bundle.data.labels is not None
        return np.load(self.folder / self.bundle.data.labels)

    @property
    def reference(self) -> Array:
        assert self.bundle.data.reference is not None
        return np.load(self.folder / self.bundle.data.reference)["0"]


@pytest.fixture(scope="session")
def export(export_cache: Path) -> Callable[..., Exported]:
    def run(model: Path | str, variants: list[tuple[str, str]] = ALL, data: Path | None = None) -> Exported:
        told: list[str] = []
        source = find(str(model))
        folder = prepare(
            source,
            variants,
            data=data,
            cache=export_cache,
            progress=lambda text, *_, **__: told.append(text),
            timeout_s=400,
        )
        bundle = only(read_index(folder), [wanted(*variant) for variant in variants])
        return Exported(source, export_cache, folder, bundle, told)

    return run


@pytest.fixture(scope="session")
def mnist(export: Callable[..., Exported]) -> Exported:
    """The zoo's mnist_cnn in every variant and format."""
    return export("mnist_cnn@digits")


@pytest.fixture(scope="session")
def user_models() -> Path:
    """Models of the kind users have: the folder `models` in `BENCH_DATA_DIR`."""
    given = os.environ.get("BENCH_DATA_DIR")
    if not given:
        pytest.skip("BENCH_DATA_DIR is not set")
    return Path(given) / "models"


@pytest.fixture
def workshop(tmp_path: Path) -> Callable[..., Workshop]:
    """A small ONNX graph from x to y (float32 of any shape), opened in this process as an export process does it.

    `inputs` are its evaluation data; other keywords are those of its material. What it reports goes to `told`.
    """

    def opened(
        nodes: Sequence[onnx.NodeProto],
        constants: Mapping[str, Any] | None = None,
        *,
        inputs: tuple[Array, ...],
        shapes: tuple[Sequence[int | str], Sequence[int | str]] | None = None,
        opset: int = 17,
        card: ModelCard | None = None,
        origin: type[OnnxOrigin] = OnnxOrigin,
        told: list[str] | None = None,
        **material: Any,
    ) -> Workshop:
        given, made = shapes or (["n", *inputs[0].shape[1:]], ["n", *("yzuv"[: inputs[0].ndim - 1])])
        value = helper.make_tensor_value_info
        tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
        graph = helper.make_graph(
            nodes, "g", [value("x", TensorProto.FLOAT, given)], [value("y", TensorProto.FLOAT, made)], tensors
        )
        path = tmp_path / "given.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
        lines = [] if told is None else told
        source = origin(path, 0)
        source.trial = inputs
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        return Workshop(
            find(str(path)),
            card,
            source,
            replace(Material("d.npz", inputs, None, None, None), **material),
            tmp_path,
            scratch,
            0,
            lambda text, *_, **__: lines.append(text),
        )

    return opened


@pytest.fixture(scope="session")
def run_onnx() -> Callable[[Path, Array], Array]:
    def run(path: Path, inputs: Array) -> Array:
        import onnxruntime as ort

        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: inputs})[0]

    return run


@pytest.fixture(scope="session")
def run_tflite() -> Callable[[Path, Array], Array]:
    """All rows as one batch: the batch axis is resized. Real values in and out."""

    def run(path: Path, inputs: Array) -> Array:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path))
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], inputs.shape)
        interpreter.allocate_tensors()
        given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        scale, zero = given["quantization"]
        limits = np.iinfo(given["dtype"]) if scale else None
        stored = np.clip(np.round(inputs / scale) + zero, limits.min, limits.max) if limits else inputs
        interpreter.set_tensor(given["index"], stored.astype(given["dtype"]))
        interpreter.invoke()
        output = interpreter.get_tensor(made["index"])
        scale, zero = made["quantization"]
        return (output.astype(np.float32) - zero) * scale if scale else output

    return run
