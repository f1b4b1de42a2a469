"""Pruning by masks: what masks take, and what is left of a small model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.export.errors import CannotMake
from bench.export.keras_masks import cubic, prunable, prune, zeros
from bench.export.masks import smallest_of_each, smallest_out
from bench.export.pruned import Pruned, pruned_by
from bench.record.artifact import Recipe
from bench.zoo.card import Pruning
from bench.zoo.datasets.base import Split


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99))
def test_the_schedule_rises_from_nothing_to_the_target(earlier, later, target):
    low, high = sorted((earlier, later))
    assert cubic(0, target) == 0
    assert cubic(1, target) == pytest.approx(target)
    assert cubic(low, target) <= cubic(high, target) + 1e-12


kernels = arrays(np.float32, st.tuples(*[st.integers(1, 6)] * 3), elements=st.floats(-9, 9, width=32))


@given(kernels, st.floats(0, 1))
def test_magnitude_takes_exactly_the_smallest_share(weights, share):
    mask = smallest_out(weights, share)
    assert np.count_nonzero(mask == 0) == math.ceil(share * weights.size)
    if 0 < np.count_nonzero(mask) < weights.size:
        assert np.abs(weights[mask == 1]).min() >= np.abs(weights[mask == 0]).max()


@given(kernels, st.integers(2, 4), st.integers(0, 2), st.data())
def test_n_of_m_takes_the_smallest_of_every_whole_group_along_its_axis(weights, m, axis, data):
    drop = data.draw(st.integers(1, m - 1))
    mask = np.moveaxis(smallest_of_each(weights, drop, m, axis), axis, 0)
    lanes = np.moveaxis(np.abs(weights), axis, 0)
    whole = lanes.shape[0] // m * m
    assert (mask[whole:] == 1).all()
    for start in range(0, whole, m):
        group, size = mask[start : start + m], lanes[start : start + m]
        assert (group.sum(axis=0) == m - drop).all()
        kept = np.where(group == 1, size, np.inf).min(axis=0)
        gone = np.where(group == 0, size, -np.inf).max(axis=0)
        assert (kept >= gone).all()


def test_options_become_a_pruning_and_the_defaults_are_those_of_the_card():
    assert pruned_by(Recipe("int8")) is None
    assert pruned_by(Recipe("pruned", {"sparsity": 0.0, "epochs": -1})) == Pruned("magnitude")
    assert pruned_by(Recipe("pruned-int8", {"sparsity": 0.9, "epochs": 0})) == Pruned("magnitude", 0.9, epochs=0)
    assert pruned_by(Recipe("pruned-nm", {"n": 1, "m": 8})) == Pruned("n:m", n=1, m=8)
    assert pruned_by(Recipe("pruned-channels-int8", {"keep": 0.25})) == Pruned("channels", keep=0.25)


@pytest.mark.parametrize(("n", "m"), [(4, 4), (0, 4), (5, 2)])
def test_n_has_to_be_less_than_m(n, m):
    with pytest.raises(CannotMake, match="less than m"):
        pruned_by(Recipe("pruned-nm", {"n": n, "m": m}))


def test_different_prunings_have_different_file_names():
    prunings = [
        Pruned("magnitude"),
        Pruned("magnitude", 0.5),
        Pruned("magnitude", 0.5, epochs=0),
        Pruned("n:m"),
        Pruned("n:m", n=1),
        Pruned("channels"),
        Pruned("channels", keep=0.25),
        Pruned("channels", norm="l1"),
    ]
    assert len({pruned.label for pruned in prunings}) == len(prunings)


def _model(units: int = 64):
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((16,)), keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1)])


def _silent(*_, **__) -> None:
    pass


@pytest.fixture(scope="module")
def learnt():
    """A function of 16 numbers, and the error of a dense model of it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((512, 16)).astype(np.float32)
    y = (x[:, :3].sum(axis=1, keepdims=True)).astype(np.float32)
    model = _model()
    model.compile("adam", "mse")
    model.fit(x, y, epochs=20, verbose=0)
    return x, y, model.get_weights()


def _error(model, x, y) -> float:
    return float(np.mean((model.predict(x, verbose=0) - y) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize(("pruned", "share"), [(Pruned("magnitude"), 0.7), (Pruned("n:m"), 0.5)])
def test_every_kernel_reaches_the_target_and_fine_tuning_beats_one_shot(learnt, pruned, share):
    x, y, weights = learnt
    tuned, once = _model(), _model()
    tuned.set_weights(weights)
    once.set_weights(weights)
    before = _error(once, x, y)
    told: list[str] = []
    options = Pruning(target=0.7, epochs=10)
    prune(tuned, Split((x,), y), options, lambda text, *_, **__: told.append(text), pruned=pruned)
    prune(once, None, options, _silent, pruned=pruned)
    for model in (tuned, once):
        assert all(np.mean(kernel.numpy() == 0) >= share for kernel in prunable(model))
        assert zeros(model) >= share
    assert _error(tuned, x, y) < min(before + 0.1, _error(once, x, y))
    assert "epoch 10/10" in told[-1]


@pytest.mark.slow
def test_n_of_m_lies_along_the_inputs_and_spares_what_sums_over_too_few():
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, name="first"),
            layers.DepthwiseConv2D(3, depth_multiplier=4, name="depthwise"),
            layers.Conv2D(6, 1, name="pointwise"),
            layers.Flatten(),
            layers.Dense(5, name="dense"),
        ]
    )
    prune(model, None, Pruning(), _silent, pruned=Pruned("n:m", n=2, m=4))
    kernel = {layer.name: layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")}
    assert kernel["first"].all()
    assert kernel["depthwise"].all()
    for name in ("pointwise", "dense"):
        flat = kernel[name].reshape(-1, 4, kernel[name].shape[-1])
        assert (np.count_nonzero(flat, axis=1) == 2).all()


@pytest.mark.slow
def test_a_model_of_a_few_weights_is_left_alone():
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    split = Split((np.ones((4, 1), np.float32),), np.ones((4, 1), np.float32))
    with pytest.raises(CannotMake, match="nothing to prune"):
        prune(model, split, Pruning(), print)
