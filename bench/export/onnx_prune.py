"""Pruning of an ONNX graph, in one shot: nothing is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from bench.export.errors import CannotMake
from bench.export.masks import SMALLEST, Array, smallest_of_each, smallest_out
from bench.export.onnx_channels import own_constants, without_channels
from bench.export.pruned import Pruned
from bench.zoo.card import Pruning

ONE_SHOT = "one shot, not fine-tuned: an ONNX file cannot be trained here; give the Keras model and training data"


@dataclass(frozen=True)
class PrunedGraph:
    """`zeros` is the share of zeros among its kernels."""

    model: onnx.ModelProto
    zeros: float
    notes: tuple[str, ...]


def prune_graph(model: onnx.ModelProto, pruned: Pruned) -> PrunedGraph:
    """A pruned copy of a float32 model.

    Raises:
        CannotMake: there is nothing to prune, or fine-tuning was asked for.
    """
    if pruned.epochs:
        raise CannotMake("an ONNX file cannot be fine-tuned here; give the Keras model and training data")
    if pruned.kind == "channels":
        smaller, notes = without_channels(model, pruned.keep, pruned.norm)
        return PrunedGraph(smaller, 0.0, (*notes, ONE_SHOT))
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    own_constants(copy)
    kernels = list(_kernels(copy.graph))
    target = Pruning().target if pruned.sparsity is None else pruned.sparsity
    touched = 0
    for tensor, axis in kernels:
        values = numpy_helper.to_array(tensor)
        mask = _mask(values, axis, pruned, target)
        if mask is not None:
            touched += 1
            tensor.CopyFrom(numpy_helper.from_array(values * mask, tensor.name))
    if not touched:
        raise CannotMake(
            f"nothing to prune: no kernel has {SMALLEST} weights or more"
            + (f" and sums over {pruned.m} inputs or more" if pruned.kind == "n:m" else "")
        )
    done = (
        f"the {pruned.n} largest of every {pruned.m} weights kept along the inputs"
        if pruned.kind == "n:m"
        else f"magnitude pruning to {target:.0%}"
    )
    return PrunedGraph(copy, _zeros(kernels), (f"{done} of {touched} of {len(kernels)} kernels", ONE_SHOT))


def _kernels(graph: onnx.GraphProto) -> Iterator[tuple[TensorProto, int | None]]:
    """The constant float32 kernels of products and convolutions, each once, and the axis over which they sum.

    None for the axis of a kernel that sums over no channels (depthwise) or that two operators read differently.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    axes: dict[str, set[int | None]] = {}
    for node in graph.node:
        if node.op_type in _SUMS and len(node.input) > 1 and node.input[1] in constants:
            axes.setdefault(node.input[1], set()).add(_reduction(node, constants[node.input[1]]))
    for name, found in axes.items():
        yield constants[name], found.pop() if len(found) == 1 else None


_SUMS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def _reduction(node: onnx.NodeProto, kernel: TensorProto) -> int | None:
    rank = len(kernel.dims)
    settings = {each.name: each.i for each in node.attribute if each.name in ("group", "transB")}
    if node.op_type == "Conv":
        return 1 if kernel.dims[1] > 1 else None
    if node.op_type == "ConvTranspose":
        return 0 if settings.get("group", 1) == 1 else None
    return 1 if settings.get("transB") else max(0, rank - 2)


def _mask(values: Array, axis: int | None, pruned: Pruned, target: float) -> Array | None:
    """None for a kernel that stays as it is."""
    if values.size < SMALLEST or values.ndim < 2:
        return None
    if pruned.kind == "magnitude":
        return smallest_out(values, target)
    if axis is None or values.shape[axis] < pruned.m:
        return None
    return smallest_of_each(values, pruned.m - pruned.n, pruned.m, axis)


def _zeros(kernels: list[tuple[TensorProto, int | None]]) -> float:
    arrays = [numpy_helper.to_array(tensor) for tensor, _ in kernels]
    return sum(int(np.count_nonzero(array == 0)) for array in arrays) / sum(math.prod(a.shape) for a in arrays)
