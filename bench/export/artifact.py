"""A written file becomes an `Artifact` with its facts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bench.export.errors import CannotMake
from bench.export.facts import Facts
from bench.export.origin import Feed, feeds
from bench.export.pruned import Pruned, pruned_by
from bench.export.recipes import Wanted, digest, is_builtin
from bench.record.artifact import Artifact, TensorSpec
from bench.zoo.hashing import file_sha256

if TYPE_CHECKING:
    from bench.export.workshop import Workshop

FOLDER = "artifacts"
_ZSTD_LEVEL = 3
_SLACK = 0.005  # batch-normalisation folding and the like may move a few weights


def file_name(model: str, wanted: Wanted) -> str:
    """Where the artifact lies in its bundle: two recipes under one name have two places."""
    recipe = "" if is_builtin(wanted.variant, wanted.recipe) else f"-{digest(wanted.recipe)}"
    return f"{FOLDER}/{model}-{wanted.variant}{recipe}.{wanted.format}"


def describe_artifact(shop: Workshop, wanted: Wanted, path: Path, notes: list[str]) -> Artifact:
    """Read the facts of the file at `path` and run it once.

    Raises:
        CannotMake: its own runtime does not run it, or a pruned file does not hold its zeros.
    """
    pruned = pruned_by(wanted.recipe)
    known, opset, finite = _onnx(shop, path, pruned) if wanted.format == "onnx" else _tflite(shop, path)
    if not finite:
        notes = [*notes, "gives values that are not finite on the first example"]
    if pruned is not None:
        _check_zeros(shop.origin.pruned_zeros(pruned), known.sparsity)
    return Artifact(
        model=shop.source.name,
        variant=wanted.variant,
        format=wanted.format,
        recipe=wanted.recipe,
        path=file_name(shop.source.name, wanted),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        bytes_zstd=_compressed(path),
        inputs=known.inputs,
        outputs=known.outputs,
        opset=opset,
        parameters=known.parameters,
        macs=known.macs,
        sparsity=known.sparsity,
        quantised_nodes=known.quantised_nodes,
        quantised_macs=known.quantised_macs,
        operators=known.operators,
        notes=tuple(notes),
    )


def _onnx(shop: Workshop, path: Path, pruned: Pruned | None) -> tuple[Facts, int | None, bool]:
    """Facts, opset, and whether all outputs on the first example are finite. Raises `CannotMake`."""
    from bench.export import onnx_facts

    known = onnx_facts.facts(path)
    finite = _runs_onnx(path, known.inputs, known.outputs, _first(shop))
    if shop.origin.not_float is not None:
        return known, known.opset, finite
    # The same counts under every transformation: rewritten graphs hide them.
    base = onnx_facts.facts(shop.float_onnx(pruned)[0])
    return msgspec.structs.replace(known, parameters=base.parameters, macs=base.macs), known.opset, finite


def _tflite(shop: Workshop, path: Path) -> tuple[Facts, None, bool]:
    from bench.export import tflite_facts

    order = [spec.name for spec in shop.origin.inputs], [spec.name for spec in shop.origin.outputs]
    return tflite_facts.facts(path.read_bytes(), order), None, True


def _compressed(path: Path) -> int:
    """The size that Zstandard makes of the file at its usual level, B."""
    import zstandard

    with path.open("rb") as source, Path(os.devnull).open("wb") as nowhere:
        _, written = zstandard.ZstdCompressor(_ZSTD_LEVEL).copy_stream(source, nowhere)
    return int(written)


def _first(shop: Workshop) -> Feed:
    return feeds([array[:1] for array in shop.material.inputs], shop.origin.inputs)[0]


def _runs_onnx(path: Path, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], feed: Feed) -> bool:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        made = session.run(None, {spec.name: array for spec, array in zip(inputs, feed, strict=True)})
    except Exception as error:  # onnxruntime has no common base class
        raise CannotMake(f"onnxruntime does not run it: {' '.join(str(error).split())[:240]}") from error
    return all(bool(np.isfinite(array).all()) for array in made if array.dtype.kind == "f")


def _check_zeros(expected: float, sparsity: float | None) -> None:
    if expected and (sparsity is None or sparsity < expected - _SLACK):
        found = "an unknown share of" if sparsity is None else f"{sparsity:.1%}"
        raise CannotMake(f"the exported file holds {found} zeros where the pruned model has {expected:.1%}")
