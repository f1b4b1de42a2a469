"""Channels removed from a Keras model: a smaller model with the weights that stay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers

from bench.export.channels import (
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

_ACTIVATIONS = frozenset(
    {
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softplus",
        "softsign",
        "sparse_plus",
        "squareplus",
        "tanh",
        "tanh_shrink",
        "threshold",
    }
)
"""Those that work on one number at a time; a softmax does not."""
_ELEMENTWISE = (
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.AlphaDropout,
    layers.ActivityRegularization,
)
_SPATIAL = (
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
)
_GLOBAL = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
_MERGES = (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)
_UNARY_OPS = frozenset(
    ("Relu", "Relu6", "Sigmoid", "Tanh", "Silu", "Elu", "Selu", "Gelu", "Softplus", "Softsign", "HardSigmoid")
)
_BINARY_OPS = frozenset(["Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum"])


@dataclass
class _Plan:
    """What becomes of one layer: weights by name with the channels of each axis, settings that count channels, and
    those that are a shape of which one axis does.
    """

    weights: dict[str, dict[int, Labels]] = field(default_factory=lambda: defaultdict(dict))
    counts: dict[str, Labels] = field(default_factory=dict)
    shapes: dict[str, tuple[int, Labels]] = field(default_factory=dict)


def without_channels(model: Any, keep: float, norm: Norm = "l2") -> tuple[Any, list[str]]:
    """A new model with about the share `keep` (0..1) of the channels, not compiled, and notes.

    The layers of `model` that cannot be made anew from their settings are shared with it.

    Raises:
        CannotMake: no channel can be removed, or the smaller model cannot be built.
    """
    walk = _Walk(model, norm)
    choice = walk.channels.choose(keep)
    smaller = _rebuilt(model, walk.plans, choice)
    return smaller, said(choice, keep, norm)


class _Walk:
    """Labels the channels of every tensor of the model, from inputs to outputs."""

    def __init__(self, model: Any, norm: Norm) -> None:
        self.channels = Channels()
        self.plans: dict[int, _Plan] = defaultdict(_Plan)
        self._norm = norm
        self._made: dict[int, Labels] = {}
        self._consumed: dict[int, Axis | None] = {}
        self._axes: dict[int, Axis | None] = {}
        self._ends = {id(tensor) for tensor in model.outputs}
        for node in _nodes(model):
            outputs = self._through(node)
            for tensor, axis in zip(node.output_tensors, outputs, strict=True):
                self._axes[id(tensor)] = axis
        for tensor in model.outputs:
            self.channels.fix(self._axes.get(id(tensor)))

    def _through(self, node: Any) -> list[Axis | None]:
        operation, tensors = node.operation, list(node.input_tensors)
        parts: list[Part] = [(self._axes.get(id(tensor)), tuple(tensor.shape)) for tensor in tensors]
        rule = _rule(operation)
        given = keras.tree.flatten((node.arguments.args, _given(node.arguments.kwargs)))
        understood = all(isinstance(each, (int, float, keras.KerasTensor)) for each in given)
        if rule is None or len(node.output_tensors) != 1 or not understood:
            # The last operation before an output, such as a softmax, surprises nobody.
            ends = {id(tensor) for tensor in node.output_tensors} <= self._ends
            for axis, _ in parts:
                self.channels.fix(axis, None if ends else type(operation).__name__)
            return [None] * len(node.output_tensors)
        axis = rule(self, operation, parts, tuple(node.output_tensors[0].shape))
        if axis is not None and not _acts_on_each(operation):
            self.channels.fix(axis, str(getattr(operation.activation, "__name__", operation.activation)))
        return [axis]

    def filters(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Dense and convolutions: new channels out of all those that come in."""
        incoming, _ = parts[0]
        index = len(shape) - 1 if isinstance(layer, layers.Dense) else _channel_axis(layer, len(shape))
        separable = isinstance(layer, _SEPARABLE)
        kernel = "pointwise_kernel" if separable else "kernel"
        into, out = (-1, -2) if isinstance(layer, _TRANSPOSED) else (-2, -1)
        if getattr(layer, "groups", 1) != 1 or not _shape_is_plain(layer, kernel):
            self.channels.fix(incoming, f"{type(layer).__name__} in groups")
            return None
        if incoming is not None and incoming.index != index:
            self.channels.fix(incoming, type(layer).__name__)
            incoming = None
        incoming = self._as_before(layer, incoming)
        plan = self.plans[id(layer)]
        if incoming is not None:
            labels = incoming.labels
            if separable:
                plan.weights["depthwise_kernel"][-2] = labels
                labels = np.repeat(labels, layer.depth_multiplier)
            plan.weights[kernel][into] = labels
        if id(layer) not in self._made:
            values = np.asarray(getattr(layer, kernel))
            self._made[id(layer)] = self.channels.made(filter_norms(values, out, self._norm))
        labels = self._made[id(layer)]
        plan.weights[kernel][out] = labels
        if layer.use_bias:
            plan.weights["bias"][0] = labels
        plan.counts["units" if isinstance(layer, layers.Dense) else "filters"] = labels
        return Axis(labels, index)

    def depthwise(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """A filter for each channel: the channels are those that come in, each `depth_multiplier` times."""
        incoming = self._own(layer, parts, _channel_axis(layer, len(shape)))
        if incoming is None:
            return None
        labels = np.repeat(incoming.labels, layer.depth_multiplier)
        plan = self.plans[id(layer)]
        plan.weights["kernel"][-2] = incoming.labels
        if layer.use_bias:
            plan.weights["bias"][0] = labels
        return Axis(labels, incoming.index)

    def normalised(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Batch normalisation: figures for each channel."""
        index = layer.axis % len(shape) if isinstance(layer.axis, int) else -1
        incoming = self._own(layer, parts, index)
        if incoming is None:
            return None
        plan = self.plans[id(layer)]
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            if getattr(layer, name, None) is not None:
                plan.weights[name][0] = incoming.labels
        gamma = 1.0 if layer.gamma is None else np.asarray(layer.gamma)
        self.channels.scale(incoming.labels, gamma / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon))
        return incoming

    def unchanged(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Works on each number alone."""
        return parts[0][0]

    def spatial(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Works on each channel alone."""
        return self._own(layer, parts, _channel_axis(layer, len(shape)), weights=False)

    def pooled(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """One number a channel."""
        rank = len(parts[0][1] or ())
        incoming = self._own(layer, parts, _channel_axis(layer, rank), weights=False)
        return None if incoming is None else incoming.at(incoming.index if layer.keepdims else 1)

    def flattened(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Flatten, which puts channels last first."""
        incoming, given = parts[0]
        if incoming is None or given is None:
            return None
        if layer.data_format == "channels_first" and len(given) > 2 and incoming.index == 1:
            given = (given[0], *given[2:], given[1])
            incoming = incoming.at(len(given) - 1)
        return self._reshaped(layer, incoming, given, shape)

    def into_shape(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Reshape, where a channel is still whole afterwards."""
        incoming, given = self._as_before(layer, parts[0][0]), parts[0][1]
        if incoming is None or given is None:
            return None
        axis = self._reshaped(layer, incoming, given, shape)
        if axis is not None and layer.target_shape[axis.index - 1] != -1:
            self.plans[id(layer)].shapes["target_shape"] = (axis.index - 1, axis.labels)
        return axis

    def permuted(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Axes change places."""
        incoming = parts[0][0]
        return None if incoming is None else incoming.at((0, *layer.dims).index(incoming.index))

    def merged(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Add and its like."""
        return self.channels.elementwise(parts, type(layer).__name__)

    def joined(self, layer: Any, parts: list[Part], shape: Shape) -> Axis | None:
        """Concatenate."""
        return self.channels.concatenated(parts, layer.axis % len(shape), type(layer).__name__)

    def _own(self, layer: Any, parts: list[Part], index: int, *, weights: bool = True) -> Axis | None:
        """The incoming channels where they are those that the layer means; elsewhere they are fixed."""
        incoming = parts[0][0]
        if incoming is not None and incoming.index != index:
            self.channels.fix(incoming, type(layer).__name__)
            incoming = None
        return self._as_before(layer, incoming) if weights else incoming

    def _as_before(self, layer: Any, incoming: Axis | None) -> Axis | None:
        """A layer that is called twice has one set of weights or settings: its channels are the same at both calls."""
        if id(layer) not in self._consumed:
            self._consumed[id(layer)] = incoming
            return incoming
        before = self._consumed[id(layer)]
        if incoming is None or before is None or len(incoming.labels) != len(before.labels):
            self.channels.fix(incoming, f"{type(layer).__name__} called twice")
            self.channels.fix(before, f"{type(layer).__name__} called twice")
        else:
            self.channels.tie(before.labels, incoming.labels)
        return incoming

    def _reshaped(self, layer: Any, incoming: Axis, before: Shape, after: Shape) -> Axis | None:
        axis = reshaped(incoming, before, after)
        if axis is None:
            self.channels.fix(incoming, type(layer).__name__)
        return axis


_Rule = Callable[[_Walk, Any, list[Part], Shape], Axis | None]


def _rule(operation: Any) -> _Rule | None:
    """What an operation does to channels; None for one that is not understood."""
    # A subclass may do anything in its `call`.
    if not type(operation).__module__.startswith("keras."):
        return None
    kinds: tuple[tuple[Any, _Rule], ...] = (
        (_DEPTHWISE, _Walk.depthwise),
        ((layers.Dense, *_CONVOLUTIONS, *_TRANSPOSED, *_SEPARABLE), _Walk.filters),
        (layers.BatchNormalization, _Walk.normalised),
        ((*_ELEMENTWISE, layers.Activation), _Walk.unchanged),
        (_SPATIAL, _Walk.spatial),
        (_GLOBAL, _Walk.pooled),
        (layers.Flatten, _Walk.flattened),
        (layers.Reshape, _Walk.into_shape),
        (layers.Permute, _Walk.permuted),
        (_MERGES, _Walk.merged),
        (layers.Concatenate, _Walk.joined),
    )
    if isinstance(operation, layers.Layer):
        return next((rule for kind, rule in kinds if isinstance(operation, kind)), None)
    name = type(operation).__name__
    return _Walk.unchanged if name in _UNARY_OPS else _Walk.merged if name in _BINARY_OPS else None


def _nodes(model: Any) -> Iterator[Any]:
    """The calls of the model's graph, each after those that it needs. Keras keeps them without a public name."""
    graph = model._functional if isinstance(model, keras.Sequential) else model
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if not node.is_input:
                yield node


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments that change what is calculated."""
    return {name: value for name, value in arguments.items() if value is not None and name not in ("training", "mask")}


def _acts_on_each(operation: Any) -> bool:
    activation = getattr(operation, "activation", None)
    return activation is None or getattr(activation, "__name__", None) in _ACTIVATIONS


def _channel_axis(layer: Any, rank: int) -> int:
    return 1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1


def _shape_is_plain(layer: Any, kernel: str) -> bool:
    """Whether the kernel is what it says: not quantised, with no low-rank part beside it."""
    return not getattr(layer, "lora_enabled", False) and "float" in str(getattr(layer, kernel).dtype)


def _rebuilt(model: Any, plans: dict[int, _Plan], choice: Choice) -> Any:
    copies: list[tuple[Any, Any]] = []

    def again(layer: Any) -> Any:
        plan = plans.get(id(layer), _Plan())
        if not isinstance(layer, layers.Layer) or not type(layer).__module__.startswith("keras."):
            return layer
        config = layer.get_config()
        for name, labels in plan.counts.items():
            config[name] = choice.count(labels)
        for name, (place, labels) in plan.shapes.items():
            lengths = list(config[name])
            lengths[place] = choice.count(labels)
            config[name] = tuple(lengths)
        copy = type(layer).from_config(config)
        copies.append((layer, copy))
        return copy

    try:
        smaller = keras.models.clone_model(model, clone_function=again)
        for layer, copy in copies:
            _fill(layer, copy, plans.get(id(layer), _Plan()), choice)
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        said = " ".join(str(error).split())[:200]
        raise CannotMake(f"the smaller model cannot be built: {said}") from error
    return smaller


def _fill(layer: Any, copy: Any, plan: _Plan, choice: Choice) -> None:
    """Give the copy of a layer the weights that stay."""
    axes = {id(getattr(layer, name)): by_axis for name, by_axis in plan.weights.items()}
    for weight, ours in zip(layer.weights, copy.weights, strict=True):
        ours.assign(sliced(np.asarray(weight), axes.get(id(weight), {}), choice))
