"""Pruning by masks: what masks take, and what is left of a small model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from bench.export.errors import CannotMake
from bench.export.keras_masks import cubic, prunable, prune, zeros
from bench.export.masks import smallest_of_each, smallest_out
from bench.export.onnx_prune import prune_graph
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
def test_the_inputs_of_separable_transposed_and_recurrent_kernels_lie_where_those_layers_have_them():
    import keras

    layers = keras.layers
    image = keras.Input((4, 4, 8))
    x = layers.SeparableConv2D(8, 3, padding="same", name="separable")(image)
    x = layers.Conv2DTranspose(6, 2, name="transposed")(x)
    rows = layers.SimpleRNN(12, name="recurrent")(layers.Reshape((25, 6))(x))
    wide = layers.EinsumDense("ab,bcd->acd", (4, 4), name="einsum")(rows)
    model = keras.Model(image, layers.Flatten()(wide))
    prune(model, None, Pruning(), _silent, pruned=Pruned("n:m", n=1, m=4))
    kernel = {weight.path.rpartition("/")[0].split("/")[0] + weight.name: weight.numpy() for weight in model.weights}
    for name, axis in {"separablepointwise_kernel": 2, "transposedkernel": 3, "recurrentrecurrent_kernel": 0}.items():
        lanes = np.moveaxis(kernel[name], axis, 0)
        assert (np.count_nonzero(lanes.reshape(-1, 4, *lanes.shape[1:]), axis=1) == 1).all(), name
    assert kernel["separabledepthwise_kernel"].all()
    assert kernel["einsumkernel"].all(), "which axis it sums over is not known"


@pytest.mark.slow
def test_n_of_m_needs_a_kernel_that_sums_over_so_many():
    import keras

    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(20)])
    with pytest.raises(CannotMake, match="no kernel sums over 16 inputs or more"):
        prune(model, None, Pruning(), _silent, pruned=Pruned("n:m", n=2, m=16))


def _graph(*products):
    """An ONNX graph of products in a row: operator, shape of the kernel, settings."""
    nodes, weights, name = [], [], "x"
    for at, (operator, shape, settings) in enumerate(products):
        values = np.random.default_rng(at).normal(size=shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{at}"))
        nodes.append(helper.make_node(operator, [name, f"w{at}"], [f"y{at}"], **settings))
        name = f"y{at}"
    value = helper.make_tensor_value_info
    inputs, outputs = [value("x", TensorProto.FLOAT, None)], [value(name, TensorProto.FLOAT, None)]
    return helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, weights), ir_version=8)


def test_n_of_m_of_an_onnx_file_lies_along_the_inputs_of_every_kind_of_kernel():
    made = prune_graph(
        _graph(
            ("Conv", (8, 4, 3, 3), {}),
            ("ConvTranspose", (8, 6, 2, 2), {}),
            ("ConvTranspose", (8, 4, 2, 2), {"group": 2}),
            ("MatMul", (8, 6), {}),
            ("Gemm", (8, 8), {"transB": 1}),
            ("MatMul", (8,), {}),
            ("Conv", (8, 1, 3, 3), {"group": 8}),
        ),
        Pruned("n:m", n=1, m=4),
    )
    kernels = [numpy_helper.to_array(tensor) for tensor in made.model.graph.initializer]
    for at, axis in {0: 1, 1: 0, 3: 0, 4: 1}.items():
        lanes = np.moveaxis(kernels[at], axis, 0)
        assert (np.count_nonzero(lanes.reshape(-1, 4, *lanes.shape[1:]), axis=1) == 1).all(), at
    assert all(kernels[at].all() for at in (2, 5, 6))
    assert "of 4 of 7 kernels" in made.notes[0]


@pytest.mark.parametrize(
    ("pruned", "reason"),
    [
        (Pruned("magnitude"), "no kernel has 32 weights or more$"),
        (Pruned("n:m"), "no kernel has 32 weights or more and sums over 4 inputs or more"),
        (Pruned("magnitude", epochs=1), "cannot be fine-tuned here"),
    ],
)
def test_an_onnx_file_with_nothing_to_prune_says_why(pruned, reason):
    with pytest.raises(CannotMake, match=reason):
        prune_graph(_graph(("MatMul", (3, 5), {})), pruned)


@pytest.mark.slow
def test_a_model_of_a_few_weights_is_left_alone():
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    split = Split((np.ones((4, 1), np.float32),), np.ones((4, 1), np.float32))
    with pytest.raises(CannotMake, match="nothing to prune"):
        prune(model, split, Pruning(), print)
