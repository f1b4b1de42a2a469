"""Rounding in the forward pass, and training that gets used to it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from bench.export import keras_qat
from bench.export.errors import CannotMake
from bench.export.keras_qat import quantisation_aware, rounding_copy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    return (pictures / 16).astype(np.float32).reshape(-1, 8, 8, 1), labels


@pytest.fixture(scope="module")
def trained(digits) -> Any:
    import keras

    pictures, labels = digits
    keras.utils.set_random_seed(0)
    layers = keras.layers
    built = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    _train(built, pictures[:1000], labels[:1000], epochs=5, rate=0.005)
    return built


@pytest.fixture
def model(trained) -> Any:
    import keras

    copy = keras.models.clone_model(trained)
    copy.set_weights(trained.get_weights())
    return copy


def _train(model: Any, pictures: Any, labels: Any, *, epochs: int, rate: float) -> None:
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss, metrics=["accuracy"])
    model.fit(pictures, labels, epochs=epochs, batch_size=64, verbose=0)


def _right(model: Any, pictures: Any, labels: Any) -> float:
    return float((np.asarray(model(pictures)).argmax(-1) == labels).mean())


@pytest.mark.parametrize("per_channel", [True, False])
def test_kernels_are_read_within_half_a_step_of_what_they_are(model, per_channel):
    copy = rounding_copy(model, per_channel=per_channel)
    axes = {"conv2d": -1, "depthwise_conv2d": -2, "dense": -1}
    checked = 0
    for layer in model.layers:
        axis = next((a for name, a in axes.items() if layer.name.startswith(name)), None)
        if axis is None:
            continue
        true, rounded = np.asarray(layer.kernel), np.asarray(copy.get_layer(layer.name).kernel)
        others = tuple(a for a in range(true.ndim) if not per_channel or a != true.ndim + axis)
        step = np.abs(true).max(axis=others, keepdims=True) / 127
        assert (np.abs(rounded - true) <= step / 2 + 1e-6).all()
        assert np.abs(rounded / step - np.round(rounded / step)).max() < 1e-2
        assert not np.array_equal(rounded, true)
        checked += 1
    assert checked == 3


def test_the_copy_answers_almost_as_the_model_and_leaves_it_alone(model, digits):
    before = [weight.copy() for weight in model.get_weights()]
    expected, made = np.asarray(model(digits[0])), np.asarray(rounding_copy(model)(digits[0]))
    assert 0 < np.abs(made - expected).max() < 0.05 * np.abs(expected).max()
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_gradients_reach_the_kernels_through_the_rounding(model, digits):
    pictures, labels = digits
    before = [np.array(layer.get_weights()[0]) for layer in model.layers if layer.get_weights()]
    rounded = quantisation_aware(model, lambda copy: _train(copy, pictures[:256], labels[:256], epochs=1, rate=1e-3))
    after = [np.array(layer.get_weights()[0]) for layer in model.layers if layer.get_weights()]
    assert rounded == 3
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_training_with_two_bits_bears_them_better_than_training_without(trained, digits, monkeypatch):
    monkeypatch.setattr(keras_qat, "_BITS", 2)
    import keras

    mistakes = {}
    for aware in (True, False):
        model = keras.models.clone_model(trained)
        model.set_weights(trained.get_weights())
        keras.utils.set_random_seed(0)
        tune = partial(_train, pictures=digits[0][:1000], labels=digits[1][:1000], epochs=3, rate=1e-3)
        if aware:
            quantisation_aware(model, tune)
        else:
            tune(model)
        # Kernels alone are rounded here: the copy has seen no range yet.
        mistakes[aware] = 1 - _right(rounding_copy(model), digits[0][1000:], digits[1][1000:])
    assert mistakes[True] < 0.75 * mistakes[False]


def test_a_model_without_kernels_is_refused():
    import keras

    with pytest.raises(CannotMake, match="no dense or convolutional"):
        quantisation_aware(keras.Sequential([keras.Input((4,)), keras.layers.ReLU()]), lambda _: None)
