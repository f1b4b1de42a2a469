"""Channels removed from an ONNX graph in one shot: a smaller dense graph with the weights that stay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, shape_inference

from bench.export.channels import (
    Array,
    Axis,
    Channels,
    Choice,
    Labels,
    Part,
    Shape,
    filter_norms,
    reshaped,
    said,
    sliced,
)
from bench.export.errors import CannotMake
from bench.export.pruned import Norm

_ONE_BY_ONE = frozenset(
    {
        *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf"),
        *("Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg"),
        *("Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus"),
        *("Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Cast"),
    }
)
"""Operators with one input that work on one number at a time."""
_SETTINGS_BEHIND = frozenset({"Clip", "Dropout"})
"""The same, with settings after their first input."""
_SIDE_BY_SIDE = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum", "PRelu"})
_POOLS = frozenset({"MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"})
_REDUCTIONS = frozenset(
    {
        *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"),
        *("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"),
    }
)
_DOMAINS = ("", "ai.onnx")
_IR = 8


def without_channels(model: onnx.ModelProto, keep: float, norm: Norm = "l2") -> tuple[onnx.ModelProto, list[str]]:
    """A new graph with about the share `keep` (0..1) of the channels, checked, and notes.

    Raises:
        CannotMake: no channel can be removed, or the smaller graph is not sound.
    """
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    own_constants(smaller)
    originals = _one_use_each(smaller.graph)
    walk = _Walk(smaller, originals, norm)
    choice = walk.channels.choose(keep)
    walk.apply(choice)
    _merge_equal(smaller.graph)
    # Shapes inside the graph are those of before; they are inferred anew by whoever needs them.
    del smaller.graph.value_info[:]
    try:
        onnx.checker.check_model(smaller, full_check=True)
    except Exception as error:  # the checker raises its own kinds and those of shape inference
        raise CannotMake(f"the smaller graph is not sound: {' '.join(str(error).split())[:200]}") from error
    return smaller, said(choice, keep, norm)


class _Walk:
    """Labels the channels of every tensor of the graph, in the order of its nodes, which is one of execution."""

    def __init__(self, model: onnx.ModelProto, originals: dict[str, str], norm: Norm) -> None:
        self.channels = Channels()
        self._norm = norm
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._ends = {value.name for value in model.graph.output}
        self._shapes = _shapes(model)
        self._axes: dict[str, Axis] = {}
        self._slices: dict[str, dict[int, Labels]] = defaultdict(dict)
        self._groups: list[tuple[onnx.NodeProto, Labels]] = []
        self._lengths: dict[str, tuple[int, Labels]] = {}
        for node in model.graph.node:
            axis = self._through(node)
            if axis is not None:
                self._axes[node.output[0]] = axis
        for value in model.graph.output:
            self.channels.fix(self._axes.get(value.name))
        self._tie_shared(originals)

    def apply(self, choice: Choice) -> None:
        """Cut the constants and the figures that count channels."""
        for name, axes in self._slices.items():
            tensor = self._constants[name]
            values = sliced(numpy_helper.to_array(tensor), axes, choice)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))
        for name, (place, labels) in self._lengths.items():
            tensor = self._constants[name]
            lengths = numpy_helper.to_array(tensor).copy()
            lengths[place] = choice.count(labels)
            tensor.CopyFrom(numpy_helper.from_array(lengths, name))
        for node, labels in self._groups:
            next(each for each in node.attribute if each.name == "group").i = choice.count(labels)

    def _through(self, node: onnx.NodeProto) -> Axis | None:
        rule = _RULES.get(node.op_type) if node.domain in _DOMAINS else None
        inner = _names_inside(node)
        if rule is None or inner or any(node.output[1:]):
            return self._fixed(node, inner)
        return rule(self, node)

    def convolution(self, node: onnx.NodeProto) -> Axis | None:
        """New channels out of all that come in, or, where each group is one channel, the same ones."""
        transposed = node.op_type == "ConvTranspose"
        into, out = (0, 1) if transposed else (1, 0)
        incoming, kernel = self._at(node, 1), self._value(node, 1)
        groups = _attribute(node, "group", 1)
        if kernel is None or not self._constant_or_absent(node, 2):
            return self._fixed(node)
        if groups == 1:
            if incoming is not None:
                self._slices[node.input[1]][into] = incoming.labels
            return self._filters(node, kernel, out, 1)
        if transposed or incoming is None or groups != len(incoming.labels) or kernel.shape[0] % groups:
            return self._fixed(node)
        labels = np.repeat(incoming.labels, kernel.shape[0] // groups)
        self._slices[node.input[1]][0] = labels
        self._slice_bias(node, labels)
        self._groups.append((node, incoming.labels))
        return Axis(labels, 1)

    def product(self, node: onnx.NodeProto) -> Axis | None:
        """A matrix product with a constant on the right: new columns out of all that come in."""
        gemm = node.op_type == "Gemm"
        kernel = self._value(node, 1)
        rank = self._rank(node.input[0])
        turned = gemm and _attribute(node, "transB", 0) == 1
        plain = kernel is not None and kernel.ndim == 2 and rank is not None and rank > 1
        if not plain or kernel is None or rank is None or (gemm and not self._plain_gemm(node)):
            return self._fixed(node)
        incoming = self._at(node, rank - 1)
        if incoming is not None:
            self._slices[node.input[1]][1 if turned else 0] = incoming.labels
        return self._filters(node, kernel, 0 if turned else 1, rank - 1)

    def normalised(self, node: onnx.NodeProto) -> Axis | None:
        """Batch and instance normalisation: figures for each channel."""
        incoming = self._at(node, 1)
        figures = [self._value(node, place) for place in range(1, len(node.input))]
        if incoming is None or any(values is None or values.shape != incoming.labels.shape for values in figures):
            return self._fixed(node)
        for name in node.input[1:]:
            self._slices[name][0] = incoming.labels
        gamma, variance = figures[0], figures[3] if len(figures) > 3 else None
        if gamma is not None and variance is not None:
            epsilon = _attribute(node, "epsilon", 1e-5)
            self.channels.scale(incoming.labels, gamma / np.sqrt(variance + epsilon))
        return incoming

    def unchanged(self, node: onnx.NodeProto) -> Axis | None:
        """Works on each number alone; what stands behind the first input is settings."""
        for name in node.input[1:]:
            self.channels.fix(self._axes.get(name), node.op_type)
        return self._axes.get(node.input[0])

    def pooled(self, node: onnx.NodeProto) -> Axis | None:
        """Works on each channel alone."""
        return self._at(node, 1)

    def side_by_side(self, node: onnx.NodeProto) -> Axis | None:
        """Element by element, with constants for all or for each channel among the operands."""
        names = list(node.input)
        axis = self.channels.elementwise(
            [self._part(name) for name in names if name not in self._constants], node.op_type
        )
        if axis is None:
            return None
        back = axis.index - max(self._rank(name) or 0 for name in names if name not in self._constants)
        for name in names:
            if name not in self._constants:
                continue
            shape = tuple(self._constants[name].dims)
            length = shape[back] if len(shape) >= -back else 1
            if length == len(axis.labels) and length != 1:
                self._slices[name][len(shape) + back] = axis.labels
                if node.op_type in ("Mul", "Div"):
                    self._scale(node, name, axis)
            elif length != 1:
                return self._fixed(node)
        return axis.at(max(self._rank(name) or 0 for name in names) + back)

    def joined(self, node: onnx.NodeProto) -> Axis | None:
        """Concat."""
        rank = self._rank(node.output[0])
        if rank is None:
            return self._fixed(node)
        index = _attribute(node, "axis", 0) % rank
        return self.channels.concatenated([self._part(name) for name in node.input], index, node.op_type)

    def turned(self, node: onnx.NodeProto) -> Axis | None:
        """Transpose."""
        incoming, rank = self._axes.get(node.input[0]), self._rank(node.input[0])
        if incoming is None or rank is None:
            return self._fixed(node)
        order = _attribute(node, "perm", None) or list(reversed(range(rank)))
        return incoming.at(list(order).index(incoming.index))

    def reshaped(self, node: onnx.NodeProto) -> Axis | None:
        """Reshape, Flatten, Squeeze and Unsqueeze, where a channel is still whole afterwards."""
        incoming = self._axes.get(node.input[0])
        before, after = self._shapes.get(node.input[0]), self._shapes.get(node.output[0])
        if incoming is None or before is None or after is None:
            return self._fixed(node)
        axis = reshaped(incoming, before, after)
        if axis is None:
            return self._fixed(node)
        if node.op_type == "Reshape":
            lengths = self._value(node, 1)
            if lengths is None or len(lengths) != len(after):
                return self._fixed(node)
            if lengths[axis.index] > 0:
                self._lengths[node.input[1]] = (axis.index, axis.labels)
        return axis

    def reduced(self, node: onnx.NodeProto) -> Axis | None:
        """A reduction over other axes than that of the channels."""
        incoming, rank = self._axes.get(node.input[0]), self._rank(node.input[0])
        given = self._value(node, 1) if len(node.input) > 1 else _attribute(node, "axes", None)
        if incoming is None or rank is None or given is None:
            return self._fixed(node)
        axes = {int(axis) % rank for axis in given}
        if incoming.index in axes or not axes:
            return self._fixed(node)
        gone = 0 if _attribute(node, "keepdims", 1) else sum(axis < incoming.index for axis in axes)
        return incoming.at(incoming.index - gone)

    def padded(self, node: onnx.NodeProto) -> Axis | None:
        """Pad that adds no channel."""
        incoming, rank = self._axes.get(node.input[0]), self._rank(node.input[0])
        pads = self._value(node, 1) if len(node.input) > 1 else _attribute(node, "pads", None)
        if incoming is None or rank is None or pads is None or len(pads) != 2 * rank or any(node.input[3:]):
            return self._fixed(node)
        return self._fixed(node) if pads[incoming.index] or pads[incoming.index + rank] else incoming

    def resized(self, node: onnx.NodeProto) -> Axis | None:
        """Resize and Upsample by factors that leave the channels alone."""
        incoming = self._axes.get(node.input[0])
        place = 2 if node.op_type == "Resize" else 1
        scales = self._value(node, place) if len(node.input) > place else None
        plain = scales is not None and not any(node.input[3:]) and not _attribute(node, "axes", None)
        if incoming is None or scales is None or not plain or len(scales) <= incoming.index:
            return self._fixed(node)
        return incoming if scales[incoming.index] == 1 else self._fixed(node)

    def cut(self, node: onnx.NodeProto) -> Axis | None:
        """Slice along other axes than that of the channels."""
        incoming, rank = self._axes.get(node.input[0]), self._rank(node.input[0])
        given = self._value(node, 3) if len(node.input) > 3 else _attribute(node, "axes", None)
        if incoming is None or rank is None or given is None:
            return self._fixed(node)
        return self._fixed(node) if incoming.index in {int(axis) % rank for axis in given} else incoming

    def _filters(self, node: onnx.NodeProto, kernel: Array, out: int, index: int) -> Axis | None:
        labels = self.channels.made(filter_norms(kernel, out, self._norm))
        self._slices[node.input[1]][out] = labels
        self._slice_bias(node, labels)
        return Axis(labels, index)

    def _slice_bias(self, node: onnx.NodeProto, labels: Labels) -> None:
        if len(node.input) > 2 and node.input[2]:
            shape = self._constants[node.input[2]].dims
            if shape and shape[-1] == len(labels):
                self._slices[node.input[2]][len(shape) - 1] = labels

    def _plain_gemm(self, node: onnx.NodeProto) -> bool:
        return _attribute(node, "transA", 0) == 0 and self._constant_or_absent(node, 2)

    def _constant_or_absent(self, node: onnx.NodeProto, place: int) -> bool:
        return len(node.input) <= place or not node.input[place] or node.input[place] in self._constants

    def _scale(self, node: onnx.NodeProto, name: str, axis: Axis) -> None:
        values = np.abs(numpy_helper.to_array(self._constants[name])).reshape(-1)
        if len(values) == len(axis.labels) and values.all():
            self.channels.scale(axis.labels, values if node.op_type == "Mul" else 1 / values)

    def _at(self, node: onnx.NodeProto, index: int) -> Axis | None:
        """The channels of the first input where they lie on axis `index`; elsewhere they are fixed."""
        axis = self._axes.get(node.input[0])
        if axis is not None and axis.index != index:
            self.channels.fix(axis, node.op_type)
            return None
        return axis

    def _fixed(self, node: onnx.NodeProto, inner: Iterable[str] = ()) -> Axis | None:
        """None, after all channels that come in, `inner` ones too, were fixed."""
        # The last operator before an output, such as a softmax, surprises nobody.
        reason = None if self._ends.issuperset(node.output) else node.op_type
        for name in (*node.input, *inner):
            self.channels.fix(self._axes.get(name), reason)
        return None

    def _value(self, node: onnx.NodeProto, place: int) -> Array | None:
        tensor = self._constants.get(node.input[place]) if place < len(node.input) else None
        return None if tensor is None else numpy_helper.to_array(tensor)

    def _part(self, name: str) -> Part:
        return self._axes.get(name), self._shapes.get(name)

    def _rank(self, name: str) -> int | None:
        shape = self._shapes.get(name)
        return None if shape is None else len(shape)

    def _tie_shared(self, originals: dict[str, str]) -> None:
        """Weights that several nodes shared are cut alike, so that they can be shared again."""
        first: dict[str, str] = {}
        for name, axes in self._slices.items():
            if len(self._constants[name].dims) < 2:
                continue  # a vector of zeros that happens to be shared ties nothing
            other = first.setdefault(originals[name], name)
            for axis in axes.keys() & self._slices[other].keys():
                self.channels.tie(axes[axis], self._slices[other][axis])


_Rule = Callable[[_Walk, onnx.NodeProto], Axis | None]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("Conv", "ConvTranspose"), _Walk.convolution),
    **dict.fromkeys(("Gemm", "MatMul"), _Walk.product),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), _Walk.normalised),
    **dict.fromkeys(_ONE_BY_ONE | _SETTINGS_BEHIND, _Walk.unchanged),
    **dict.fromkeys(_POOLS, _Walk.pooled),
    **dict.fromkeys(_SIDE_BY_SIDE, _Walk.side_by_side),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _Walk.reshaped),
    **dict.fromkeys(_REDUCTIONS, _Walk.reduced),
    **dict.fromkeys(("Resize", "Upsample"), _Walk.resized),
    "Concat": _Walk.joined,
    "Transpose": _Walk.turned,
    "Pad": _Walk.padded,
    "Slice": _Walk.cut,
}


def own_constants(model: onnx.ModelProto) -> None:
    """Take initialisers from among the inputs, where they stood before IR 4 and may not change, in place."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, _IR)


def _one_use_each(graph: onnx.GraphProto) -> dict[str, str]:
    """Turn constants into initialisers and give each use its own copy, in place; the original of every name."""
    kept = [node for node in graph.node if not _becomes_initialiser(node, graph)]
    del graph.node[:]
    graph.node.extend(kept)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    originals = {name: name for name in tensors}
    used = used_beside_nodes(graph)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name not in tensors:
                continue
            if name in used:
                copy = graph.initializer.add()
                copy.CopyFrom(tensors[name])
                copy.name = f"{name}/use_{len(originals)}"
                originals[copy.name] = name
                node.input[place] = copy.name
            used.add(name)
    return originals


def _becomes_initialiser(node: onnx.NodeProto, graph: onnx.GraphProto) -> bool:
    if node.op_type != "Constant" or node.domain not in _DOMAINS:
        return False
    value = next((each for each in node.attribute if each.name == "value"), None)
    if value is None or value.t.data_type == TensorProto.STRING:
        return False
    tensor = graph.initializer.add()
    tensor.CopyFrom(value.t)
    tensor.name = node.output[0]
    return True


def _merge_equal(graph: onnx.GraphProto) -> None:
    """One initialiser where several are equal, as `_one_use_each` leaves them, in place."""
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    to: dict[str, str] = {}
    kept = []
    for tensor in graph.initializer:
        content = numpy_helper.to_array(tensor).tobytes()
        name = first.setdefault((tensor.data_type, tuple(tensor.dims), content), tensor.name)
        to[tensor.name] = name
        if name == tensor.name:
            kept.append(tensor)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in to:
                node.input[place] = to[name]
    held = used_beside_nodes(graph)
    kept += [tensor for tensor in graph.initializer if tensor.name in held and to[tensor.name] != tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Shapes by name, None for a free axis, as far as they can be inferred."""
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    found: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        if value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            found[value.name] = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
    return found


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    found = next((each for each in node.attribute if each.name == name), None)
    return default if found is None else onnx.helper.get_attribute_value(found)


def used_beside_nodes(graph: onnx.GraphProto) -> set[str]:
    """The names that the graph gives as outputs or that subgraphs of its nodes use."""
    return {value.name for value in graph.output} | {name for node in graph.node for name in _names_inside(node)}


def _names_inside(node: onnx.NodeProto) -> set[str]:
    """Names that the subgraphs of a node may take from around it."""
    names: set[str] = set()
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                names.update(inner.input)
                names |= _names_inside(inner)
            names.update(value.name for value in graph.output)
    return names
