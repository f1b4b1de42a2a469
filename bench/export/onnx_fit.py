"""An int8 ONNX file fitted to the calibration data: weights rounded for the outputs, biases corrected.

Layers are fitted in their order, each on the inputs that the integer layers before it give and to the outputs of
the float model, so that a layer also makes up for what went wrong before it. The bias correction is that of Nagel et
al. 2019, Data-Free Quantization through Weight Equalization and Bias Correction, with measured means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bench.export.origin import Array
from bench.export.rounding import rounded

_EXAMPLES = 128
_ROWS = 16384
"""Positions of a layer's output that are looked at, over all examples: many times its inputs as a rule."""
_INT32 = np.iinfo(np.int32)


class Fitting:
    """Fits files that were quantised from `floating` by nodes of the same names. `feeds` are calibration examples."""

    def __init__(self, floating: Path, feeds: Sequence[Mapping[str, Array]], *, rounding: bool, biases: bool) -> None:
        self._float = onnx.load(str(floating))
        self._nodes = {node.name: node for node in self._float.graph.node}
        step = max(1, len(feeds) // _EXAMPLES)
        self._feeds = feeds[::step][:_EXAMPLES]
        self._rounding = rounding
        self._biases = biases
        self._fitted: dict[str, tuple[Array, Array | None]] = {}

    def fit(self, path: Path) -> int:
        """Fit the file in place; how many layers were."""
        quantised = onnx.load(str(path))
        self._fitted = {}
        for layer in self._layers(quantised):
            self._fitted[layer.name] = self._fit(quantised, layer)
        onnx.save(quantised, str(path))
        return len(self._fitted)

    def put(self, path: Path) -> None:
        """Give the file's layers what was found for them when a file was last fitted; the first is fitted itself."""
        if not self._fitted:
            self.fit(path)
            return
        quantised = onnx.load(str(path))
        for layer in self._layers(quantised):
            if layer.name in self._fitted:
                weights, bias = self._fitted[layer.name]
                layer.store(weights, bias)
        onnx.save(quantised, str(path))

    def _layers(self, quantised: onnx.ModelProto) -> Iterator[_Layer]:
        tensors = {tensor.name: tensor for tensor in quantised.graph.initializer}
        made_by = {name: node for node in quantised.graph.node for name in node.output}
        read = [name for node in quantised.graph.node for name in node.input]
        constants = {tensor.name: tensor for tensor in self._float.graph.initializer}
        for node in quantised.graph.node:
            source = self._nodes.get(node.name)
            if source is None or node.op_type not in ("Conv", "Gemm", "MatMul") or source.input[1] not in constants:
                continue
            stored = _stored(made_by.get(node.input[1]), tensors)
            if stored is None or read.count(stored.values.name) > 1 or node.input[0] in tensors:
                continue  # float, or weights that two layers share
            bias = None
            if len(node.input) > 2:
                bias = _stored(made_by.get(node.input[2]), tensors)
            layer = _Layer(node, source, numpy_helper.to_array(constants[source.input[1]]), stored, bias)
            if layer.is_plain:
                yield layer

    def _fit(self, quantised: onnx.ModelProto, layer: _Layer) -> tuple[Array, Array | None]:
        mean_x, mean_y, inputs = self._seen(quantised, layer)
        corrected = self._biases and layer.bias is not None
        if corrected:  # the bias takes up the mean
            inputs = inputs - mean_x[:, :, None] * mean_x[:, None, :]
        numbers = layer.numbers()
        if self._rounding:
            wanted, scale, limit = layer.weights(), layer.scale(), int(np.abs(numbers).max())
            numbers = np.stack([rounded(*of_group, limit) for of_group in zip(wanted, inputs, scale, strict=True)])
        bias = None
        if corrected:
            real = numbers * layer.scale()[:, None, :]
            bias = mean_y - np.einsum("gk,gko->go", mean_x, real).reshape(-1)
        layer.store(numbers, bias)
        return numbers, bias

    def _seen(self, quantised: onnx.ModelProto, layer: _Layer) -> tuple[Array, Array, Array]:
        """Over calibration examples the means of inputs (groups, K), outputs (O,) and x xᵀ (groups, K, K)."""
        rng = np.random.default_rng(0)
        pairs = zip(
            _values(quantised, layer.node.input[0], self._feeds),
            _values(self._float, layer.source.output[0], self._feeds),
            strict=True,
        )
        share = max(1, _ROWS // len(self._feeds))
        x_sum, y_sum, square, count = 0.0, 0.0, 0.0, 0
        for given, made in pairs:
            targets = layer.targets(made)
            at = np.sort(rng.permutation(len(targets))[:share])
            rows = layer.rows(given, at)
            x_sum = x_sum + rows.sum(axis=1, dtype=np.float64)
            y_sum = y_sum + targets[at].sum(axis=0, dtype=np.float64)
            square = square + rows.transpose(0, 2, 1) @ rows
            count += len(at)
        return np.asarray(x_sum) / count, np.asarray(y_sum) / count, np.asarray(square) / count


@dataclass(frozen=True)
class _Stored:
    """Integers behind a DequantizeLinear, and their scale: one number or one a channel."""

    values: onnx.TensorProto
    scale: Array


@dataclass(frozen=True)
class _Layer:
    """A convolution or matrix product with integer weights; `source` is the same node of the float model.

    Weights are handled as (groups, K, outputs of a group), K the inputs of one output.
    """

    node: onnx.NodeProto
    source: onnx.NodeProto
    float_weights: Array
    stored: _Stored
    bias: _Stored | None

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_plain(self) -> bool:
        """Whether it is output = input * weights + bias, with nothing scaled or turned."""
        given = self._given
        if self.node.op_type == "Gemm":
            return not given.get("transA", 0) and given.get("alpha", 1.0) == given.get("beta", 1.0) == 1.0
        return self.node.op_type == "Conv" or self.float_weights.ndim == 2

    @property
    def _given(self) -> dict[str, Any]:
        return {attribute.name: helper.get_attribute_value(attribute) for attribute in self.source.attribute}

    @property
    def _groups(self) -> int:
        return int(self._given.get("group", 1)) if self.node.op_type == "Conv" else 1

    @property
    def _turned(self) -> bool:
        """Whether outputs come first in the weights."""
        return self.node.op_type == "Conv" or bool(self._given.get("transB", 0))

    @property
    def _outputs(self) -> int:
        return self.float_weights.shape[0 if self._turned else 1]

    def weights(self) -> Array:
        return self._by_group(self.float_weights.astype(np.float64))

    def numbers(self) -> Array:
        return self._by_group(numpy_helper.to_array(self.stored.values).astype(np.float64))

    def scale(self) -> Array:
        """(groups, outputs of a group)"""
        every = np.broadcast_to(self.stored.scale.astype(np.float64).reshape(-1), (self._outputs,))
        return every.reshape(self._groups, -1)

    def targets(self, made: Array) -> Array:
        """Outputs as rows (n, O)."""
        last = np.moveaxis(made, 1, -1) if self.node.op_type == "Conv" else made
        return last.reshape(-1, last.shape[-1])

    def rows(self, given: Array, at: Array) -> Array:
        """The inputs (groups, len(at), K) of the output rows `at`."""
        if self.node.op_type != "Conv":
            return given.reshape(-1, given.shape[-1])[at][None]
        windows = _windows(given, self.float_weights.shape[2:], self._given)
        rank = given.ndim - 2
        places = np.unravel_index(at, (len(windows), *windows.shape[2 : 2 + rank]))
        picked = windows[(places[0], slice(None), *places[1:])]
        return picked.reshape(len(at), self._groups, -1).transpose(1, 0, 2)

    def store(self, numbers: Array, bias: Array | None) -> None:
        """Write whole numbers, and a bias (O,) where given, into the file's tensors."""
        values = self.stored.values
        old = numpy_helper.to_array(values)
        columns = numbers.transpose(0, 2, 1).reshape(self._outputs, -1)
        new = (columns if self._turned else columns.T).reshape(old.shape).astype(old.dtype)
        values.CopyFrom(numpy_helper.from_array(new, values.name))
        if bias is not None and self.bias is not None:
            steps = np.clip(np.round(bias / self.bias.scale.reshape(-1)), _INT32.min, _INT32.max)
            held = self.bias.values
            shape = tuple(held.dims)
            held.CopyFrom(numpy_helper.from_array(steps.astype(np.int32).reshape(shape), held.name))

    def _by_group(self, weights: Array) -> Array:
        columns = weights if self._turned else weights.T
        return columns.reshape(self._groups, self._outputs // self._groups, -1).transpose(0, 2, 1)


def _stored(node: onnx.NodeProto | None, tensors: Mapping[str, onnx.TensorProto]) -> _Stored | None:
    if node is None or node.op_type != "DequantizeLinear" or node.input[0] not in tensors:
        return None
    if len(node.input) > 2 and np.any(numpy_helper.to_array(tensors[node.input[2]])):
        return None  # not symmetric
    return _Stored(tensors[node.input[0]], numpy_helper.to_array(tensors[node.input[1]]))


def _windows(given: Array, kernel: Sequence[int], attributes: Mapping[str, Any]) -> Array:
    """What a convolution sees at each place of its output: a view (N, C, *output, *kernel) of (N, C, *input)."""
    rank = len(kernel)
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    reach = [(size - 1) * gap + 1 for size, gap in zip(kernel, dilations, strict=True)]
    pads = attributes.get("pads", [0] * 2 * rank)
    before, after = pads[:rank], pads[rank:]
    automatic = attributes.get("auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):
        sides = given.shape[2:]
        total = [
            max((math.ceil(side / stride) - 1) * stride + seen - side, 0)
            for side, stride, seen in zip(sides, strides, reach, strict=True)
        ]
        less = [pad // 2 for pad in total]
        more = [pad - half for pad, half in zip(total, less, strict=True)]
        before, after = (less, more) if automatic == b"SAME_UPPER" else (more, less)
    padded = np.pad(given, [(0, 0), (0, 0), *zip(before, after, strict=True)])
    spatial = tuple(range(2, 2 + rank))
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=spatial)
    places = tuple(slice(None, None, stride) for stride in strides)
    taps = tuple(slice(None, None, gap) for gap in dilations)
    return windows[(slice(None), slice(None), *places, *taps)]


def _values(model: onnx.ModelProto, name: str, feeds: Sequence[Mapping[str, Array]]) -> Iterator[Array]:
    """The tensor `name` for each feed; nothing is computed that comes after it."""
    import onnxruntime as ort

    if any(value.name == name for value in model.graph.input):
        yield from (feed[name] for feed in feeds)
        return
    head = onnx.ModelProto()
    head.CopyFrom(model)
    last = next(place for place, node in enumerate(head.graph.node) if name in node.output)
    del head.graph.node[last + 1 :]
    del head.graph.output[:]
    head.graph.output.append(onnx.ValueInfoProto(name=name))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(head.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for feed in feeds:
        yield session.run([name], dict(feed))[0]
