"""The pruned variants as files, of sources with and without training data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from bench.export import messages as msg
from bench.export import onnx as as_onnx
from bench.export import onnx_facts, prune, tflite_facts
from bench.export.artifact import describe_artifact
from bench.export.errors import CannotMake
from bench.export.pruned import Pruned
from bench.export.recipes import Wanted
from bench.export.workshop import Workshop, open_workshop
from bench.record.artifact import Recipe
from bench.zoo.find import find

pytestmark = pytest.mark.slow
Open = Callable[..., Workshop]


class _Deaf:
    def began(self) -> None: ...

    def epoch(self, seen: Any) -> None: ...

    def ended(self, how: Any) -> None: ...


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def run(model: Path, data: Path | None = None) -> Workshop:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        request = msg.Request(
            source=find(str(model)),
            variants=[],
            folder=str(tmp_path),
            data=None if data is None else str(data),
            seed=0,
            describe=False,
        )
        return open_workshop(request, scratch, lambda *_, **__: None, _Deaf())

    return run


@pytest.fixture(scope="module")
def resnet(user_models: Path) -> Path:
    return user_models / "mlperf-tiny-resnet" / "pretrainedResnet.h5"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A trained classifier of four kinds of noise, and its data."""
    import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 768)
    centres = rng.standard_normal((4, 8, 8, 1)) * 0.6
    pictures = (centres[labels] + rng.standard_normal((768, 8, 8, 1))).astype(np.float32)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(pictures[:512], labels[:512], epochs=6, verbose=0)
    folder = tmp_path_factory.mktemp("small")
    model.save(folder / "small.keras")
    np.savez(
        folder / "d.npz",
        x=pictures[512:],
        y=labels[512:],
        train_x=pictures[:512],
        train_y=labels[:512],
        calibration=pictures[:64],
    )
    return folder / "small.keras", folder / "d.npz"


def _accuracy(path: Path, shop: Workshop) -> float:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    made = session.run(None, {session.get_inputs()[0].name: shop.material.inputs[0]})[0]
    return float(np.mean(made.argmax(axis=1) == shop.material.labels))


def test_half_the_channels_are_a_smaller_file_that_decides_as_well_after_fine_tuning(opened, small, tmp_path):
    shop = opened(*small)
    as_onnx.fp32(shop, tmp_path / "fp32.onnx", {})
    notes = prune.channels_onnx(shop, tmp_path / "half.onnx", {"keep": 0.5})
    prune.channels_tflite(shop, tmp_path / "half.tflite", {"keep": 0.5})
    whole, half = onnx_facts.facts(tmp_path / "fp32.onnx"), onnx_facts.facts(tmp_path / "half.onnx")
    lite = tflite_facts.facts((tmp_path / "half.tflite").read_bytes())
    assert half.macs < 0.5 * whole.macs
    assert (lite.macs, lite.parameters) == (half.macs, half.parameters)
    assert half.outputs == whole.outputs
    assert "8 epochs of fine-tuning" in notes
    tuned = _accuracy(tmp_path / "half.onnx", shop)
    assert tuned > _accuracy(tmp_path / "fp32.onnx", shop) - 0.05
    once = prune.channels_onnx(shop, tmp_path / "once.onnx", {"keep": 0.5, "epochs": 0})
    assert once[-1] == "one shot, not fine-tuned: no epoch was asked for"
    assert tuned > _accuracy(tmp_path / "once.onnx", shop)


def test_fine_tuned_weights_are_kept_for_each_pruning_and_used_again(opened, small, tmp_path):
    first, again = opened(*small), opened(*small)
    for options in ({"keep": 0.5}, {"keep": 0.25}):
        prune.channels_onnx(first, tmp_path / f"a{options['keep']}.onnx", options)
    kept = sorted((tmp_path / "trained").glob("*.keras"))
    assert len(kept) == 2
    before = [path.stat().st_mtime_ns for path in kept]
    prune.channels_onnx(again, tmp_path / "b0.5.onnx", {"keep": 0.5})
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert onnx_facts.facts(tmp_path / "b0.5.onnx") == onnx_facts.facts(tmp_path / "a0.5.onnx")
    assert _accuracy(tmp_path / "b0.5.onnx", again) == _accuracy(tmp_path / "a0.5.onnx", first)


def test_n_of_m_holds_in_the_file_along_what_a_product_sums_over(opened, small, tmp_path):
    shop = opened(*small)
    prune.nm_onnx(shop, tmp_path / "m.onnx", {"n": 1, "m": 4})
    graph = onnx.load(str(tmp_path / "m.onnx")).graph
    kernels = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    second = kernels[[node for node in graph.node if node.op_type == "Conv"][1].input[1]]
    assert second.shape == (16, 16, 3, 3)
    assert (np.count_nonzero(second.reshape(16, 4, 4, 3, 3), axis=2) <= 1).all()


def test_a_keras_file_without_data_is_pruned_in_one_shot(opened, resnet, tmp_path):
    shop = opened(resnet)
    as_onnx.fp32(shop, tmp_path / "fp32.onnx", {})
    notes = prune.channels_onnx(shop, tmp_path / "m.onnx", {"keep": 0.5})
    prune.channels_tflite(shop, tmp_path / "m.tflite", {"keep": 0.5})
    whole, half = onnx_facts.facts(tmp_path / "fp32.onnx"), onnx_facts.facts(tmp_path / "m.onnx")
    assert half.macs < 0.3 * whole.macs
    assert tflite_facts.facts((tmp_path / "m.tflite").read_bytes()).macs == half.macs
    assert notes[-1].startswith("one shot, not fine-tuned: there are no training data")
    assert not list(tmp_path.glob("trained/*"))


def test_the_same_channels_go_from_a_keras_model_and_from_its_onnx_file(opened, resnet, tmp_path):
    """Batch normalisation is a layer in one and folded into the convolution in the other."""
    as_onnx.fp32(opened(resnet), tmp_path / "fp32.onnx", {})
    prune.channels_onnx(opened(resnet), tmp_path / "keras.onnx", {"keep": 0.5})
    notes = prune.channels_onnx(opened(tmp_path / "fp32.onnx"), tmp_path / "onnx.onnx", {"keep": 0.5})
    assert notes[-1].startswith("one shot, not fine-tuned: an ONNX file")
    ours, theirs = (onnx_facts.facts(tmp_path / f"{name}.onnx") for name in ("keras", "onnx"))
    assert (ours.macs, ours.parameters) == (theirs.macs, theirs.parameters)
    x = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    made = [
        ort.InferenceSession(str(tmp_path / f"{name}.onnx")).run(None, {spec.inputs[0].name: x})[0]
        for name, spec in (("keras", ours), ("onnx", theirs))
    ]
    assert np.allclose(*made, atol=1e-3)


@pytest.mark.parametrize(
    ("maker", "options", "share"),
    [(prune.onnx, {"sparsity": 0.6, "epochs": -1}, 0.6), (prune.nm_onnx, {"n": 2, "m": 4}, 0.3)],
)
def test_an_onnx_file_is_masked_in_one_shot(opened, user_models, tmp_path, maker, options, share):
    shop = opened(user_models / "onnx-mnist" / "model.onnx")
    notes = maker(shop, tmp_path / "m.onnx", options)
    assert onnx_facts.facts(tmp_path / "m.onnx").sparsity >= share
    assert "not fine-tuned" in notes[-1]
    pair = user_models / "onnx-mnist" / "test_data_set_0"
    x, y = (numpy_helper.to_array(onnx.load_tensor(str(pair / f"{side}_0.pb"))) for side in ("input", "output"))
    session = ort.InferenceSession(str(tmp_path / "m.onnx"))
    assert session.run(None, {session.get_inputs()[0].name: x})[0].argmax() == y.argmax()


def test_channels_of_an_old_onnx_file_are_removed_and_the_rest_quantised(opened, user_models, tmp_path):
    pictures = np.random.default_rng(0).uniform(0, 255, (40, 1, 28, 28)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=pictures[:8], calibration=pictures[8:])
    shop = opened(user_models / "onnx-mnist" / "model.onnx", tmp_path / "d.npz")
    from bench.export.recipes import wanted

    options = {**wanted("int8", "onnx").recipe.options, "keep": 0.5}
    notes = prune.channels_onnx_int8(shop, tmp_path / "m.onnx", options)
    assert "converted from opset 8 to 17" in notes
    session = ort.InferenceSession(str(tmp_path / "m.onnx"))
    assert session.run(None, {session.get_inputs()[0].name: pictures[:1]})[0].shape == (1, 10)


def test_epochs_are_refused_where_nothing_can_be_trained(opened, user_models, tmp_path):
    shop = opened(user_models / "onnx-mnist" / "model.onnx")
    with pytest.raises(CannotMake, match="cannot be fine-tuned"):
        shop.float_onnx(dataclasses.replace(Pruned("channels"), epochs=3))


def test_a_tflite_file_is_not_pruned(opened, user_models, tmp_path):
    shop = opened(user_models / "mlperf-tiny-resnet" / "pretrainedResnet.tflite")
    for maker in (prune.tflite, prune.nm_tflite, prune.channels_tflite, prune.channels_tflite_int8):
        with pytest.raises(CannotMake, match="cannot be pruned"):
            maker(shop, tmp_path / "m.tflite", {})


def test_parameters_and_macs_of_an_artifact_without_channels_are_its_own(opened, small, tmp_path):
    shop = opened(*small)
    found = {}
    for base in ("fp32", "pruned-channels"):
        path = tmp_path / f"{base}.onnx"
        maker = as_onnx.fp32 if base == "fp32" else prune.channels_onnx
        notes = maker(shop, path, {"keep": 0.5})
        found[base] = describe_artifact(shop, Wanted(base, "onnx", Recipe(base, {"keep": 0.5})), path, notes)
    assert found["pruned-channels"].macs < 0.5 * found["fp32"].macs
    assert found["pruned-channels"].parameters < 0.5 * found["fp32"].parameters
