from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.export.bundle import read_index
from bench.export.prepare import prepare
from bench.export.recipes import only, wanted
from bench.export.variants import VARIANTS
from bench.record.artifact import Artifact, Bundle
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
