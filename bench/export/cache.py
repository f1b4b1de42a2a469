"""Where exports are kept, and the key under which: same input, same folder."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from bench.export.errors import ExportError
from bench.export.inputs import Descriptions
from bench.files import cache_dir as cache_dir  # noqa: PLC0414 callers of the export know it from here
from bench.zoo.code import code_sha256
from bench.zoo.find import ModelSource, source_card
from bench.zoo.ingredients import contents
from bench.zoo.userdata import data_sha256
from bench.zoo.versions import installed

_TOOLS = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxslim",
    "onnxconverter-common",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "scikit-learn",
    "numpy",
    "torch",
    "onnxscript",
    "flatbuffers",
    "onnx-ir",
    "ml_dtypes",
    "scipy",
)
_LIGHT = {
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxslim",
    "onnxconverter-common",
    "onnx-ir",
    "ml_dtypes",
    "numpy",
    "scipy",
}
_BY_KIND = {
    "onnx": _LIGHT,
    "torch": _LIGHT | {"torch", "onnxscript"},
    "tflite": {"ai-edge-litert", "ai-edge-quantizer", "flatbuffers", "numpy"},
}

CODE = (
    "export",
    "training",
    "zoo",
    "quality",
    "record/artifact.py",
    "record/case.py",
    "record/codec.py",
    "record/measurement.py",
    "stats/proportion.py",
)
NOT_DECIDING = {
    "export/bundle.py",
    "export/cache.py",
    "export/clean.py",
    "export/contents.py",
    "export/prepare.py",
    "export/training_log.py",
    "export/uses.py",
    "training/key.py",
    "training/report.py",
    "zoo/archive.py",
    "zoo/code.py",
    "zoo/collection.py",
    "zoo/download.py",
    "zoo/files.py",
    "zoo/find.py",
    "zoo/hashing.py",
    "zoo/inside.py",
    "zoo/onnx_sketch.py",
    "zoo/pt2.py",
    "zoo/sniff.py",
    "zoo/versions.py",
}
"""What only looks for files, checks and keeps them: what it finds is in the key by its content."""


def tool_versions(kind: str) -> dict[str, str]:
    """Versions of the packages that decide what an export of this kind of source looks like."""
    wanted = _BY_KIND.get(kind, set(_TOOLS))
    return installed(name for name in _TOOLS if name in wanted)


def bundle_key(source: ModelSource, data: Path | None, seed: int, inputs: Descriptions | None = None) -> str:
    """The content address of the bundle of `source`: 24 hexadecimal digits.

    Covers the model's files, the data (its bytes, or the zoo's loader and the package that holds it), the
    descriptions of its inputs, the seed, the code of the export and the versions of its tools. Imports nothing heavy.

    Raises:
        UserError: a model card or the data cannot be read. ExportError: not a source that can be exported.
    """
    content: dict[str, Any] = {
        "name": source.name,
        "kind": source.kind,
        "source": source.sha256,
        "seed": seed,
        "tools": tool_versions(source.kind),
        "code": _code_sha256(),
        "data": data_sha256(data) if data is not None else None,
        "inputs": (inputs or Descriptions()).key(),
    }
    if source.kind == "zoo":
        if data is not None:
            raise ExportError("a zoo model brings its own data")
        content["ingredients"] = contents(Path(source.path), source_card(source))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


@cache
def _code_sha256() -> str:
    """A hash of the code that decides the content of an export, so that a change of it is never missed."""
    return code_sha256(CODE, NOT_DECIDING)
