"""What one call of a case has to do at least: operations, and bytes to and from memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.analyse.faster import SHOULD_BE_FASTER
from bench.analyse.precisions import Share, precisions
from bench.record.artifact import Artifact, TensorSpec
from bench.record.case import Option
from bench.record.environment import Environment
from bench.record.measurement import Measurement

OPERATIONS_A_MAC = 2
_BEYOND_NUMPY = {"bfloat16": 2.0, "float8_e4m3fn": 1.0, "float8_e5m2": 1.0, "int4": 0.5, "uint4": 0.5}
_MIB = 2**20
LOOKUPS = frozenset({
    "Gather", "GatherND", "GatherElements", "GatherBlockQuantized", "GATHER", "GATHER_ND", "EMBEDDING_LOOKUP",
})  # fmt: skip
"""Operators that read only some rows of what they are given."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """`operations` and `moved` (B) of one call, `operators` of the graph as it is in the file, None: not known.

    `shares` say which precisions the operations may be in.
    """

    operations: Measurement
    moved: Measurement
    operators: int | None
    shares: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()


def work(
    artifact: Artifact | None,
    target: str,
    batch: int,
    options: Mapping[str, Option],
    environment: Environment | None,
) -> Work:
    """Of a call of `batch` examples on `target`.

    Operations are two a multiply-accumulate of the dense graph: weights that are zero count. Bytes are the file, for
    the parameters in it, once a call, and every input and output once: the least there can be (compulsory traffic),
    as what lies between may stay in the caches. A file that fits the last-level cache stays there from call to call,
    so that only inputs and outputs count; so they do where the graph looks rows up in a table, of which nothing tells
    how much of the file it is. `environment` is where it ran; None: neither cache nor CPU is known.
    """
    if artifact is None:
        absent = "no artifact is on record"
        return Work(
            operations=Measurement.unavailable("1", absent),
            moved=Measurement.unavailable("B", absent),
            operators=None,
        )
    cache = None if environment is None else environment.cache_bytes
    shares = precisions(artifact, target, options, environment)
    return Work(
        operations=_operations(artifact, batch),
        moved=_moved(artifact, batch, cache),
        operators=sum(artifact.operators.values()) or None,
        shares=shares,
        notes=(*_notes(artifact, cache), *(share.note for share in shares if share.note)),
    )


def cached(artifact: Artifact, cache: int | None) -> bool:
    """Whether the file is known to fit the last-level cache (B)."""
    return cache is not None and artifact.bytes <= cache


def looks_up(artifact: Artifact) -> bool:
    """Whether some of its parameters may be read in part only."""
    return not LOOKUPS.isdisjoint(artifact.operators)


def _operations(artifact: Artifact, batch: int) -> Measurement:
    if artifact.macs is None:
        return Measurement.unavailable("1", "the multiply-accumulates of the artifact could not be counted")
    how = "computed:2 a multiply-accumulate of the artifact, for all examples of the call"
    return Measurement(value=float(OPERATIONS_A_MAC * artifact.macs * batch), unit="1", n=1, how=how)


def _moved(artifact: Artifact, batch: int, cache: int | None) -> Measurement:
    through = [_bytes(spec) for spec in (*artifact.inputs, *artifact.outputs)]
    unclear = [size for size in through if isinstance(size, str)]
    if unclear:
        return Measurement.unavailable("B", unclear[0])
    ends = sum(size for size in through if not isinstance(size, str)) * batch
    if cached(artifact, cache):
        return Measurement(value=ends, unit="B", n=1, how="computed:inputs and outputs; the file stays in the cache")
    if looks_up(artifact):
        return Measurement(value=ends, unit="B", n=1, how="computed:inputs and outputs; rows are looked up in the file")
    how = "computed:the file, for its parameters, inputs and outputs, each once a call"
    return Measurement(value=artifact.bytes + ends, unit="B", n=1, how=how)


def _bytes(spec: TensorSpec) -> float | str:
    """Of one example; why it is not known."""
    try:
        size = _BEYOND_NUMPY.get(spec.dtype) or float(np.dtype(spec.dtype).itemsize)
    except TypeError:
        return f"it is not known how long a {spec.dtype} is ({spec.name})"
    if None in spec.shape[1:]:
        return f"{spec.name} has a dimension that is free, so its size is not known"
    # Axis 0 is the batch where it is free or 1; else an example is all of it.
    return size * math.prod(length for length in spec.shape if length is not None)


def _notes(artifact: Artifact, cache: int | None) -> list[str]:
    told = []
    if cached(artifact, cache):
        told.append(
            f"the file fits the last-level cache ({(cache or 0) / _MIB:g} MiB), so its weights need not come from "
            "memory again and are not counted: memory limits it less"
        )
    elif looks_up(artifact):
        told.append(
            "it looks rows up in tables of the file, which are not read as a whole, and how much of the file they are "
            "is not known: no weights are counted, and memory limits it more than is shown"
        )
    elif cache is None:
        told.append("the size of the cache is not known: where the weights stay in it, the memory limit is too high")
    if SHOULD_BE_FASTER.get(artifact.base) == "sparse":
        told.append("weights that are zero are counted as operations: the limit is that of the dense graph")
    return told
