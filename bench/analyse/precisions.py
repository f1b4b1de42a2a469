"""Which precision a case computes in, as far as that is known without a profile. Nothing else decides that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.analyse.device import device
from bench.analyse.explain import HALF_ARITHMETIC
from bench.analyse.faster import SHOULD_BE_FASTER
from bench.record.artifact import Artifact
from bench.record.case import Option
from bench.record.environment import Environment
from bench.record.peaks import Precision

_X86 = frozenset({"x86_64", "amd64", "i686", "x86"})
_UNFUSED = frozenset({"none", "basic"})
"""Levels of graph optimisation at which ONNX Runtime leaves quantise and dequantise operators where they are."""
_BY_ACCURACY_LEVEL: dict[Option, tuple[Precision, ...]] = {1: ("fp32",)}
"""What 4-bit weights are multiplied in where the option `accuracy_level` leaves no choice: it is a least accuracy."""


@dataclass(frozen=True)
class Share:
    """`part` (0..1) of the operations. More than one of `candidates`: it is not known in which of them it computes."""

    part: float
    candidates: tuple[Precision, ...]
    note: str = ""


def precisions(
    artifact: Artifact, target: str, options: Mapping[str, Option], environment: Environment | None
) -> tuple[Share, ...]:
    """The shares of the operations by what they compute in; they add up to 1.

    `environment` tells the CPU's features; without it they are not known.
    """
    quantised = artifact.quantised_macs
    floats, integers = _floats(artifact, target, environment), _integers(artifact, target, options, environment)
    if quantised is None:
        if SHOULD_BE_FASTER.get(artifact.base) in ("integer", "weights"):
            both = tuple(dict.fromkeys((*integers.candidates, *floats.candidates)))
            return (Share(1.0, both, "it is not known how much of it is quantised"),)
        quantised = 0.0
    found = (Share(quantised, integers.candidates, integers.note), Share(1 - quantised, floats.candidates, floats.note))
    return tuple(share for share in found if share.part > 0)


def _floats(artifact: Artifact, target: str, environment: Environment | None) -> Share:
    """What float operators compute in."""
    half = artifact.base == "fp16"
    if device(target) != "cpu":
        short = ("fp16", "bf16") if half or target in ("litert-compiled-gpu", "openvino-gpu") else ()
        return Share(1.0, (*short, "tf32", "fp32"))
    features = frozenset(environment.cpu_features) if environment is not None else frozenset()
    if target == "openvino-cpu":
        # Its default is the shortest float that the CPU computes in, whatever the file holds.
        shorter = tuple(name for name, needed in HALF_ARITHMETIC.items() if not features or needed & features)
        return Share(1.0, (*shorter, "fp32"))
    if not half:
        return Share(1.0, ("fp32",), "stored in bfloat16, computed in float32" if artifact.base == "bf16" else "")
    x86 = environment is not None and environment.architecture.lower() in _X86
    if (x86 and target == "onnxruntime-cpu") or (features and not HALF_ARITHMETIC["fp16"] & features):
        return Share(1.0, ("fp32",), f"half precision is how it is stored: {target} computes it in float32 here")
    return Share(1.0, ("fp16", "fp32"))


def _integers(artifact: Artifact, target: str, options: Mapping[str, Option], environment: Environment | None) -> Share:
    """What operators with weights stored as integers compute in."""
    either = ("int8", *_floats(artifact, target, environment).candidates)
    if artifact.base == "int4":
        return Share(1.0, _BY_ACCURACY_LEVEL.get(artifact.recipe.options.get("accuracy_level", 0), either))
    if artifact.base == "int16x8":
        note = "products of int16 by int8 are held against the int8 peak, which they cannot exceed"
        return Share(1.0, ("int8",), note)
    on_cpu = device(target) == "cpu"
    fused = options.get("graph_optimization") not in _UNFUSED
    return Share(1.0, ("int8",) if fused and (on_cpu or target == "onnxruntime-tensorrt") else either)
