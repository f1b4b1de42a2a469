"""Channels removed from Keras models: where those removed are all zero, the smaller model says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.export.errors import CannotMake

pytestmark = pytest.mark.slow


def _silence(layer, dead) -> None:
    """Make some of a layer's filters give zero: the weights, and what a bias or a normalisation would add."""
    filters = (layer.bias if hasattr(layer, "bias") else layer.gamma).shape[0]
    for weight in layer.weights:
        if "moving" in weight.name or "depthwise_kernel" in weight.name:
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


@pytest.mark.parametrize("build", [_sequential, _residual, _ops, _twice])
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
