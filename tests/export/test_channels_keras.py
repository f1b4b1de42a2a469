"""Channels removed from Keras models: where those removed are all zero, the smaller model says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.export.errors import CannotMake

pytestmark = pytest.mark.slow


def _silence(layer, dead) -> None:
    """Make some of a layer's filters give zero: the weights, and what a bias or a normalisation would add."""
    last = layer.weights[-1].shape
    filters = last[-1] if last[-1] > 1 else last[-2]
    for weight in layer.weights:
        if "variance" in weight.name or "depthwise_kernel" in weight.name:
            continue
        values = weight.numpy()
        axis = -1 if values.shape[-1] == filters else -2
        np.moveaxis(values, axis, 0)[dead] = 0
        weight.assign(values)


def _busy(model) -> None:
    """Normal weights everywhere, so that nothing is zero by chance or by initialisation."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        values = rng.standard_normal(weight.shape) * 0.3
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.name else values)


def _sequential(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            layers.Conv2D(8, 3, activation="relu", name="a"),
            layers.MaxPooling2D(2),
            layers.SeparableConv2D(12, 3, depth_multiplier=2, activation="relu", name="b"),
            layers.Flatten(),
            layers.Dense(10, activation="tanh", name="c"),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax", name="out"),
        ]
    ), {"a": [1, 2, 5, 7], "b": [0, 1, 2, 3, 4, 5], "c": [0, 2, 4, 6, 8]}


def _residual(keras):
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(layers.Conv2D(8, 3, padding="same", name="a")(image)))
    y = layers.DepthwiseConv2D(3, padding="same", name="dw")(x)
    y = layers.Conv2D(8, 1, name="b")(layers.ReLU()(y))
    x = layers.Add()([x, y])
    gate = layers.Dense(8, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D()(x))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 8))(gate)])
    x = layers.Concatenate()([x, image])
    x = layers.Conv2DTranspose(6, 2, strides=2, activation="relu", name="up")(x)
    x = layers.Permute((3, 1, 2))(x)
    x = layers.Flatten()(x)
    dead = [0, 3, 5, 6]
    model = keras.Model(image, layers.Dense(2, name="out")(x))
    return model, {"a": dead, "bn": dead, "dw": dead, "b": dead, "up": [1, 3, 5]}


def _ops(keras):
    x = keras.Input((5,))
    y = keras.layers.Dense(8, activation="relu", name="a")(x)
    z = keras.layers.Dense(8, name="b")(x)
    return keras.Model(x, keras.layers.Dense(4, name="out")(keras.ops.relu(y + z) * 0.5)), {
        "a": [0, 1, 2, 3],
        "b": [0, 1, 2, 3],
    }


def _twice(keras):
    shared = keras.layers.Dense(6, activation="relu", name="shared")
    x = keras.layers.Dense(6, activation="relu", name="first")(keras.Input((6,), name="x"))
    model = keras.Model(x._keras_history.operation.input, keras.layers.Dense(2)(shared(shared(x))))
    return model, {"first": [0, 2, 4], "shared": [0, 2, 4]}


def _plain(keras):
    """Layers without biases and factors, and those that come before any channel is made."""
    layers = keras.layers
    x = image = keras.Input((8, 8, 3))
    for layer in (layers.BatchNormalization(), layers.DepthwiseConv2D(3, padding="same"), layers.Reshape((4, 16, 3))):
        x = layer(x)
    x = layers.Conv2D(8, 3, use_bias=False, name="a")(x)
    x = layers.DepthwiseConv2D(2, use_bias=False, name="dw")(x)
    x = layers.BatchNormalization(scale=False, name="bn")(x)
    x = layers.Dense(6, use_bias=False, name="b")(layers.Reshape((1, -1))(layers.GlobalMaxPooling2D()(x)))
    x = layers.Concatenate()([layers.Flatten()(x), layers.Flatten()(image)])
    dead = [0, 2, 4, 6]
    return keras.Model(image, layers.Dense(2, name="out")(x)), {"a": dead, "dw": dead, "bn": dead, "b": [1, 2, 5]}


@pytest.mark.parametrize("build", [_sequential, _residual, _ops, _twice, _plain])
def test_dead_channels_go_and_nothing_changes(build):
    import keras

    from bench.export.keras_channels import without_channels

    model, dead = build(keras)
    _busy(model)
    for name, channels in dead.items():
        _silence(model.get_layer(name), channels)
    smaller, notes = without_channels(model, 0.5)
    x = np.random.default_rng(1).standard_normal((4, *model.inputs[0].shape[1:])).astype(np.float32)
    assert smaller.count_params() < 0.8 * model.count_params()
    assert smaller.output_shape == model.output_shape
    assert np.allclose(smaller(x), model(x), atol=1e-5)
    assert "removed" in notes[0]


def test_the_given_model_is_left_as_it_was():
    import keras

    from bench.export.keras_channels import without_channels

    model, _ = _sequential(keras)
    before = [weight.numpy().copy() for weight in model.weights]
    without_channels(model, 0.25)
    assert all(np.array_equal(old, new.numpy()) for old, new in zip(before, model.weights, strict=True))


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_both_orders_of_axes_are_understood(data_format):
    import keras

    from bench.export.keras_channels import without_channels

    layers = keras.layers
    shape = (3, 10, 10) if data_format == "channels_first" else (10, 10, 3)
    axis = 1 if data_format == "channels_first" else -1
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(8, 3, data_format=data_format),
            layers.BatchNormalization(axis=axis),
            layers.AveragePooling2D(2, data_format=data_format),
            layers.Flatten(data_format=data_format),
            layers.Dense(4),
        ]
    )
    smaller, _ = without_channels(model, 0.5)
    assert [weight.shape for weight in smaller.layers[-1].weights] == [(64, 4), (4,)]
    assert smaller.layers[1].gamma.shape == (4,)


def test_what_is_not_understood_keeps_its_channels_and_is_named():
    import keras

    from bench.export.keras_channels import without_channels

    layers = keras.layers

    class Mine(layers.Layer):
        def call(self, inputs):
            return inputs[..., ::-1]

    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, name="free"),
            layers.Dense(16, name="normalised"),
            layers.LayerNormalization(),
            layers.Dense(16, name="before_mine"),
            Mine(),
            layers.Dense(2),
        ]
    )
    smaller, notes = without_channels(model, 0.5)
    units = {layer.name: layer.units for layer in smaller.layers if isinstance(layer, layers.Dense)}
    assert (units["free"], units["normalised"], units["before_mine"]) == (8, 16, 16)
    assert notes[-1] == "all channels stay around LayerNormalization, Mine"


KEEPING = {
    "Dense": lambda layers, x: layers.Dense(5)(layers.Permute((3, 1, 2))(x)),
    "BatchNormalization": lambda layers, x: layers.BatchNormalization(axis=1)(x),
    "Reshape": lambda layers, x: layers.Reshape((54, 4))(x),
}


@pytest.mark.parametrize("what", KEEPING)
def test_channels_that_lie_elsewhere_than_a_layer_means_stay(what):
    import keras

    from bench.export.keras_channels import without_channels

    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, name="held")(layers.Conv2D(8, 1, name="free")(image))
    x = layers.Flatten()(KEEPING[what](layers, x))
    smaller, notes = without_channels(keras.Model(image, layers.Dense(2)(x)), 0.5)
    assert (smaller.get_layer("free").filters, smaller.get_layer("held").filters) == (4, 6)
    assert notes[-1] == f"all channels stay around {what}"


def test_a_layer_that_is_called_on_different_channels_keeps_them():
    """On the model's input and on what has channels; and on eight channels and on sixteen."""
    import keras

    from bench.export.keras_channels import without_channels

    layers = keras.layers
    given = keras.Input((8,))
    free = layers.Dense(8, name="free")(given)
    shared, row = layers.Dense(8, name="shared"), layers.Reshape((-1,))
    ends = [row(layers.Dense(8, name="eight")(free)), row(layers.Dense(16, name="sixteen")(free))]
    x = layers.Concatenate()([*ends, shared(given), shared(layers.Dense(8, name="held")(free))])
    smaller, notes = without_channels(keras.Model(given, layers.Dense(2)(x)), 0.5)
    units = {name: smaller.get_layer(name).units for name in ("free", "shared", "eight", "sixteen", "held")}
    assert units == {"free": 4, "shared": 4, "eight": 8, "sixteen": 16, "held": 8}
    assert notes[-1] == "all channels stay around Reshape called twice, Dense called twice"
    assert smaller(np.ones((1, 8))).shape == (1, 2)


def test_a_grouped_convolution_is_left_whole():
    import keras

    from bench.export.keras_channels import without_channels

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.Conv2D(8, 3), layers.Conv2D(8, 3, groups=2), layers.GlobalMaxPooling2D()]
    )
    with pytest.raises(CannotMake, match="in groups"):
        without_channels(model, 0.5)


def test_a_model_of_one_layer_has_nothing_to_remove():
    import keras

    from bench.export.keras_channels import without_channels

    with pytest.raises(CannotMake, match="no channel"):
        without_channels(keras.Sequential([keras.Input((4,)), keras.layers.Dense(8)]), 0.5)


def test_a_reference_residual_network_halves_in_every_stage(user_models: Path):
    from bench.export.keras_channels import without_channels
    from bench.export.keras_origin import load_user_model

    model = load_user_model(user_models / "mlperf-tiny-resnet" / "pretrainedResnet.h5")
    smaller, notes = without_channels(model, 0.5)
    filters = [
        (a.filters, b.filters) for a, b in zip(model.layers, smaller.layers, strict=True) if hasattr(a, "filters")
    ]
    assert filters
    assert all(after == before // 2 for before, after in filters)
    assert smaller.count_params() < 0.3 * model.count_params()
    assert notes == ["112 of 224 channels removed in 6 groups of layers, keeping 50% by the L2 norm of their filters"]
