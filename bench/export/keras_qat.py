"""Quantisation-aware fine-tuning in Keras: the model learns with the rounding that int8 will bring.

Keras 3 has no such training of its own, and TensorFlow's toolkit for it knows only Keras 2. Keras has the one
operation that it takes, `keras.quantizers.fake_quant_with_min_max_vars`, which rounds going forward and passes
gradients through going back (Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bench.export.errors import CannotMake

_BITS = 8
_KEPT = 0.95  # the share of a range that stays when the next batch is seen
_NARROWEST = 1e-6  # a channel of zeros has no scale


def quantisation_aware(model: Any, tune: Callable[[Any], None], *, per_channel: bool = True) -> int:
    """Fine-tune `model` in place, by `tune`, as a copy that rounds the way int8 does; how many kernels it rounds.

    Kernels are rounded with a symmetric scale, one an output channel or one a kernel. A batch normalisation that
    follows only scales whole channels, so that with a scale a channel folding it into the kernel later rounds the
    same. What layers hand on is rounded within a moving average of its range; a layer and the normalisation or
    activation after it count as one.

    Raises:
        CannotMake: the model cannot be copied layer by layer, or has no kernel to round.
    """
    if not any(_axis(layer) is not None for layer in model.layers):
        raise CannotMake("quantisation-aware training finds no dense or convolutional layer in this model")
    copy = rounding_copy(model, per_channel=per_channel)
    tune(copy)
    for layer in model.layers:
        layer.set_weights(copy.get_layer(layer.name).get_weights())
    return sum(_axis(layer) is not None for layer in model.layers)


def rounding_copy(model: Any, *, per_channel: bool = True) -> Any:
    """A copy of `model`, layers under the same names, whose forward pass rounds the way int8 does.

    Ranges of what layers hand on are learned in training; before it these values are not rounded.

    Raises:
        CannotMake: the model cannot be copied layer by layer.
    """
    import keras

    try:
        graph = keras.Model(*(ends[0] if len(ends) == 1 else ends for ends in (model.inputs, model.outputs)))
        copy = keras.models.clone_model(
            graph,
            clone_function=partial(_rounding, per_channel=per_channel),
            call_function=_calling(graph),
        )
        for layer in model.layers:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    except (AttributeError, ValueError, TypeError, NotImplementedError) as error:
        raise CannotMake(f"the model cannot be copied layer by layer: {str(error).splitlines()[0][:200]}") from error
    return copy


def _axis(layer: Any) -> int | None:
    """The axis of a layer's kernel along which every position has a scale of its own; None for another layer."""
    from keras import layers

    channels_before_last = (
        layers.DepthwiseConv1D,
        layers.DepthwiseConv2D,
        layers.Conv1DTranspose,
        layers.Conv2DTranspose,
    )
    if isinstance(layer, channels_before_last):
        return -2
    return -1 if isinstance(layer, layers.Dense | layers.Conv1D | layers.Conv2D) else None


def _rounding(layer: Any, *, per_channel: bool) -> Any:
    """A layer like `layer`, with a kernel that is rounded whenever it is read."""
    from keras import ops
    from keras.quantizers import fake_quant_with_min_max_vars

    kind: Any = type(layer)
    axis = _axis(layer)
    if axis is None:
        return kind.from_config(layer.get_config())
    own = getattr(kind, "kernel", None)  # a property in newer layers, an attribute in older ones

    def read(self: Any) -> Any:
        kernel = ops.convert_to_tensor(own.fget(self) if isinstance(own, property) else self.float_kernel)  # type: ignore[misc]
        others = [at for at in range(kernel.ndim) if not per_channel or at != kernel.ndim + axis]
        limit = ops.stop_gradient(ops.maximum(ops.max(ops.abs(kernel), axis=others), _NARROWEST))
        return fake_quant_with_min_max_vars(
            kernel, -limit, limit, _BITS, narrow_range=True, axis=axis if per_channel else None
        )

    def write(self: Any, kernel: Any) -> None:
        self.float_kernel = kernel

    rounding: Any = type(kind.__name__, (kind,), {"kernel": property(read, write)})
    return rounding.from_config(layer.get_config())


def _calling(graph: Any) -> Callable[..., Any]:
    """How the copy calls its layers: with a `_range` after each whose output an int8 model stores."""
    stored = {layer.name for layer in graph.layers if _is_stored(layer, graph)}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        made = layer(*args, **kwargs)
        return _range(layer.name)(made) if layer.name in stored else made

    return call


def _is_stored(layer: Any, graph: Any) -> bool:
    """Whether the output of a layer is rounded in an int8 model and changes range against its input.

    The model's own outputs are left out: a range that a training batch does not reach would cut off probabilities.
    """
    from keras import layers

    same_range = layers.Flatten | layers.Reshape | layers.Permute | layers.Dropout | layers.MaxPooling1D
    if isinstance(layer, layers.InputLayer | same_range | layers.MaxPooling2D | layers.GlobalMaxPooling2D):
        return False
    after = [node.operation for node in layer._outbound_nodes if node.operation in graph.layers]
    if not after or layer.name in graph.output_names:
        return False
    fused = all(isinstance(each, layers.BatchNormalization | layers.Activation | layers.ReLU) for each in after)
    return not fused and not isinstance(layer.output, list | tuple | dict)


def _range(name: str) -> Any:
    """A layer that rounds what it is given within the range it has seen, a moving average over batches."""
    import keras
    from keras import ops

    class Range(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            def number(called: str) -> Any:
                return self.add_weight(name=called, shape=(), initializer="zeros", trainable=False)

            self.low, self.high, self.seen = number("low"), number("high"), number("seen")

        def call(self, inputs: Any, training: bool = False) -> Any:
            if training:
                share = ops.where(self.seen > 0, _KEPT, 0.0)
                now = ops.stop_gradient(inputs)
                low, high = ops.minimum(ops.min(now), 0.0), ops.maximum(ops.max(now), _NARROWEST)
                self.low.assign(share * self.low + (1 - share) * low)
                self.high.assign(share * self.high + (1 - share) * high)
                self.seen.assign(1.0)
            rounded = keras.quantizers.fake_quant_with_min_max_vars(
                inputs, self.low, ops.maximum(self.high, _NARROWEST), _BITS
            )
            return ops.where(self.seen > 0, rounded, inputs)

    return Range(name=f"{name}_range")
