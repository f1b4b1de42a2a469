"""Magnitude pruning, seen on a small model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.export.errors import CannotMake
from bench.export.prune import cubic, prunable, prune, zeros
from bench.zoo.card import Pruning
from bench.zoo.datasets.base import Split


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99))
def test_the_schedule_rises_from_nothing_to_the_target(earlier, later, target):
    low, high = sorted((earlier, later))
    assert cubic(0, target) == 0
    assert cubic(1, target) == pytest.approx(target)
    assert cubic(low, target) <= cubic(high, target) + 1e-12


def _model(units: int = 64):
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((16,)), keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1)])


@pytest.mark.slow
def test_every_kernel_reaches_the_target_and_the_task_is_still_learnt():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((512, 16)).astype(np.float32)
    y = (x[:, :3].sum(axis=1, keepdims=True)).astype(np.float32)
    model = _model()
    model.compile("adam", "mse")
    model.fit(x, y, epochs=20, verbose=0)
    before = float(np.mean((model.predict(x, verbose=0) - y) ** 2))
    told: list[str] = []
    prune(model, Split((x,), y), Pruning(target=0.7, epochs=10), lambda text, *_, **__: told.append(text))
    assert all(np.mean(kernel.numpy() == 0) >= 0.7 for kernel in prunable(model))
    assert zeros(model) >= 0.7
    assert float(np.mean((model.predict(x, verbose=0) - y) ** 2)) < before + 0.1
    assert "epoch 10/10" in told[-1]


@pytest.mark.slow
def test_a_model_of_a_few_weights_is_left_alone():
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    split = Split((np.ones((4, 1), np.float32),), np.ones((4, 1), np.float32))
    with pytest.raises(CannotMake, match="nothing to prune"):
        prune(model, split, Pruning(), print)
