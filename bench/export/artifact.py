"""A written file becomes an `Artifact` with its facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.export.errors import CannotMake
from bench.export.origin import Feed, feeds
from bench.export.recipes import Wanted, digest, is_builtin
from bench.record.artifact import Artifact, TensorSpec
from bench.zoo.hashing import file_sha256

if TYPE_CHECKING:
    from bench.export.workshop import Workshop

FOLDER = "artifacts"
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
    variant, fmt = wanted.recipe.base, wanted.format
    pruned = variant.startswith("pruned")
    opset: int | None = None
    if fmt == "onnx":
        from bench.export import onnx_facts

        known = onnx_facts.facts(path)
        opset, inputs, outputs = known.opset, known.inputs, known.outputs
        parameters, macs, sparsity, operators = known.parameters, known.macs, known.sparsity, known.operators
        if shop.origin.not_float is None and variant != "fp32":
            # The same counts under every transformation: rewritten graphs hide them.
            base = onnx_facts.facts(shop.float_onnx(pruned=pruned)[0])
            parameters, macs = base.parameters, base.macs
        finite = _runs_onnx(path, inputs, outputs, _first(shop))
    else:
        from bench.export import tflite_facts

        order = [spec.name for spec in shop.origin.inputs], [spec.name for spec in shop.origin.outputs]
        lite = tflite_facts.facts(path.read_bytes(), order)
        inputs, outputs = lite.inputs, lite.outputs
        parameters, macs, sparsity, operators = lite.parameters, lite.macs, lite.sparsity, lite.operators
        finite = True
    if not finite:
        notes = [*notes, "gives values that are not finite on the first example"]
    if pruned:
        _check_zeros(shop, sparsity)
    return Artifact(
        model=shop.source.name,
        variant=wanted.variant,
        format=wanted.format,
        recipe=wanted.recipe,
        path=file_name(shop.source.name, wanted),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        inputs=inputs,
        outputs=outputs,
        opset=opset,
        parameters=parameters,
        macs=macs,
        sparsity=sparsity,
        operators=operators,
        notes=tuple(notes),
    )


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


def _check_zeros(shop: Workshop, sparsity: float | None) -> None:
    expected = shop.origin.pruned_zeros()
    if sparsity is None or sparsity < expected - _SLACK:
        found = "an unknown share of" if sparsity is None else f"{sparsity:.1%}"
        raise CannotMake(f"the exported file holds {found} zeros where the pruned model has {expected:.1%}")
